"""A Functions host for the laptop, in front of Microsoft's own worker library. Never deployed."""

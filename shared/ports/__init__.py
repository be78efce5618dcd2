"""What the use cases need of the world, a module a concern. Nothing here does I/O."""

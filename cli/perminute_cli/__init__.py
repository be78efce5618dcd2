"""The command line of Perminute: a client of its public HTTP API."""

__version__ = "0.1.0"

"""Protocols that the use cases need from adapters, one module per concern, without I/O."""

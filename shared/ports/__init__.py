"""What the use cases need of adapters, a module a concern. Nothing here does I/O."""

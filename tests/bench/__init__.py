"""Measurements. Each module `bench_*.py` has `def records(only: str | None) -> Iterator[dict]`."""

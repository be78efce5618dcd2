"""Rating facts of another engine, run through ours: `python -m tests.oracle [FILE…]`."""

"""Mutation testing of money and rating: `python -m tests.mutation [MODULE…]`."""

"""Proofs that others check without the operator: keys, day roots, receipts, month files."""

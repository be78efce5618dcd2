"""Proofs at the HTTP edge: keys, and the printed receipt."""

"""Deliberate bugs: each must turn the tests red."""

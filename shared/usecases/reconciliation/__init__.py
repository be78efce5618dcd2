"""Comparison of an account's legs with the records of others."""

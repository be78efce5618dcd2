"""Accepted legs outlive a region."""

"""Ledgers spread over several storage accounts."""

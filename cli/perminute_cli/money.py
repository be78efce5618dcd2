"""Amounts as people type them; no float is involved."""

import re
from decimal import Decimal

from perminute_cli.failures import USAGE, Failure

_AMOUNT = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,6})?", re.ASCII)


def amount_of(text: str) -> Decimal:
    """The amount. Raises Failure."""
    if not _AMOUNT.fullmatch(text):
        raise Failure(
            f"“{text}” is no amount.",
            "Write it like 100 or 12.50: up to six decimals, a point, no currency.",
            USAGE,
        )
    return Decimal(text)


def shown(amount: Decimal) -> str:
    """The amount with at least two decimals, as the API writes it."""
    text = f"{amount:f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"

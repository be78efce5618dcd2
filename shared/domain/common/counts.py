"""Counts in texts, and the typography of French ones."""

import re

_THIN = "\N{NARROW NO-BREAK SPACE}"


def counted(count: int, noun: str, plural: str = "", *, language: str = "en") -> str:
    """A count with its noun: `1 leg`, `1,200 legs`. `plural` is the noun's, if it is not `noun`
    with an s. French counts 0 as one."""
    is_french = language == "fr"
    is_one = abs(count) < 2 if is_french else count == 1
    number = f"{count:,}".replace(",", _THIN) if is_french else f"{count:,}"
    return f"{number} {noun if is_one else plural or f'{noun}s'}"


def french(text: str) -> str:
    """The text with typographic apostrophes, and with spaces that end no line: no-break before a
    colon and a currency, narrow before other marks."""
    text = re.sub(r" (?=:|\{currency\})", "\N{NO-BREAK SPACE}", text.replace("'", "’"))
    return re.sub(r" (?=[;!?%])", _THIN, text)


def french_amount(text: str) -> str:
    """A decimal string as it is written in French: `-1234.50` is `−1 234,50`."""
    whole, _, decimals = text.removeprefix("-").partition(".")
    shown = f"{int(whole):,}".replace(",", _THIN)
    sign = "\N{MINUS SIGN}" if text.startswith("-") else ""
    return f"{sign}{shown}{f',{decimals}' if decimals else ''}"

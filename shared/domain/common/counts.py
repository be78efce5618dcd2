"""Counts in texts."""


def counted(count: int, noun: str, plural: str = "", *, language: str = "en") -> str:
    """A count with its noun: `1 leg`, `1,200 legs`. `plural` is the noun's, if it is not `noun`
    with an s. French counts 0 as one."""
    is_one = abs(count) < 2 if language == "fr" else count == 1
    return f"{count:,} {noun if is_one else plural or f'{noun}s'}"

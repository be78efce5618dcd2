"""Hidden digits of telephone numbers in reports, by the country of the organization.

The countries and the number of digits are those of Microsoft's PSTN usage report.
"""

_DIGITS_HIDDEN = {
    "BE": 3,
    "CH": 4,
    "DE": 3,
    "DK": 3,
    "ES": 3,
    "FI": 3,
    "FR": 4,
    "IT": 3,
    "NL": 3,
    "NO": 3,
    "SE": 3,
}


def mask_number(number: str, country: str | None) -> str:
    """The number with its last digits as asterisks where an organization of the country must not
    see them; "" and numbers of other countries are unchanged."""
    hidden = min(_DIGITS_HIDDEN.get(country or "", 0), sum(map(str.isdigit, number)))
    return number[: len(number) - hidden] + "*" * hidden if hidden else number

"""The kinds of called numbers, and the kinds that are refused unless an account allows them."""

from enum import StrEnum


class NumberClass(StrEnum):
    """A number's class: the kind of its owner and of its price."""

    FIXED_LINE = "fixed_line"
    MOBILE = "mobile"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    PERSONAL = "personal"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    PAGER = "pager"
    VOIP = "voip"
    SATELLITE = "satellite"
    INTERNATIONAL_NETWORK = "international_network"
    UNKNOWN = "unknown"


ALLOWED_BY_DEFAULT = frozenset(
    {
        NumberClass.FIXED_LINE,
        NumberClass.MOBILE,
        NumberClass.FIXED_LINE_OR_MOBILE,
        NumberClass.UAN,
        NumberClass.VOIP,
    }
)
"""Every other class is refused: expensive, of an unknown price, or without a person who answers."""

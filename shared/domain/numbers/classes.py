"""What kind of number is dialled, and which kinds are refused unless an account wants them."""

from enum import StrEnum


class NumberClass(StrEnum):
    """A number's class: who answers there, and who is paid for it."""

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
"""Every other class is refused: dear, of an unforeseeable price, or nobody answers there."""

"""The pool of included minutes: 60 a month for each subscription licence (DESIGN 2).

It pays for dial-outs of subscription organizers to Zone A that are no premium calls, before credits
do. Months are those of the account's time zone.
"""

from datetime import datetime

from shared.domain.holds import local_day
from shared.domain.number_classes import ALLOWED_BY_DEFAULT, NumberClass
from shared.domain.policy import License
from shared.domain.regions import ZONE_A

POOL_SECONDS_PER_LICENSE = 60 * 60
_MONTH_CHARS = len("2026-11")


def pool_month(moment: datetime, time_zone: str) -> str:
    """The month that a moment is in, such as "2026-11"."""
    return local_day(moment, time_zone)[:_MONTH_CHARS]


def pool_pays(license_: License, region: str | None, number_class: NumberClass) -> bool:
    """Whether the pool pays for a dial-out to such a number."""
    return (
        license_ is License.SUBSCRIPTION and region in ZONE_A and number_class in ALLOWED_BY_DEFAULT
    )


def dial_in_is_included(license_: License, *, toll_free: bool) -> bool:
    """Whether the licence pays for callers: of toll numbers with a subscription."""
    return license_ is License.SUBSCRIPTION and not toll_free

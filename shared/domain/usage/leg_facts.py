"""The usage of a charged leg: its groups, its seconds, and the time of its call."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.common.canonical import parse_time
from shared.domain.common.money import parse_amount
from shared.domain.ledger.model import Entry
from shared.domain.ledger.statements import charged_seconds, destination_of
from shared.domain.numbers.prefixes import sole_region
from shared.domain.numbers.regions import country_name


class UsageTime(StrEnum):
    """The time by which legs are selected: of the entry, or of the call."""

    BOOKED = "booked"
    ANSWERED = "answered"


LEG_GROUPS = (
    *("organizer", "cost_center", "conference", "kind", "region", "destination"),
    *("number_class", "bridge"),
)
"""The groups that a charge states; `UsageFacts.groups` has their values in this order."""


@dataclass(frozen=True, slots=True)
class UsageFacts:
    """A charge in the terms of usage. A group without a value is "". `called_at` is the answer, or
    the start of an unanswered leg. `billed_seconds` were paid by credits, `pool_seconds` by
    included minutes. `carrier_micros` is the purchasing cost in the account's currency, None where
    none is known."""

    groups: tuple[str, ...]
    called_at: datetime
    is_answered: bool
    talk_seconds: int
    billed_seconds: int
    pool_seconds: int
    carrier_micros: int | None


def leg_facts(charge: Mapping[str, object], entry: Entry, organizer: str | None) -> UsageFacts:
    """The facts of a kept charge that `entry` booked. A charge of a version that pinned no region
    has that of the prefix of its rate, where the prefix belongs to one region."""
    answered_at = charge.get("answered_at")
    started_at = charge.get("started_at")
    moment = answered_at or started_at
    seconds, pool_seconds = charged_seconds(charge)
    region = str(charge.get("region") or "") if "region" in charge else _region_of_rate(charge)
    return UsageFacts(
        (
            organizer or "",
            str(charge.get("cost_center") or ""),
            str(charge.get("conference") or ""),
            str(charge.get("kind") or "unknown"),
            region,
            destination_of(charge) or country_name(region),
            str(charge.get("number_class") or ""),
            str(charge.get("bridge") or (entry.leg or "").partition("~")[0]),
        ),
        parse_time(moment) if isinstance(moment, str) else entry.at,
        answered_at is not None,
        _whole(charge.get("talk_seconds")),
        seconds,
        pool_seconds,
        carrier_micros(charge),
    )


def carrier_micros(charge: Mapping[str, object]) -> int | None:
    """The purchasing cost of the leg, where it is known in the currency of the charge."""
    carrier = charge.get("carrier")
    if not isinstance(carrier, dict) or carrier.get("currency") != charge.get("currency"):
        return None
    return parse_amount(str(carrier["amount"]))


def _region_of_rate(charge: Mapping[str, object]) -> str:
    rate = charge.get("rate")
    return sole_region(str(rate.get("prefix") or "")) if isinstance(rate, dict) else ""


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0

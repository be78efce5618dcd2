"""The usage of a charged leg: its groups, its seconds, and the time of its call."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.common.canonical import parse_time
from shared.domain.ledger.model import Entry
from shared.domain.ledger.stored_charge import ChargeRecord
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
    record = ChargeRecord(charge)
    started, answered, _ = record.times
    moment = answered or started
    region = record.region
    if region is None:
        region = sole_region(record.rate.prefix) if record.rate else ""
    carrier = record.carrier
    return UsageFacts(
        (
            organizer or "",
            record.cost_center,
            record.conference or "",
            record.kind_name,
            region,
            record.destination or country_name(region),
            record.number_class,
            record.bridge or (entry.leg or "").partition("~")[0],
        ),
        parse_time(moment) if moment else entry.at,
        bool(answered),
        record.talk_seconds,
        record.credit_seconds,
        record.pool_seconds,
        carrier[0] if carrier and carrier[1] == record.currency else None,
    )

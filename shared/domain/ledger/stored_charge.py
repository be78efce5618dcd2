"""The explained charge of a leg as the journal keeps it (docs/rating.md), typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.common.canonical import parse_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import parse_amount


@dataclass(frozen=True, slots=True)
class RatedBy:
    """The rate of a charge: its card, the RFC 3339 time of the version, the prefix that won."""

    card: str
    version: str
    prefix: str
    destination: str
    origin: str | None

    @property
    def target(self) -> str:
        """Card and version as one text."""
        return f"{self.card}|{self.version}"


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """The parts of a stored charge: leg and price; amounts in micros, times in UTC.

    `pool_seconds` are those that included minutes paid, up to the second `pool_until_second` of the
    call. `usage_prices` are (price a unit as text, seconds of the unit) of each line of usage.
    `carrier` is (amount in micros, currency) of purchasing, `replaces` (entry, amount as text) of
    the charge before a re-rating.
    """

    kind: LegKind
    currency: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    talk_seconds: int
    amount_micros: int
    zero_reason: str | None
    conference: str | None
    rate: RatedBy | None
    pool_seconds: int
    pool_until_second: int
    usage_prices: tuple[tuple[str, int], ...]
    carrier: tuple[int, str] | None
    replaces: tuple[int, str] | None

    @property
    def rated_by(self) -> RatedBy | None:
        """The rate by which credits paid; None where they paid nothing by a rate: free legs without
        one, legs that the pool paid in full."""
        is_pooled = self.pool_until_second and self.pool_until_second == self.talk_seconds
        return None if is_pooled else self.rate


def read_charge(document: Mapping[str, Any]) -> ChargeRecord:
    """The record of a stored charge; fields that an older charge lacks are None or 0."""
    rate, carrier, replaces = (document.get(name) for name in ("rate", "carrier", "replaces"))
    lines, answered_at = document.get("lines", ()), document.get("answered_at")
    pool_seconds = document.get("pool_seconds") or 0
    pooled: Mapping[str, Any] = next((line for line in lines if "destination" in line), {})
    return ChargeRecord(
        kind=LegKind(document["kind"]),
        currency=document["currency"],
        started_at=parse_time(document["started_at"]),
        answered_at=parse_time(answered_at) if answered_at else None,
        ended_at=parse_time(document["ended_at"]),
        talk_seconds=document["talk_seconds"],
        amount_micros=parse_amount(document["amount"]),
        zero_reason=document.get("zero_reason"),
        conference=document.get("conference"),
        rate=_read_rate(rate) if rate else None,
        pool_seconds=pool_seconds,
        pool_until_second=pooled.get("until_second", pool_seconds),
        usage_prices=tuple(
            (line["price"], line["unit_seconds"]) for line in lines if line["kind"] == "usage"
        ),
        carrier=(parse_amount(carrier["amount"]), carrier["currency"]) if carrier else None,
        replaces=(replaces["entry"], replaces["amount"]) if replaces else None,
    )


def _read_rate(rate: Mapping[str, Any]) -> RatedBy:
    origin = rate.get("origin") or None
    return RatedBy(rate["card"], rate["version"], rate["prefix"], rate["destination"], origin)

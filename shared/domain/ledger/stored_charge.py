"""The codec of a stored charge: the explained charge of a leg in the journal (docs/rating.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from shared.domain.common.canonical import parse_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import MICROS_PER_UNIT, parse_amount


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


class _Member[Value]:
    """A member of the document that is stored as it is; `absent` where an older charge lacks it."""

    def __init__(self, name: str, absent: Value) -> None:
        self._name = name
        self._absent = absent

    def __get__(self, record: "ChargeRecord", owner: type) -> Value:
        value: Value = record.document.get(self._name) or self._absent
        return value


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """A stored charge, typed: each part is decoded on access, since a report reads few parts of
    100,000 charges.

    Amounts are in micros, times aware in UTC, seconds whole. `status` is `charged`, `pool` or
    `zero`. `billed_seconds` contain the `pool_seconds`, which included minutes paid.
    """

    document: Mapping[str, Any]

    account = _Member("account", "")
    bridge = _Member("bridge", "")
    kind_name = _Member("kind", "unknown")
    status = _Member("status", "")
    currency = _Member("currency", "")
    cost_center = _Member("cost_center", "")
    number_class = _Member("number_class", "")
    conference = _Member[str | None]("conference", None)
    authorization = _Member[str | None]("authorization", None)
    zero_reason = _Member[str | None]("zero_reason", None)
    talk_seconds = _Member("talk_seconds", 0)
    billed_seconds = _Member("billed_seconds", 0)
    pool_seconds = _Member("pool_seconds", 0)

    @property
    def kind(self) -> LegKind:
        """The kind of the leg."""
        return LegKind(self.document["kind"])

    @property
    def region(self) -> str | None:
        """The pinned region of the destination; None of a charge that pinned none."""
        return (self.document.get("region") or "") if "region" in self.document else None

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the charge."""
        return tuple(self.document.get("flags") or ())

    @property
    def started_at(self) -> datetime:
        """The start of the leg."""
        return parse_time(self.document["started_at"])

    @property
    def answered_at(self) -> datetime | None:
        """The answer; None of an unanswered leg."""
        text = self.document.get("answered_at")
        return parse_time(text) if text else None

    @property
    def ended_at(self) -> datetime:
        """The end of the leg."""
        return parse_time(self.document["ended_at"])

    @property
    def times(self) -> tuple[str, str, str]:
        """(start, answer, end) as RFC 3339 text, "" where the charge has none."""
        document = self.document
        return (
            document.get("started_at") or "",
            document.get("answered_at") or "",
            document.get("ended_at") or "",
        )

    @property
    def amount_micros(self) -> int:
        """The debited amount."""
        return parse_amount(self.document["amount"])

    @property
    def credit_seconds(self) -> int:
        """The billed seconds that credits paid."""
        return self.billed_seconds - self.pool_seconds if self.status == "charged" else 0

    @property
    def rate(self) -> RatedBy | None:
        """The rate of the charge; None of a leg without one."""
        rate = self.document.get("rate")
        if not rate:
            return None
        card, version, prefix, destination = (
            rate.get(name) or "" for name in ("card", "version", "prefix", "destination")
        )
        return RatedBy(card, version, prefix, destination, rate.get("origin") or None)

    @property
    def rated_by(self) -> RatedBy | None:
        """The rate by which credits paid; None where they paid nothing by a rate: free legs without
        one, legs that the pool paid in full."""
        is_pooled = self.pool_until_second and self.pool_until_second == self.talk_seconds
        return None if is_pooled else self.rate

    @property
    def destination(self) -> str:
        """The rated destination; of a leg without a rate the separately stated one, or ""."""
        rate = self.document.get("rate")
        rated = rate.get("destination") if rate else None
        return rated or self.pool_destination or self.document.get("destination") or ""

    @property
    def lines(self) -> Sequence[Mapping[str, Any]]:
        """The lines of the charge, as stored."""
        return self.document.get("lines") or ()

    @property
    def pool_line(self) -> Mapping[str, Any] | None:
        """The line of included minutes that states its destination; None without one."""
        return next((line for line in self.lines if line.get("destination")), None)

    @property
    def pool_destination(self) -> str | None:
        """The destination that included minutes paid for, where a charge states it separately."""
        line = self.pool_line
        return line["destination"] if line else None

    @property
    def pool_until_second(self) -> int:
        """The second of the call until which included minutes paid."""
        line = self.pool_line
        return line.get("until_second", self.pool_seconds) if line else self.pool_seconds

    @property
    def usage_prices(self) -> tuple[tuple[str, int], ...]:
        """(price a unit as text, seconds of the unit) of each line of usage."""
        return tuple(
            (line["price"], line["unit_seconds"]) for line in self.lines if line["kind"] == "usage"
        )

    @property
    def connection_fee_micros(self) -> int:
        """The connection fee, rounded."""
        fees = (line for line in self.lines if line.get("kind") == "connection_fee")
        return round(
            sum((Fraction(str(line["amount"])) for line in fees), Fraction()) * MICROS_PER_UNIT
        )

    @property
    def carrier(self) -> tuple[int, str] | None:
        """(amount, currency) of purchasing."""
        carrier = self.document.get("carrier")
        return (parse_amount(carrier["amount"]), carrier["currency"]) if carrier else None

    @property
    def replaces(self) -> tuple[int, str] | None:
        """(entry, amount as text) of the charge before a re-rating."""
        replaced = self.document.get("replaces")
        return (replaced["entry"], replaced["amount"]) if replaced else None

    @property
    def replaced(self) -> "ChargeRecord":
        """The charge of the leg before its re-rating; empty without one."""
        before = self.document.get("replaces")
        if not before:
            return ChargeRecord({})
        status = "zero" if parse_amount(before["amount"]) == 0 else "charged"
        return ChargeRecord({**self.document, **before, "status": status})

"""A leg in lists: its price net of corrections, and the filters of legs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.common.canonical import parse_time
from shared.domain.ledger.entry_columns import LegGroup
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.legs.parking import ParkedLeg
from shared.domain.usage.leg_facts import UsageFacts, leg_facts

PARKED = "parked"


@dataclass(slots=True)
class ListedLeg:
    """A charged leg, or a parked one, which has no `entry`. `amount_micros` and the seconds are
    net, `charged_micros` was booked first; `corrections` are the entries that changed it. A field
    without a value is ""; `from_number` and `to_number` are None until `name` is called."""

    leg: str
    bridge: str
    kind: str
    status: str
    booked_at: datetime
    called_at: datetime
    started_at: str
    answered_at: str
    ended_at: str
    organizer: str = ""
    cost_center: str = ""
    conference: str = ""
    region: str = ""
    destination: str = ""
    number_class: str = ""
    prefix: str = ""
    version: str = ""
    currency: str = ""
    talk_seconds: int = 0
    billed_seconds: int = 0
    pool_seconds: int = 0
    amount_micros: int = 0
    charged_micros: int = 0
    entry: int = 0
    flags: tuple[str, ...] = ()
    corrections: list[int] = field(default_factory=list)
    from_number: str | None = None
    to_number: str | None = None
    reason: str = ""

    def name(self, person: Mapping[str, object]) -> None:
        """Add the person's part: empty once it is erased."""
        self.from_number = _text(person.get("from")) or None
        self.to_number = _text(person.get("to")) or None
        self.organizer = _text(person.get("organizer")) or self.organizer

    def correct(self, entry: Entry, charge: Mapping[str, object] | None = None) -> None:
        """An entry that reverses the leg's debit, or re-rates it by `charge`, in order."""
        self.corrections.append(entry.sequence)
        self.amount_micros -= entry.amount_micros
        if entry.kind is EntryKind.REVERSAL:
            self.billed_seconds = self.pool_seconds = 0
        else:
            self._charge(charge or {}, leg_facts(charge or {}, entry, None))

    def _charge(self, charge: Mapping[str, object], facts: UsageFacts) -> None:
        record = ChargeRecord(charge)
        rate, self.status = record.rate, record.status
        self.region, self.destination, self.number_class = facts.groups[4:7]
        self.billed_seconds, self.pool_seconds = facts.billed_seconds, facts.pool_seconds
        self.prefix, self.version = (rate.prefix, rate.version) if rate else ("", "")


@dataclass(frozen=True, slots=True)
class LegFilter:
    """The filter of legs; None: any, "": those without a value. `number` is the caller or the
    called number."""

    kind: str | None = None
    status: str | None = None
    organizer: str | None = None
    cost_center: str | None = None
    conference: str | None = None
    region: str | None = None
    destination: str | None = None
    bridge: str | None = None
    number: str | None = None
    flag: str | None = None
    min_amount_micros: int | None = None

    def admits_first(self, leg: ListedLeg) -> bool:
        """True if a leg can match the filter, by facts that no correction changes."""
        return (
            self.kind in {None, leg.kind}
            and self.cost_center in {None, leg.cost_center}
            and self.conference in {None, leg.conference}
            and self.region in {None, leg.region}
            and self.bridge in {None, leg.bridge}
            and (self.flag is None or self.flag in leg.flags)
            and (self.organizer in {None, leg.organizer} or not leg.organizer)
        )

    def admits_group(self, group: LegGroup) -> bool:
        """As `admits_first`, by the group of a charge alone."""
        return (
            self.kind in {None, group.kind}
            and self.cost_center in {None, group.cost_center}
            and self.region in {None, group.region}
            and self.bridge in {None, group.bridge}
            and (self.flag is None or self.flag in group.flags)
        )

    def admits_net_group(self, group: LegGroup) -> bool:
        """True if a leg can match the filter by the texts of its present charge."""
        return (
            self.region in {None, group.region}
            and self.status in {None, group.status}
            and self.destination in {None, group.destination}
        )

    @property
    def depends_on_corrections(self) -> bool:
        """True if a correction can change whether a leg matches the filter."""
        return (self.status, self.destination, self.min_amount_micros) != (None, None, None)

    def admits(self, leg: ListedLeg) -> bool:
        """True if a leg, with its corrections and its person, matches the filter."""
        return (
            self.admits_first(leg)
            and self.organizer in {None, leg.organizer}
            and self.status in {None, leg.status}
            and self.destination in {None, leg.destination}
            and self.number in {None, leg.from_number, leg.to_number}
            and (self.min_amount_micros is None or leg.amount_micros >= self.min_amount_micros)
        )


def listed_leg(debit: Entry, charge: Mapping[str, object]) -> ListedLeg:
    """A leg as its first debit charged it."""
    facts = leg_facts(charge, debit, debit.organizer)
    organizer, cost_center, conference, kind, *_, bridge = facts.groups
    record = ChargeRecord(charge)
    started_at, answered_at, ended_at = record.times
    leg = ListedLeg(
        leg=debit.leg or "",
        bridge=bridge,
        kind=kind,
        status="",
        booked_at=debit.at,
        called_at=facts.called_at,
        started_at=started_at,
        answered_at=answered_at,
        ended_at=ended_at,
        organizer=organizer,
        cost_center=cost_center,
        conference=conference,
        currency=record.currency,
        talk_seconds=facts.talk_seconds,
        amount_micros=-debit.amount_micros,
        charged_micros=-debit.amount_micros,
        entry=debit.sequence,
        flags=record.flags,
    )
    leg._charge(charge, facts)
    return leg


def parked_leg(parked: ParkedLeg) -> ListedLeg:
    """A waiting leg, with the fields of its original."""
    original = parked.original
    seconds = original.get("talk_seconds")
    answered_at, started_at = (_text(original.get(name)) for name in ("answered_at", "started_at"))
    moment = answered_at or started_at
    return ListedLeg(
        leg=parked.leg,
        bridge=parked.bridge,
        kind=_text(original.get("kind")),
        status=PARKED,
        booked_at=parked.received_at,
        called_at=parse_time(moment) if moment else parked.received_at,
        started_at=started_at,
        answered_at=answered_at,
        ended_at=_text(original.get("ended_at")),
        organizer=_text(original.get("organizer")),
        conference=_text(original.get("conference")),
        talk_seconds=seconds if isinstance(seconds, int) else 0,
        from_number=_text(original.get("from")) or None,
        to_number=_text(original.get("to")) or None,
        reason=parked.reason.value,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

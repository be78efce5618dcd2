"""A ledger in memory without a store: commands go in, the state and every entry are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import PerminuteError
from shared.domain.credits.alerts import AlertRule, Event
from shared.domain.credits.lots import Lot, LotKind
from shared.domain.ledger.decide import decide
from shared.domain.ledger.model import (
    RULES,
    Adjust,
    Command,
    CommandRefused,
    Configure,
    DebitLeg,
    Decided,
    Decision,
    Entry,
    EntryKind,
    ExpireLot,
    LedgerState,
    ReverseLeg,
    RulesChange,
    SettingsChange,
    TopUp,
)
from shared.domain.ledger.replay import LotsById, replay

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
UNIT = 1_000_000
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def configure(
    version: int = 1,
    *rules: AlertRule,
    currency: str = "USD",
    credit_limit_micros: int = 0,
) -> Configure:
    return Configure(version, currency, credit_limit_micros, rules)


def top_up(
    amount_micros: int,
    key: str = "top-up",
    *,
    kind: LotKind = LotKind.PURCHASED,
    expires_at: datetime | None = None,
) -> TopUp:
    return TopUp(key, f"digest of {key}", amount_micros, kind, expires_at=expires_at)


def adjust(amount_micros: int, key: str = "adjustment", *, allow_overdraft: bool = True) -> Adjust:
    digest = f"digest of {key}"
    return Adjust(key, digest, amount_micros, "a reason", allow_overdraft=allow_overdraft)


def leg(
    name: str | int,
    amount_micros: int,
    answered_at: datetime = START,
    *,
    content: str = "",
    authorization: str | None = None,
) -> DebitLeg:
    charge: Mapping[str, object] = {"status": "charged", "amount": str(amount_micros)}
    person: Mapping[str, object] = {"from": "+33170000000", "to": "+442079460000", "salt": "s"}
    return DebitLeg(
        leg=f"local~{name}",
        digest=content_digest([name, content]),
        amount_micros=amount_micros,
        answered_at=answered_at,
        authorization=authorization,
        charge=charge,
        person=person,
        charge_digest=content_digest(charge),
        person_digest=content_digest(person),
    )


@dataclass
class Book:
    """One account's ledger, opened."""

    state: LedgerState | None = None
    now: datetime = START
    entries: list[Entry] = field(default_factory=list)
    settings: list[SettingsChange] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    opened: dict[str, Lot] = field(default_factory=dict)

    def do(self, command: Command) -> Decision:
        decision = decide(self.state, command, self.now)
        if isinstance(decision, Decided):
            self.state = decision.state
            self.entries += decision.entries
            self.events += decision.events
            self.opened |= {entry.lot.id: entry.lot for entry in decision.entries if entry.lot}
            if isinstance(command, Configure):
                self.settings.append(SettingsChange(decision.state.entry, command))
        return decision

    def done(self, command: Command) -> Entry:
        """The last entry of a command that must be carried out."""
        decision = self.do(command)
        assert isinstance(decision, Decided), decision
        return decision.entries[-1]

    def refusal(self, command: Command) -> PerminuteError:
        """Why the command is refused; nothing may have changed."""
        before = self.state
        decision = self.do(command)
        assert isinstance(decision, CommandRefused), decision
        assert self.state is before
        return decision.error

    def pass_time(self, span: timedelta) -> None:
        self.now += span

    def reverse(self, name: str | int, reason: str = "a mistake") -> ReverseLeg:
        """The command that takes a leg's debit back, as the use case makes it."""
        key = f"local~{name}"
        debits = [one for one in self.entries if one.leg == key and one.kind is EntryKind.DEBIT]
        debit = debits[-1]
        paid = tuple(self.opened[draw.lot] for draw in debit.draws)
        return ReverseLeg(key, debit, paid, reason)

    def expire(self, lot: str, held_micros: int = 0) -> ExpireLot:
        return ExpireLot(lot, held_micros)

    @property
    def sound(self) -> LedgerState:
        assert self.state is not None
        return self.state

    @property
    def balance(self) -> int:
        return self.sound.balance_micros

    @property
    def remaining(self) -> dict[str, int]:
        """What is left of each open lot."""
        return {lot.id: lot.remaining_micros for lot in self.sound.lots}

    def of_type(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    def replayed(self) -> LedgerState:
        """The state that the entries alone lead to, those of each command a commit of its own: a
        commit never ends between an entry and the one that it prepares."""
        commits: list[list[Entry]] = [[], []]
        for entry in self.entries:
            commits[-1].append(entry)
            if not entry.is_preliminary:
                commits.append([])
        opened: LotsById = {}
        state: LedgerState | None = None
        for number, entries in enumerate(commits[: max(1, len(commits) - 1)]):
            last = entries[-1].sequence if entries else 0
            state = replay(
                state,
                opened,
                commit=0,
                at=self.sound.at or START,
                entries=entries,
                settings=[one for one in self.settings if one.after_entry == last],
                rules=None if number else RulesChange(RULES, {}),
            )
        assert state is not None
        return state


def opened(*rules: AlertRule, credit_limit_micros: int = 0) -> Book:
    book = Book()
    book.do(configure(1, *rules, credit_limit_micros=credit_limit_micros))
    return book

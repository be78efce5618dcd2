"""The ledger records past facts: one account's credits, its commands and its entries.

`shared/domain/ledger/decide.py` decides commands. Two invariants hold after every entry
(docs/ledger.md): balance = sum of entries, and balance = sum of lot remainders - deficit. `check`
asserts the second; `verify` recomputes both from the stored rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.common.errors import LedgerCorrupt, PerminuteError
from shared.domain.credits.alerts import AlertRule, Event, OpenAlert
from shared.domain.credits.burn_rate import Burn
from shared.domain.credits.included_minutes import PoolDraw, PoolMonth
from shared.domain.credits.lots import Draw, Lot, LotKind
from shared.domain.credits.recharge import AutoRecharge, Recharge, Recharges, RechargeStatus


@dataclass(frozen=True, slots=True)
class SettledDebit:
    """The effect of an entry on the hold book: the hold that a debit ends, and its charge. One that
    `corrects` settles nothing: it changes the charge of a leg that was debited before. `frees`: the
    leg was not answered, so another leg may still be charged under the authorization."""

    authorization: str | None
    leg: str | None
    charged_micros: int = 0
    corrects: bool = False
    frees: bool = False


class EntryKind(StrEnum):
    """The kind of a line of the ledger (docs/ledger.md)."""

    TOP_UP = "top_up"
    GRANT = "grant"
    DEBIT = "debit"
    REVERSAL = "reversal"
    ADJUSTMENT = "adjustment"
    EXPIRY = "expiry"


class HoldEffect(StrEnum):
    """The effect of a leg on the hold of its call.

    An answered leg settles it. An unanswered one frees it, or keeps it: while another attempt may
    be answered (shared/domain/legs/hangup_causes.py).
    """

    SETTLES = "settles"
    FREES = "frees"
    KEEPS = "keeps"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger.

    `amount_micros` is signed and equals what it did to lots and deficit: the lot that it opened
    (`lot.remaining_micros` at that moment) less what lots paid (`draws`) less what it added to the
    deficit. `reverses` is the number of the entry that it corrects; `rerates` is the number of the
    debit that a re-rating reverses and books again, on both entries of the re-rating. `hold` is
    what a debit did to the hold of its `authorization`; None where none was known, or of older
    versions, whose legs ended every hold that they named. The guard of the entry has `key` and
    `content_digest`, and a debit in the journal has its explained `charge`. Journals alone
    therefore rebuild everything but the persons' parts. The organizer of a leg's meeting,
    `organizer`, belongs to a person's part: it is stored outside the hashed properties.
    """

    sequence: int
    kind: EntryKind
    amount_micros: int
    balance_micros: int
    at: datetime
    draws: tuple[Draw, ...] = ()
    deficit_micros: int = 0
    lot: Lot | None = None
    leg: str | None = None
    authorization: str | None = None
    reverses: int | None = None
    reference: str | None = None
    reason: str | None = None
    actor: str | None = None
    key: str | None = None
    content_digest: str | None = None
    charge_digest: str | None = None
    person_digest: str | None = None
    charge: Mapping[str, object] | None = field(default=None, hash=False, compare=False)
    recharge: int | None = None
    pool: PoolDraw | None = None
    rerates: int | None = None
    hold: HoldEffect | None = None
    organizer: str | None = field(default=None, hash=False, compare=False)

    @property
    def is_first_debit(self) -> bool:
        """True if a leg is debited for the first time; a re-rating corrects what it cost."""
        return self.kind is EntryKind.DEBIT and self.rerates is None

    @property
    def restores_lot(self) -> bool:
        """True if the entry restores expired credit for a late leg, the next entry."""
        return self.kind is EntryKind.REVERSAL and self.leg is None

    @property
    def is_preliminary(self) -> bool:
        """True if the entry only prepares the next entry: both are one movement of the balance."""
        return self.restores_lot or (self.kind is EntryKind.REVERSAL and self.rerates is not None)

    @property
    def lot_id(self) -> str | None:
        """The lot that it opened, that it expired, or that a late leg gets back."""
        if self.lot is not None:
            return self.lot.id
        return self.draws[0].lot if self.kind is EntryKind.EXPIRY or self.restores_lot else None

    @property
    def moved_micros(self) -> int:
        """The effect of the entry on lots and deficit; equals `amount_micros` in a valid ledger."""
        opened = self.lot.remaining_micros if self.lot else 0
        return opened - sum(draw.amount_micros for draw in self.draws) - self.deficit_micros


RULES = 3
"""Version of the rules of alerts and forecasts. A change of the rules increases the number:
results of older rules are then adopted (`RulesChange`), not decided again."""

_NO_RECHARGES = Recharges()
_NO_BURN = Burn()


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The input of the next decision. Its size does not grow with the age of the account.

    `commit` and `entry` are the last numbers given out, both without gaps; the committer counts the
    commits, since one commit holds the entries of many commands. `expired` are lots that an expiry
    emptied in the last 72 hours, with the expired amount: a late leg may still draw on them.
    `settings_version` is the version of the account's settings that the alert rules, the credit
    limit, `time_zone` and `auto_recharge` come from. `alerts` counts all alerts ever raised,
    `raised` are the open ones; `warned` lists the warnings about lots: (lot, days before its
    expiry); `announced` lists the announcements of other sources: (source, its last number).
    `pool_seconds` is the size of each month's pool of included minutes, `pools` is the used part.
    `rules` is the version of the rules of the last decision.
    """

    currency: str
    commit: int = 0
    entry: int = 0
    balance_micros: int = 0
    deficit_micros: int = 0
    lots: tuple[Lot, ...] = ()
    expired: tuple[Lot, ...] = ()
    credit_limit_micros: int = 0
    alert_rules: tuple[AlertRule, ...] = ()
    settings_version: int = 0
    last_top_up_micros: int = 0
    last_charge_micros: int = 0
    at: datetime | None = None
    time_zone: str = "UTC"
    auto_recharge: AutoRecharge | None = None
    recharges: Recharges = _NO_RECHARGES
    burn: Burn = _NO_BURN
    alerts: int = 0
    raised: tuple[OpenAlert, ...] = ()
    warned: tuple[tuple[str, int], ...] = ()
    announced: tuple[tuple[str, int], ...] = ()
    pool_seconds: int = 0
    pools: tuple[PoolMonth, ...] = ()
    rules: int = RULES


@dataclass(frozen=True, slots=True)
class RulesChange:
    """The first commit by newer rules, with the fields of the state that older ones had decided."""

    number: int
    adopted: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Configure:
    """Settings of the account that decisions depend on; opens the ledger the first time."""

    settings_version: int
    currency: str
    credit_limit_micros: int
    alert_rules: tuple[AlertRule, ...] = ()
    auto_recharge: AutoRecharge | None = None
    time_zone: str = "UTC"
    pool_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: due alerts are emitted or repeated, due recharges requested."""


@dataclass(frozen=True, slots=True)
class AnswerRecharge:
    """The payment provider's answer. `recharge` is the stored record, for a recharge that is no
    longer in flight. Success is a top-up under `key`, the recharge's id; `digest` as in `TopUp`."""

    recharge: Recharge
    status: RechargeStatus
    amount_micros: int
    currency: str
    key: str
    digest: str
    reference: str | None = None
    hard: bool = False
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An alert was acknowledged: it is not repeated."""

    alert: int
    actor: str


@dataclass(frozen=True, slots=True)
class Announce:
    """An event outside the ledger to publish. A `source` numbers its announcements; a number that
    is not above the last one was emitted before (0: not numbered). `name` distinguishes alerts of a
    type."""

    source: str
    number: int
    type: str
    name: str
    data: Mapping[str, object] = field(hash=False)


type NonPostingCommand = Configure | Tick | AnswerRecharge | Acknowledge | Announce
"""Commands that may change the state without an entry: journals keep the commands themselves."""


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """A command without an entry, as stored in a journal: it was carried out after this entry."""

    after_entry: int
    command: NonPostingCommand


@dataclass(frozen=True, slots=True)
class TopUp:
    """A top-up: credits as a new lot. `key` is the caller's idempotency key, scoped to the account;
    `digest` is the SHA-256 of the request."""

    key: str
    digest: str
    amount_micros: int
    kind: LotKind = LotKind.PURCHASED
    reference: str | None = None
    expires_at: datetime | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Adjust:
    """A correction by a person: positive opens a granted lot, negative draws first in, first out,
    below balance + credit limit only with `allow_overdraft`. `key` and `digest` as in `TopUp`."""

    key: str
    digest: str
    amount_micros: int
    reason: str
    actor: str | None = None
    allow_overdraft: bool = False


@dataclass(frozen=True, slots=True)
class LegCharge:
    """The cost of a leg and the permanent explanation of the charge, with its digest."""

    amount_micros: int
    charge: Mapping[str, object] = field(hash=False)
    digest: str


@dataclass(frozen=True, slots=True)
class PoolRequest:
    """A leg may take up to `seconds` from a month's pool; `after` returns the cost after a number
    of pooled seconds: the rest is a separate call."""

    month: str
    seconds: int
    after: Callable[[int], LegCharge]


@dataclass(frozen=True, slots=True)
class DebitLeg:
    """A rated leg. `charge` is the permanent explanation, `person` the part that can be erased;
    both are opaque here except for their digests, which the entry carries. `pool` are the included
    minutes that may pay for the leg. `earlier_digests` are those by which earlier versions of the
    product know the same content. One leg only settles an `authorization`: a second one is refused
    as `authorization_used`.
    """

    leg: str
    digest: str
    amount_micros: int
    answered_at: datetime
    authorization: str | None
    charge: Mapping[str, object] = field(hash=False)
    person: Mapping[str, object] = field(hash=False)
    charge_digest: str = ""
    person_digest: str = ""
    pool: PoolRequest | None = field(default=None, hash=False, compare=False)
    earlier_digests: tuple[str, ...] = ()
    hold: HoldEffect | None = None


@dataclass(frozen=True, slots=True)
class ReverseLeg:
    """A debit is taken back, once: `debit` is its entry, `paid` are the lots that paid it, as they
    were opened."""

    leg: str
    debit: Entry
    paid: tuple[Lot, ...]
    reason: str
    actor: str | None = None

    @property
    def digest(self) -> str:
        """The common key of two reversals of a leg, with any reason."""
        return f"entry {self.debit.sequence}"


@dataclass(frozen=True, slots=True)
class RerateLeg:
    """A re-rating of a leg: `debit`, its present one, is reversed and another one booked, once.

    `target` names the card and version that rated it now; the other fields are as in `DebitLeg`
    and `ReverseLeg`.
    """

    leg: str
    debit: Entry
    paid: tuple[Lot, ...]
    target: str
    amount_micros: int
    charge: Mapping[str, object] = field(hash=False)
    charge_digest: str
    reason: str
    actor: str | None = None

    @property
    def digest(self) -> str:
        """The common key of two re-ratings of a debit with the same request."""
        return f"entry {self.debit.sequence} by {self.target}"


@dataclass(frozen=True, slots=True)
class ExpireLot:
    """The expiry of a lot. `held_micros` is the sum of open holds, read after the expiry: later
    holds do not count on the lot."""

    lot: str
    held_micros: int


type Command = TopUp | Adjust | DebitLeg | ReverseLeg | RerateLeg | ExpireLot | NonPostingCommand


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of a command; `entries` is empty for a change of settings.

    `due` has the times at which the timer evaluates the account.
    """

    state: LedgerState
    command: Command
    entries: tuple[Entry, ...]
    events: tuple[Event, ...] = ()
    due: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The command can't be carried out; nothing changes."""

    error: PerminuteError


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The command changes nothing."""


type Decision = Decided | CommandRefused | Unchanged


def check(state: LedgerState) -> None:
    """Raises LedgerCorrupt unless balance = sum of lot remainders - deficit, none negative."""
    remaining = sum(lot.remaining_micros for lot in state.lots)
    if state.balance_micros != remaining - state.deficit_micros:
        raise LedgerCorrupt("The balance is not the sum of the lots less the deficit.")
    if state.deficit_micros < 0 or any(lot.remaining_micros <= 0 for lot in state.lots):
        raise LedgerCorrupt("An open lot is empty or negative, or the deficit is negative.")


def available_micros(state: LedgerState, held_micros: int) -> int:
    """balance - holds + credit limit (docs/ledger.md)."""
    return state.balance_micros - held_micros + state.credit_limit_micros

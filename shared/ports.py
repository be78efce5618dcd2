"""What the use cases need of the world: tables, queue, topic, clock, ids. Nothing here does I/O."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from shared.domain.alerts import Alert, Event
from shared.domain.card_versions import CardVersion, PutRules
from shared.domain.dial_out_facts import Denial
from shared.domain.hold_decide import Authorise, Extend, Granted
from shared.domain.holds import HoldState
from shared.domain.ledger import Command, Entry, LedgerState, SettingsChange
from shared.domain.parking import ParkedLeg
from shared.domain.rates import RateCardVersion
from shared.domain.recharge import Recharge
from shared.domain.webhooks import Delivery, Reply

type Value = str | int | bool | bytes | datetime
"""A property of a row. Integers are stored as Int64, times as aware UTC."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stored row. `values` never holds keys or system properties."""

    partition: str
    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Insert:
    """Write a row that must not be there yet."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """Write all of a row that must have this ETag."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Upsert:
    """Write all of a row, whether it is there or not."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row; with an ETag, only that version of it."""

    key: str
    etag: str | None = None


type Operation = Insert | Replace | Upsert | Delete


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in key order; `cursor` is None on the last page, else opaque."""

    rows: tuple[Row, ...]
    cursor: str | None


class TableStore(Protocol):
    """Table storage: rows in partitions, a transaction within one partition.

    Reads raise StoreUnavailable. Keys are compared by code point.
    """

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """One row, or None."""
        ...

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Rows of one partition in key order: key >= first, > after, < before, string properties
        equal to `where`; at most `limit` of them, all pages read until then."""
        ...

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> Page:
        """Rows of all partitions, a page at a time, ordered by (partition, key).

        A page may be short or empty and still carry a cursor. Raises Invalid `cursor_invalid` on
        a cursor that is not ours."""
        ...

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        """All of the operations, or none; the new ETags in their order ("" for a deletion).

        Raises RowExists, EtagMismatch, RowMissing (nothing was written; `index` names the
        operation), RequestTooLarge (refused before sending), StoreUnavailable (proof that nothing
        was written) and OutcomeUnknown (no proof either way). Never retries by itself.
        """
        ...


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as plain text; `mail_id` is the same however often it is sent."""

    mail_id: str
    to: Sequence[str]
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """What goes onto the queue or the topic."""

    message_id: str
    body: bytes
    properties: Mapping[str, str]
    content_type: str = "application/json"


class CallQueue(Protocol):
    """The queue `call-ended`."""

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Returns once the broker has all of them; `at` schedules them for later.

        Raises QueueUnavailable when that is not certain.
        """
        ...


class Inbox(Protocol):
    """Where legs wait that the queue could not take (DESIGN 4)."""

    async def keep(self, messages: Sequence[Message], now: datetime) -> None:
        """Returns once all are durable. Raises StoreUnavailable when that is not certain."""
        ...

    async def waiting(self, *, limit: int) -> list[Message]:
        """At most `limit` of the messages that are kept."""
        ...

    async def sent(self, message: Message) -> None:
        """Take one out; nothing happens if it is gone."""
        ...


class Deliveries(Protocol):
    """Events on their way to receivers outside: each target of an account is a list of its own."""

    async def accept(self, delivery: Delivery) -> bool:
        """Keep a delivery that waits; False if it is there already."""
        ...

    async def waiting(self, account: str, target: str, *, limit: int) -> list[str]:
        """The oldest events that wait, by their ids, in their order."""
        ...

    async def get(self, account: str, target: str, event: str) -> Delivery | None:
        """The delivery of an event, or None."""
        ...

    async def update(self, delivery: Delivery) -> None:
        """Write how far it is; it waits as long as its status says so."""
        ...

    async def page(
        self, account: str, target: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """The newest deliveries first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def lease(self, account: str, target: str, now: datetime) -> str | None:
        """Take the right to send; its token, or None while somebody else has it."""
        ...

    async def release(self, account: str, target: str, token: str) -> None:
        """Give the right back, if it is still ours."""
        ...

    async def stop(self, account: str, target: str, token: str, at: datetime) -> None:
        """The receiver wants nothing any more; the right is given back."""
        ...

    async def stopped_at(self, account: str, target: str) -> datetime | None:
        """When its receiver said so, or None."""
        ...

    async def restart(self, account: str, target: str) -> None:
        """It was set up anew: its receiver may want events again."""
        ...


class WebhookSender(Protocol):
    """Sends to receivers that others chose."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post it once and say what came back. Never raises for what a receiver does."""
        ...


class Mailer(Protocol):
    """Sends mail."""

    async def send(self, mail: Mail) -> Reply:
        """Hand it to the mail server once; status 250 where that took it. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """Something that was accepted at a time: a `leg` as it is queued, or what is `unreadable`."""

    at: datetime
    kind: str
    body: bytes


class Archive(Protocol):
    """What was accepted, kept for weeks where the loss of a region does not reach it."""

    async def keep(self, items: Sequence[Accepted]) -> None:
        """Returns once all are written. Raises StoreUnavailable when that is not certain."""
        ...

    def read(self, since: datetime, until: datetime) -> AsyncIterator[Accepted]:
        """What was accepted from `since` to before `until`. Raises StoreUnavailable, ValueError."""
        ...


class EventTopic(Protocol):
    """The topic `credit-events`."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has all of them, in order. Raises QueueUnavailable."""
        ...


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...


class Ids(Protocol):
    """The only source of randomness."""

    def token(self, bytes_count: int) -> str:
        """URL-safe random text made of that many random bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a ledger command. `repeated`: it was carried out before, and this is its
    first result. `events` tells that the commit put events into the outbox."""

    entry: Entry | None
    repeated: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True)
class Clash:
    """The same key was used before for something else, whose entry this is."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class LegRecord:
    """A debited leg as it is kept: its guard, charge, erasable person's part and entry."""

    leg: str
    digest: str
    charge: Mapping[str, object]
    person: Mapping[str, object]
    entry: Entry


@dataclass(frozen=True, slots=True)
class Commit:
    """One journal row: the entries that were written together, the number of the `first` one.
    `events_digest` is the digest of the events that it put into the outbox, if any."""

    number: int
    at: datetime
    balance_micros: int
    first: int
    entries: tuple[Entry, ...]
    settings: tuple[SettingsChange, ...] = ()
    events_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Outbox:
    """The events of one commit, not yet published."""

    commit: int
    at: datetime
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What recomputing an account's ledger found; `problems` is empty when all is well."""

    commits: int
    entries: int
    legs: int
    balance_micros: int
    head: str
    problems: tuple[str, ...]


class Ledger(Protocol):
    """What happened to an account's credits (DESIGN 4). The account is the partition."""

    async def state(self, account: str) -> LedgerState | None:
        """The state as it is stored now; None before the ledger is opened."""
        ...

    async def submit(self, account: str, command: Command) -> Written | Clash:
        """The outcome of a command, once it is durable.

        Raises what the decision refuses with; Unavailable when the outcome is not certain (come
        back with the same key); Conflict `ledger_not_open` before the first Configure.
        """
        ...

    async def leg(self, account: str, leg: str) -> LegRecord | None:
        """The debited leg with this key, or None."""
        ...

    async def debits(self, account: str, leg: str) -> list[LegRecord]:
        """The leg's debit and its re-ratings, in order; the last one is the present one."""
        ...

    async def journal(self, account: str, *, after: int, limit: int) -> list[Commit]:
        """At most `limit` commits with numbers above `after`, in order."""
        ...

    async def history(self, account: str, *, after: int) -> list[Commit]:
        """The next commits after a number, many at a time; empty when there are none."""
        ...

    async def pack_until(self, account: str, before: datetime) -> int:
        """Pack what was committed before a time into segments; the number of new ones."""
        ...

    async def commit_at(self, account: str, moment: datetime) -> Commit | None:
        """The last commit at or before a moment, or None."""
        ...

    async def entry(self, account: str, sequence: int) -> Entry | None:
        """The entry with this number, or None."""
        ...

    async def reversal(self, account: str, debit: int) -> Entry | None:
        """The entry that took the debit with this number back, or None."""
        ...

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        """The oldest unpublished events, in order."""
        ...

    async def published(self, account: str, commit: int) -> None:
        """Take a commit's events out of the outbox; nothing happens if they are gone."""
        ...

    async def head_at(self, account: str, commit: int) -> str | None:
        """The hash of a commit's journal row, or None."""
        ...

    async def verify(self, account: str, *, resume: bool = False) -> Verification:
        """Recompute chain, numbers, balances, lots and guards from what is stored; with `resume`
        from where the last sound verification ended."""
        ...


@dataclass(frozen=True, slots=True)
class DueMark:
    """Something to look at from a time on: a superset of what is really due (DESIGN 4)."""

    account: str
    kind: str
    at: datetime


class DueMarks(Protocol):
    """The marks that tell the timer which accounts to look at."""

    async def mark(self, marks: Sequence[DueMark]) -> None:
        """Write marks; one that is there already stays."""
        ...

    async def due(self, now: datetime, *, limit: int) -> list[DueMark]:
        """Marks whose time has come, at most `limit` of them."""
        ...

    async def clear(self, marks: Sequence[DueMark]) -> None:
        """Delete marks that were acted upon."""
        ...


class Notices(Protocol):
    """Alerts and recharges with their history, as the outbox told of them."""

    async def keep(self, account: str, row: Outbox) -> None:
        """Write what an outbox row tells of alerts and recharges; again changes nothing."""
        ...

    async def alerts(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Alert], str | None]:
        """The newest alerts first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def alert(self, account: str, number: int) -> Alert | None:
        """The alert with this number, or None."""
        ...

    async def acknowledge(self, account: str, number: int, actor: str, at: datetime) -> None:
        """Note who saw an alert; the first one stays."""
        ...

    async def recharges(
        self, account: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Recharge], str | None]:
        """The newest recharges first, and the next cursor. Raises Invalid `cursor_invalid`."""
        ...

    async def recharge(self, account: str, number: int) -> Recharge | None:
        """The recharge with this number, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """A document of the directory, in the version that `etag` names."""

    key: str
    document: Mapping[str, object]
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP wants it."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True)
class Saved:
    """A document that was just written; `created` tells 201 from 200."""

    created: bool
    version: int

    @property
    def etag(self) -> str:
        """The quoted version, as HTTP wants it."""
        return f'"{self.version}"'


class RecordStore(Protocol):
    """JSON documents by (kind, key), each with a version that counts up. Raises StoreUnavailable.

    Kinds that can be listed have ids of our own as keys, all others may have any text.
    """

    async def get(self, kind: str, key: str) -> Record | None:
        """The document, or None."""
        ...

    async def put(
        self, kind: str, key: str, document: Mapping[str, object], *, if_match: str | None
    ) -> Saved:
        """Create, or replace the version that `if_match` names (an `If-Match` header's value).

        Raises PreconditionMissing where there is a document and no `if_match`, PreconditionFailed
        where `if_match` names no current version.
        """
        ...

    async def delete(self, kind: str, key: str) -> bool:
        """Remove the document; False if there was none."""
        ...

    async def list(
        self, kind: str, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Record], str | None]:
        """Documents of a kind in the order of their keys, and the cursor of the next page.

        Raises Invalid `cursor_invalid` on a cursor that is not ours.
        """
        ...


@dataclass(frozen=True, slots=True)
class RateReference:
    """The rate that a hold was reckoned with, without the number that was dialled.

    `is_included`: the organizer's licence pays for such calls.
    """

    card: str
    version: datetime
    kind: str
    prefix: str
    origin: str | None
    is_included: bool = False


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A question as it is kept: who asked what (`digest`), and the answer that was given.

    `granted_seconds` is 0 for a denial. What is granted, of which `pool_seconds` are paid in
    minutes, is as of the last extension; `rate`, `asked_at`, `organizer` and `conference` are what
    one has to know.
    """

    authorization: str
    bridge: str
    digest: str
    answer: Mapping[str, object]
    granted_seconds: int = 0
    pool_seconds: int = 0
    amount_micros: int = 0
    expires_at: datetime | None = None
    asked_at: datetime | None = None
    rate: RateReference | None = None
    organizer: str | None = None
    conference: str | None = None


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Place a hold and keep the answer that `record` makes of it."""

    authorise: Authorise
    record: Callable[[Granted], HoldRecord]


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Let a call go on whose hold is on record."""

    extend: Extend
    record: HoldRecord


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer that is kept; `repeated`: it was given before. `events`: others must hear."""

    record: HoldRecord
    repeated: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """What a person (or a setting) turns in the hold book, where it bites at once. None: as it is.

    `stop` is why dial-out is stopped, "" lets it go on.
    """

    stop: str | None = None
    suspended: bool | None = None


class HoldBook(Protocol):
    """What may happen: credit that authorisations hold (DESIGN 4). The account is the partition."""

    async def view(
        self, account: str, *, fresh: bool = True, scopes: Sequence[str] = ()
    ) -> HoldState:
        """The hold book with the counters of these scopes; nothing is written.

        `fresh`: caught up with the ledger now; else at most 2 s ago.
        """
        ...

    async def place(self, account: str, command: PlaceHold) -> Answered | Denial:
        """Place a hold, or say why not. The same authorisation gets its first answer."""
        ...

    async def keep(self, account: str, record: HoldRecord) -> Answered:
        """Keep an answer that holds nothing, a denial; the first answer wins."""
        ...

    async def record(self, account: str, authorization: str) -> HoldRecord | None:
        """The question and answer of an authorisation, or None."""
        ...

    async def extend(self, account: str, command: ExtendHold) -> Granted | None:
        """Let a call go on as long as it can be paid; None when its hold is not open any more."""
        ...

    async def release(self, account: str, authorization: str, bridge: str) -> None:
        """Give back what an authorisation holds; again changes nothing.

        Raises NotFound when this bridge placed no such hold.
        """
        ...

    async def switch(self, account: str, command: Switch) -> bool:
        """Stop, restart, suspend; whether anything changed, which it has on every process then."""
        ...

    async def catch_up(self, account: str, *, lag_commits: int = 0) -> None:
        """Settle what debits settled, and know the balance as it is now. With `lag_commits` only
        where a hold is to be settled, or the hold book is so far behind."""
        ...

    def nudge(self, account: str) -> None:
        """The account was debited: catch up soon, in the background. Best effort: a lost nudge only
        makes the hold book too careful for a moment."""
        ...

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        """The oldest unpublished events of the hold book, in order."""
        ...

    async def published(self, account: str, commit: int) -> None:
        """Take a commit's events out of the outbox; nothing happens if they are gone."""
        ...


class Backlog(Protocol):
    """How far the queue is behind. While it is, no hold expires: its leg may be waiting there."""

    async def seen(self, oldest_seconds: float) -> None:
        """A batch came whose oldest leg was posted so long ago. Never raises."""
        ...

    async def seconds(self) -> int:
        """The age of what is processed now; 0 when the queue keeps up or nobody knows."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """The facts that are pinned for a leg at its first delivery (DESIGN 4)."""

    account: str
    organizer: str | None


class Claims(Protocol):
    """Whose a leg is, pinned before its first commit."""

    async def claim(self, leg: str, wanted: Claim) -> Claim:
        """The claim that holds for the leg key: the first one ever made."""
        ...

    async def find(self, leg: str) -> Claim | None:
        """The claim that was made for the leg key, if any."""
        ...


class ParkingLot(Protocol):
    """Legs that wait because they could not be charged."""

    async def park(self, parked: ParkedLeg) -> ParkedLeg:
        """Keep it; one that is there with the same id stays as it is and is returned."""
        ...

    async def get(self, parked_id: str) -> ParkedLeg | None:
        """The parked leg with this id, or None."""
        ...

    async def of_leg(self, leg: str) -> list[ParkedLeg]:
        """All that is parked under a leg key."""
        ...

    async def update(self, parked: ParkedLeg, *, unpin: bool = False) -> ParkedLeg:
        """Write its status, attempts and reason, unless it has a later status meanwhile: open,
        dismissed, replayed. Its pin stays, unless `unpin`. Returns what is kept."""
        ...

    async def pin(self, parked_id: str, leg: str) -> ParkedLeg:
        """Say as which leg it is charged, unless that was said before or it is closed. Returns
        what is kept."""
        ...

    async def announced(self, parked_id: str) -> None:
        """Note that the account was told."""
        ...

    async def oldest_open(self) -> datetime | None:
        """When the oldest leg that is still open was received, of the first so many that are."""
        ...

    async def page(
        self, *, where: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[list[ParkedLeg], str | None]:
        """Parked legs whose `account`, `reason` or `status` equal `where`, and the next cursor."""
        ...


class RateCards(Protocol):
    """Rate card versions by the time from which they hold."""

    async def version_for(self, card: str, answered_at: datetime) -> RateCardVersion | None:
        """The version in force then, or None. Absence is only told after a fresh read."""
        ...


class RateCardStore(RateCards, Protocol):
    """Rate cards for those who make them. Everything raises StoreUnavailable."""

    async def put(self, version: RateCardVersion, rules: PutRules) -> CardVersion:
        """Make or replace a version; raises what `check_put` raises."""
        ...

    async def check(self, card: str, effective_from: datetime, rules: PutRules) -> None:
        """Raises what `put` would raise for such a version, and writes nothing."""
        ...

    async def version(
        self, card: str, effective_from: datetime
    ) -> tuple[CardVersion, RateCardVersion] | None:
        """The version that takes effect then, with all its rates, or None."""
        ...

    async def versions(self, card: str) -> Sequence[CardVersion]:
        """The versions of a card by the time from which they hold; none: no such card."""
        ...

    async def cards(self, *, limit: int, after: str | None) -> Sequence[str]:
        """Names of cards in order, at most `limit`."""
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of an account's ledger at a commit, as it was when it was anchored."""

    account: str
    commit: int
    head: str


class Anchors(Protocol):
    """Heads of ledgers, kept where nobody can change them."""

    async def write(self, day: date, anchors: Sequence[Anchor]) -> int:
        """Anchor a day; the first anchors of a day stay. Raises StoreUnavailable."""
        ...

    async def latest(self, account: str, today: date) -> Anchor | None:
        """The newest anchor of an account, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each table named a person who was erased."""

    legs: int
    parked: int
    claims: int
    holds: int
    directory: int


class Eraser(Protocol):
    """Takes a person out of every table; money and chain stay."""

    async def erase(self, account: str, *, number: str | None, organizer: str | None) -> Erased:
        """Erase a number or an organizer from an account; again changes nothing.

        Raises StoreUnavailable when it is not certain: then erase again.
        """
        ...

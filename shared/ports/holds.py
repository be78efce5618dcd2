"""The hold book: credit that authorizations reserve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.common.kinds import LegKind
from shared.domain.dial_out.facts import Denial
from shared.domain.dial_out.hold_book import HoldState
from shared.domain.dial_out.hold_decisions import Authorise, Extend, Granted
from shared.ports.ledger import Outbox


@dataclass(frozen=True, slots=True)
class RateReference:
    """The rate of a hold, without the dialled number.

    `is_included`: the organizer's license pays for such calls. `after`: the rate of the next
    version, where that takes effect while the call rings.
    """

    card: str
    version: datetime
    kind: str
    prefix: str
    origin: str | None
    is_included: bool = False
    after: "RateReference | None" = None


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A stored request: its sender, its content (`digest`), and its response.

    `granted_seconds` is 0 for a denial. The granted seconds, of which included minutes pay
    `pool_seconds`, are those of the last extension; `released`: the bridge gave it back. An
    extension needs `rate`, `requested_at`, `organizer` and `conference`. `caller` is the number
    that calls, as the bridge sent it. An allowed dial-out has the `day` and the `scopes` that its
    charge is counted in (`Hold`).
    """

    authorization: str
    bridge: str
    digest: str
    answer: Mapping[str, object]
    granted_seconds: int = 0
    pool_seconds: int = 0
    amount_micros: int = 0
    expires_at: datetime | None = None
    requested_at: datetime | None = None
    rate: RateReference | None = None
    organizer: str | None = None
    conference: str | None = None
    caller: str | None = None
    day: str = ""
    scopes: tuple[str, ...] = ()
    released: bool = False

    @property
    def is_dial_out(self) -> bool:
        """True if a call to be made was allowed, not a caller admitted."""
        return self.rate is not None and self.rate.kind == LegKind.DIAL_OUT

    @property
    def number(self) -> str | None:
        """The number to dial, or the called number, as in the response."""
        destination = self.answer.get("destination")
        number = destination.get("number") if isinstance(destination, Mapping) else None
        return str(number) if number else None


@dataclass(frozen=True, slots=True)
class PlaceHold:
    """Place a hold and store the answer that `record` renders."""

    authorise: Authorise
    record: Callable[[Granted], HoldRecord]


@dataclass(frozen=True, slots=True)
class ExtendHold:
    """Extend a call with a stored hold."""

    extend: Extend
    record: HoldRecord


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """The stored answer; `repeated`: the answer was stored before. `events`: events wait to be
    published."""

    record: HoldRecord
    repeated: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True)
class DialOutControl:
    """Switches of the hold book that take effect at once. None: unchanged.

    `stop` is the reason for the stop of dial-out, "" ends the stop.
    """

    stop: str | None = None
    suspended: bool | None = None


class HoldBook(Protocol):
    """Credit that authorizations reserve (docs/architecture.md). The account is the partition."""

    async def view(
        self, account: str, *, fresh: bool = True, scopes: Sequence[str] = ()
    ) -> HoldState:
        """The hold book with the counters of these scopes; nothing is written.

        `fresh`: caught up with the ledger now; else at most 2 s ago.
        """
        ...

    async def place(self, account: str, command: PlaceHold) -> StoredDecision | Denial:
        """Place a hold, or return the denial. The same authorization gets its first answer."""
        ...

    async def keep(self, account: str, record: HoldRecord) -> StoredDecision:
        """Store a decision that holds nothing, a denial; the first decision wins. Raises
        Unavailable when that is not certain."""
        ...

    async def record(self, account: str, authorization: str) -> HoldRecord | None:
        """The request and answer of an authorization, or None."""
        ...

    async def placed_for(self, account: str, leg: str) -> str | None:
        """The last authorization that was placed for the leg with this key, or None."""
        ...

    async def extend(self, account: str, command: ExtendHold) -> Granted | None:
        """Extend a call as far as the funds pay for it; None if its hold is no longer open."""
        ...

    async def answer(self, account: str, authorization: str, answered_at: datetime) -> datetime:
        """Store the time at which a call was answered, limited to the time between its request and
        now, and return it. Raises Conflict `authorization_ended` when its hold is not open any
        more."""
        ...

    async def notified(self, account: str, authorization: str, signal: str) -> None:
        """Store the last signal that a call's bridge accepted; no effect once its hold is
        closed."""
        ...

    async def release(self, account: str, authorization: str) -> None:
        """Release the hold of an authorization; nothing happens where none is open."""
        ...

    async def switch(self, account: str, command: DialOutControl) -> bool:
        """Stop, restart or suspend dial-out; True if that changed anything. The change then holds
        in every process."""
        ...

    async def catch_up(self, account: str, *, lag_commits: int = 0) -> None:
        """Settle the holds of debits, and read the present balance. With `lag_commits` only if a
        hold has to be settled, or the hold book is that many commits behind."""
        ...

    async def refresh(self, account: str) -> None:
        """Catch up after new credits, before the account's next call; waits for a short time at
        most. Best effort."""
        ...

    def refresh_async(self, account: str) -> None:
        """Catch up after a debit, soon, in the background. Best effort: until a lost refresh is
        repeated, the hold book counts the hold instead of the charge."""
        ...

    async def outbox(self, account: str, *, limit: int) -> list[Outbox]:
        """The oldest unpublished events of the hold book, in order."""
        ...

    async def published(self, account: str, commit: int) -> None:
        """Delete a commit's events from the outbox; no effect if they are deleted already."""
        ...

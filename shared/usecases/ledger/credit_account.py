"""Money that people move: top-ups, grants, adjustments and reversals, each once."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.common import limits
from shared.domain.common.errors import (
    Conflict,
    Invalid,
    LedgerCorrupt,
    NotFound,
    PerminuteError,
    Unavailable,
)
from shared.domain.credits.lots import Lot, opening_entry
from shared.domain.directory.entities import Account
from shared.domain.ledger.model import Adjust, Entry, ReverseLeg, TopUp
from shared.domain.legs.leg import decode_leg_key
from shared.ports.holds import HoldBook
from shared.ports.ledger import CommitResult, IdempotencyConflict, Ledger, LegRecord
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.sync_ledger_settings import OpenLedger

type Booking = TopUp | Adjust | ReverseLeg
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreditAccount:
    """Books what a person or a payment provider asks for, once per key."""

    facts: DirectoryCache
    ledger: Ledger
    open_ledger: OpenLedger
    holds: HoldBook
    publish: PublishEvents

    async def __call__(self, account: str, command: Booking) -> tuple[Entry, bool]:
        """(the entry, whether it was there before).

        Raises NotFound `account_unknown`, Invalid (also `idempotency_key_reused`), Conflict
        `too_many_lots`, and Unavailable when it is not certain: come back with the same key.
        """
        known = await self.facts.require_account(account)
        written = await self._submit(known, command)
        if isinstance(written, IdempotencyConflict):
            raise Invalid(
                "The Idempotency-Key was used with another body.", code="idempotency_key_reused"
            )
        if written.entry is None:
            raise Unavailable("The booking left no entry.")
        await self._refresh_async(account)
        if written.events:
            await self.publish.best_effort(account, hold_book=False)
        return written.entry, written.repeated

    async def _refresh_async(self, account: str) -> None:
        """Let the hold book know of it before the caller does. It would find out by itself."""
        try:
            async with asyncio.timeout(limits.NUDGE_WAIT_SECONDS_MAX):
                await self.holds.catch_up(account)
        except (PerminuteError, TimeoutError) as error:
            _log.info("a hold book was not told of credits: %s", error)

    async def reverse(
        self, account: str, shown_leg: str, *, reason: str, actor: str
    ) -> tuple[Entry, bool]:
        """Take a leg's present debit back: (the entry, whether it was taken back before).

        Raises NotFound `leg_unknown`, and what booking raises.
        """
        leg = decode_leg_key(shown_leg)
        for _ in range(limits.COMMIT_TRIES_MAX):
            debits = await self.ledger.debits(account, leg)
            if not debits:
                raise NotFound("There is no such charged leg.", code="leg_unknown")
            debit = present_debit(debits)
            paid = await opened_lots(self.ledger, account, debit)
            try:
                command = ReverseLeg(leg, debit, paid, reason=reason, actor=actor)
                return await self(account, command)
            except Invalid as clash:
                if clash.code != "idempotency_key_reused":
                    raise  # else it was charged anew meanwhile: that is the debit to take back
        raise Unavailable("The leg is charged anew again and again.", code="contended")

    async def _submit(
        self, account: Account, command: Booking
    ) -> CommitResult | IdempotencyConflict:
        try:
            return await self.ledger.submit(account.id, command)
        except Conflict as conflict:
            if conflict.code != "ledger_not_open":
                raise
            await self.open_ledger(account)
            return await self.ledger.submit(account.id, command)


def present_debit(debits: Sequence[LegRecord]) -> Entry:
    """The debit of a leg that counts now, with the authorization and the organizer that the leg is
    counted under: both stand with its first debit."""
    first, present = debits[0], debits[-1].entry
    authorization = present.authorization or first.charge.get("authorization")
    organizer = first.person.get("organizer")
    return replace(
        present,
        authorization=authorization if isinstance(authorization, str) else None,
        organizer=organizer if isinstance(organizer, str) else None,
    )


async def opened_lots(ledger: Ledger, account: str, debit: Entry) -> tuple[Lot, ...]:
    """The lots that paid a debit, as they were opened. Raises LedgerCorrupt."""
    lots: list[Lot] = []
    for draw in debit.draws:
        entry = await ledger.entry(account, opening_entry(draw.lot))
        if entry is None or entry.lot is None:
            raise LedgerCorrupt(f"The entry that opened {draw.lot} is missing.")
        lots.append(entry.lot)
    return tuple(lots)

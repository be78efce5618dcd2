"""Movements of money by persons: top-ups, grants, adjustments and reversals, each once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.common import limits
from shared.domain.common.errors import (
    Invalid,
    LedgerCorrupt,
    NotFound,
    Unavailable,
)
from shared.domain.credits.lots import Lot, opening_entry
from shared.domain.ledger.decide import decide
from shared.domain.ledger.model import Adjust, CommandRefused, Decided, Entry, ReverseLeg, TopUp
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.legs.leg import decode_leg_key
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook
from shared.ports.ledger import IdempotencyConflict, Ledger, LegRecord
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.directory.sync_ledger_settings import OpenLedger

type CreditCommand = TopUp | Adjust | ReverseLeg


@dataclass(frozen=True, slots=True)
class CreditAccount:
    """Books what a person or a payment provider requests, once per key."""

    facts: DirectoryCache
    ledger: Ledger
    open_ledger: OpenLedger
    holds: HoldBook
    publish: PublishEvents
    clock: Clock

    async def __call__(self, account: str, command: CreditCommand) -> tuple[Entry, bool]:
        """(the entry, whether it was there before).

        Raises NotFound `account_unknown`, Invalid (also `idempotency_key_reused`), Conflict
        `too_many_lots`, and Unavailable when the outcome is uncertain: repeat the request with the
        same key.
        """
        facts = await self.facts.require_account(account)
        written = await self.open_ledger.submit(facts, command)
        if isinstance(written, IdempotencyConflict):
            raise Invalid(
                "The Idempotency-Key was used with another body. "
                "Send a new key with each new request.",
                code="idempotency_key_reused",
            )
        if written.entry is None:
            raise Unavailable("The booking left no entry.")
        await self.holds.refresh(account)
        if written.events:
            await self.publish.best_effort(account, hold_book=False)
        return written.entry, written.repeated

    async def reverse(
        self, account: str, shown_leg: str, *, reason: str, actor: str, dry_run: bool
    ) -> tuple[Entry, bool]:
        """Reverse a leg's present debit, or preview the entry: (the entry, True if the debit was
        reversed before).

        Raises NotFound `leg_unknown`, and what booking raises.
        """
        leg = decode_leg_key(shown_leg)
        for _ in range(limits.COMMIT_TRIES_MAX):
            debits = await self.ledger.debits(account, leg)
            if not debits:
                raise NotFound(
                    "The account has no charged leg with this id. List the legs for the ids. "
                    "A parked leg is charged once it is corrected and replayed.",
                    code="leg_unknown",
                )
            debit = present_debit(debits)
            paid = await opened_lots(self.ledger, account, debit)
            command = ReverseLeg(leg, debit, paid, reason=reason, actor=actor)
            if dry_run:
                return await self._foreseen(account, command)
            try:
                return await self(account, command)
            except Invalid as clash:
                if clash.code != "idempotency_key_reused":
                    raise  # else it was re-rated meanwhile: that is the debit to reverse
        raise Unavailable(
            "Other requests re-rate the leg at the same time.",
            code="contended",
        )

    async def _foreseen(self, account: str, command: ReverseLeg) -> tuple[Entry, bool]:
        """The entry that the command would write, or has written."""
        written = await self.ledger.reversal(account, command.debit.sequence)
        if written is not None:
            return written, True
        decision = decide(await self.ledger.state(account), command, self.clock.now())
        if isinstance(decision, CommandRefused):
            raise decision.error
        assert isinstance(decision, Decided)
        return decision.entries[-1], False


def present_debit(debits: Sequence[LegRecord]) -> Entry:
    """The debit of a leg that counts now, with the authorization and the organizer that the leg is
    counted under: both are in its first debit."""
    first, present = debits[0], debits[-1].entry
    authorization = present.authorization or ChargeRecord(first.charge).authorization
    organizer = first.person.get("organizer")
    return replace(
        present,
        authorization=authorization,
        organizer=organizer if isinstance(organizer, str) else None,
    )


async def opened_lots(ledger: Ledger, account: str, debit: Entry) -> tuple[Lot, ...]:
    """The lots that paid a debit, at their opening. Raises LedgerCorrupt."""
    lots: list[Lot] = []
    for draw in debit.draws:
        entry = await ledger.entry(account, opening_entry(draw.lot))
        if entry is None or entry.lot is None:
            raise LedgerCorrupt(f"The entry that opened {draw.lot} is missing.")
        lots.append(entry.lot)
    return tuple(lots)

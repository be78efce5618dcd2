"""Organizers and an account's dial-out policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import Invalid, NotFound, SettingsUnreadable
from shared.domain.common.ids import FOREIGN_ID_RULE, is_foreign_id
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.hold_book import Hold
from shared.domain.dial_out.policy import AccountPolicy
from shared.ports.clock import Clock
from shared.ports.holds import DialOutControl, HoldBook, HoldRecord
from shared.ports.legs import ParkingLot
from shared.ports.records import RecordStore, SavedDocument, StoredDocument, retire
from shared.usecases.delivery.publish_events import PublishEvents
from shared.usecases.dial_out.missing_legs import MissingLeg, missing_legs
from shared.usecases.dial_out.watch_calls import WatchCalls
from shared.usecases.directory import codecs
from shared.usecases.directory.account_lists import present_items
from shared.usecases.directory.codecs import Kind, organizer_key
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class DialOutStatus:
    """The state of dial-out: `stopped` is the reason of a stop, or ""; `calls` are the open ones
    with their requests, `missing` those without an event for a day."""

    suspended: bool
    stopped: str
    calls: Sequence[tuple[Hold, HoldRecord]]
    held_micros: int
    missing: Sequence[MissingLeg]


@dataclass(frozen=True, slots=True)
class DialOutSettings:
    """Everything raises StoreUnavailable, and NotFound `account_unknown`."""

    records: RecordStore
    facts: DirectoryCache
    holds: HoldBook
    parking: ParkingLot
    publish: PublishEvents
    clock: Clock
    watch: WatchCalls

    async def put_organizer(
        self, account: str, organizer: OrganizerFacts, if_match: str | None
    ) -> SavedDocument:
        """Create or replace an organizer. Raises Invalid `id_invalid` and what
        `RecordStore.put` raises."""
        if not is_foreign_id(organizer.organizer):
            raise Invalid(
                f"The id is not valid. An organizer's id has {FOREIGN_ID_RULE}.", code="id_invalid"
            )
        key = organizer_key(account, organizer.organizer)
        document = codecs.organizer_document(organizer)
        return await self._put(account, Kind.ORGANIZER, key, document, if_match)

    async def read_organizer(self, account: str, organizer: str) -> tuple[OrganizerFacts, str]:
        """(the organizer, its ETag). Raises NotFound `organizer_unknown`, SettingsUnreadable."""
        await self.facts.require_account(account)
        record = await self.records.get(Kind.ORGANIZER, organizer_key(account, organizer))
        if record is None:
            raise NotFound(
                "The account has no organizer with this id. Register the organizer with PUT.",
                code="organizer_unknown",
            )
        return codecs.organizer(record), record.etag

    async def organizers(
        self, account: str, *, prefix: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[tuple[str, OrganizerFacts | None, str]], str | None]:
        """((id, organizer or None where it can't be read, ETag), the last id if more follow)."""
        await self.facts.require_account(account)

        async def read(organizer: str) -> tuple[str, OrganizerFacts | None, str] | None:
            try:
                return organizer, *await self.read_organizer(account, organizer)
            except NotFound:
                return None
            except SettingsUnreadable as error:
                return organizer, None, error.etag or ""

        return await present_items(
            self.records, Kind.ORGANIZER, account, read, prefix=prefix, limit=limit, after=cursor
        )

    async def delete_organizer(self, account: str, organizer: str, if_match: str | None) -> None:
        """The account has no such organizer from now on; legs that were answered before are charged
        as they would be. Raises NotFound `organizer_unknown`, PreconditionFailed."""
        await self.facts.require_account(account)
        key = organizer_key(account, organizer)

        def former(record: StoredDocument) -> Mapping[str, object]:
            return codecs.former_organizer_document(record.document, self.clock.now())

        is_removed = await retire(
            self.records, Kind.ORGANIZER, Kind.FORMER_ORGANIZER, key, if_match, former
        )
        if not is_removed:
            raise NotFound(
                "The account has no organizer with this id. Register the organizer with PUT.",
                code="organizer_unknown",
            )
        self.facts.drop(Kind.ORGANIZER, key)
        self.facts.drop(Kind.FORMER_ORGANIZER, key)

    async def put_policy(
        self, account: str, policy: AccountPolicy, if_match: str | None
    ) -> SavedDocument:
        """Create or replace the account's policy. Raises what `RecordStore.put` raises.

        The suspension of the account is also stored in its hold book, where it takes effect at
        once: if that fails, put the policy again."""
        document = codecs.policy_document(policy)
        saved = await self._put(account, Kind.DIAL_OUT_POLICY, account, document, if_match)
        await self._halt(account, DialOutControl(suspended=policy.suspended))
        return saved

    async def stop(self, account: str, why: str) -> None:
        """Stop the account's dial-out on every process until `restart`. A repetition changes
        nothing."""
        await self.facts.require_account(account)
        if await self._halt(account, DialOutControl(stop=why)):
            await self.publish.best_effort(account)

    async def _halt(self, account: str, command: DialOutControl) -> bool:
        """Switch dial-out, and end the calls that may not continue. A timer ends them if this
        process stops."""
        if command.stop or command.suspended:
            await self.watch.mark(account)
        is_changed = await self.holds.switch(account, command)
        if is_changed and (command.stop or command.suspended):
            self.watch.halted(account)
        return is_changed

    async def restart(self, account: str) -> bool:
        """Restart dial-out after a stop by a person or the breaker; True if it was stopped."""
        await self.facts.require_account(account)
        was_stopped = await self.holds.switch(account, DialOutControl(stop=""))
        if was_stopped:
            await self.publish.best_effort(account)
        return was_stopped

    async def running(self, account: str) -> DialOutStatus:
        """The present state of the account's dial-out in the hold book."""
        await self.facts.require_account(account)
        view = await self.holds.view(account)
        now = self.clock.now()
        missing = await missing_legs(self.holds, self.parking, account, view, now)
        open_holds = list(view.open_holds(now))
        records = await gather_bounded(
            lambda hold: self.holds.record(account, hold.authorization),
            open_holds,
            at_once=limits.BULK_READS_AT_ONCE,
        )
        pairs = zip(open_holds, records, strict=True)
        calls = [(hold, record) for hold, record in pairs if record is not None]
        return DialOutStatus(view.suspended, view.stopped, calls, view.held_micros(now), missing)

    async def read_policy(self, account: str) -> tuple[AccountPolicy, str | None]:
        """(the policy, its ETag); the default one without an ETag where none was put. Raises
        SettingsUnreadable."""
        await self.facts.require_account(account)
        record = await self.records.get(Kind.DIAL_OUT_POLICY, account)
        return (codecs.policy(record), record.etag) if record else (AccountPolicy(), None)

    async def _put(
        self,
        account: str,
        kind: Kind,
        key: str,
        document: Mapping[str, object],
        if_match: str | None,
    ) -> SavedDocument:
        await self.facts.require_account(account)
        saved = await self.records.put(kind, key, document, if_match=if_match)
        self.facts.drop(kind, key)
        return saved

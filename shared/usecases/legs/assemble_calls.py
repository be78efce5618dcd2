"""Events of calls become legs: each event is kept, and each arrival assembles its call again.

A leg goes the way of every leg as soon as all that it needs is known. A leg that is sent twice is
charged once, by the guard in the ledger. A mark that is written with the event makes the timer
assemble the call once more, so that a process may end after any write. If this process knows the
earlier events of the call, it stores the last one and queues the leg at the same time. Without an
answer, the bridge posts that event again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import StoreError, Unavailable
from shared.domain.directory.entities import Bridge
from shared.domain.legs.assembly import (
    CONFERENCE,
    CONFERENCE_UNKNOWN,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Posted,
    Waiting,
    event_bytes,
    incomplete_id,
)
from shared.domain.legs.bridge_payloads import Ignored, ParsedLeg, Undecided
from shared.domain.legs.leg import EndedLeg, encode_leg_key, leg_document
from shared.domain.legs.parking import ParkedLeg, ParkReason, ParkStatus
from shared.ports.archive import Accepted
from shared.ports.clock import Clock
from shared.ports.legs import CallEvents, DueCall, KeptEvent, ParkingLot
from shared.telemetry import event as log_event
from shared.telemetry import failure
from shared.usecases.directory.directory_cache import DirectoryCache
from shared.usecases.legs.receive_legs import ReceivedLeg, ReceiveLegs

type Assemble = Callable[[str, DialectSettings, Sequence[CallEvent]], list[Assembled]]
"""(dialect, settings, events of a call) → its legs."""
type MeetingEvent = Callable[[str, EndedLeg | Undecided], CallEvent | None]
"""(dialect of the bridge that is to report meetings, leg) → the leg as an event of its conference
there; None where that dialect reports none, and where the leg has no conference or lacks nothing
that its meeting states."""


def dialect_settings(bridge: Bridge) -> DialectSettings:
    """The bridge's settings that a dialect reads."""
    return DialectSettings(
        bridge.id, bridge.country, frozenset(bridge.outbound_contexts), bridge.service_number
    )


@dataclass(frozen=True, slots=True)
class AssembleCalls:
    """Takes the legs and events of calls that a bridge posted.

    `is_account_known` returns whether a leg without its conference can be charged to an account.
    """

    events: CallEvents
    receive: ReceiveLegs
    parking: ParkingLot
    facts: DirectoryCache
    clock: Clock
    assemble: Assemble
    meeting_event: MeetingEvent
    is_account_known: Callable[[EndedLeg], Awaitable[bool]]

    async def __call__(self, bridge: Bridge, posted: Sequence[Posted]) -> list[ReceivedLeg]:
        """One result an item, in order, once all are durable. Raises StoreUnavailable when that is
        not certain: then the bridge posts again."""
        owner = await self._reporter(bridge)
        legs: dict[int, ParsedLeg] = {}
        calls: dict[tuple[str, str], dict[int, CallEvent]] = {}
        for index, item in enumerate(posted):
            if isinstance(item, CallEvent):
                calls.setdefault((bridge.id, item.call), {})[index] = item
            elif owner is not None and (of_meeting := self._of_meeting(owner, item)):
                calls.setdefault((owner.id, of_meeting.call), {})[index] = of_meeting
            else:
                legs[index] = item
        received = await self.receive(bridge.id, list(legs.values()))
        results = dict(zip(legs, received, strict=True))
        slots = asyncio.Semaphore(limits.CALLS_AT_ONCE)

        async def take(taken_by: Bridge, events: dict[int, CallEvent]) -> None:
            async with slots:
                taken = await self._take(taken_by, list(events.values()), bridge.wait_seconds)
                for index, each in events.items():
                    leg = encode_leg_key(f"{bridge.id}~{each.leg_id}")
                    none = ReceivedLeg(leg, "ignored", "The event makes no leg by itself.")
                    others = sorted(taken.values(), key=lambda one: one.status != "queued")
                    results[index] = taken.get(each.leg_id) or next(iter(others), none)

        now = self.clock.now()
        accepted = [
            Accepted(now, "event", event_bytes(name, each))
            for (name, _), events in calls.items()
            for each in events.values()
        ]
        await asyncio.gather(
            self.receive.archive_items(accepted),
            *(
                take(bridge if name == bridge.id or owner is None else owner, events)
                for (name, _), events in calls.items()
            ),
        )
        return [results[index] for index in range(len(posted))]

    async def again(self, bridge: str, event: CallEvent) -> None:
        """An event that was accepted before, from the archive. Raises StoreUnavailable."""
        owner = await self._owner(bridge)
        if owner is not None:
            await self._take(owner, [event], owner.wait_seconds)

    async def end_waits(self) -> int:
        """Assemble the calls whose wait has ended once more, for the timer. Returns their number.
        Repeated, late or missed ticks change nothing."""
        due = await self.events.due(self.clock.now(), limit=limits.CALLS_DUE_MAX)
        slots = asyncio.Semaphore(limits.CALLS_AT_ONCE)

        async def one(call: DueCall) -> None:
            async with slots:
                try:
                    await self._end_wait(call)
                except (Unavailable, StoreError):
                    return  # the mark is still there
                except Exception as error:  # noqa: BLE001 an error of one call stays its own
                    failure("assembly_failed", error, bridge=call.bridge)

        await asyncio.gather(*map(one, due))
        return len(due)

    async def _end_wait(self, call: DueCall) -> None:
        bridge = await self._owner(call.bridge)
        kept = await self.events.of_call(call.bridge, call.call)
        if bridge is not None:
            await self._settle(bridge, kept, call.event_ids)
        ended = [each for each in kept if each.event.id in call.event_ids]
        await self.events.clear(call.bridge, ended)

    async def with_meeting(self, bridge: Bridge, item: ParsedLeg) -> Complete | None:
        """The leg with the account and the organizer of its meeting, if the meeting is known; None
        if the leg needs no meeting. Nothing is stored."""
        owner = await self._reporter(bridge)
        of_meeting = self._of_meeting(owner, item) if owner else None
        if owner is None or of_meeting is None:
            return None
        events = await self.events.of_call(owner.id, of_meeting.call)
        meetings = [each.event for each in events if not _is_leg(each)]
        [made] = self._assembled(owner, [*meetings, of_meeting])
        return made if isinstance(made, Complete) else None

    async def _reporter(self, bridge: Bridge) -> Bridge | None:
        """The bridge that reports the meetings of this one's legs."""
        return await self._owner(bridge.meetings_from) if bridge.meetings_from else None

    def _of_meeting(self, owner: Bridge, item: ParsedLeg) -> CallEvent | None:
        if not isinstance(item, EndedLeg | Undecided):
            return None
        return self.meeting_event(owner.dialect, item)

    async def _owner(self, bridge: str) -> Bridge | None:
        return await self.facts.bridge(bridge) or await self.facts.former_bridge(bridge)

    async def _take(
        self, bridge: Bridge, events: Sequence[CallEvent], wait_seconds: int
    ) -> dict[str, ReceivedLeg]:
        """The outcomes of the legs of one call, by leg id, once its events are stored."""
        now = self.clock.now()
        wait = timedelta(seconds=wait_seconds)
        goes_on = timedelta(seconds=limits.LEG_SECONDS_MAX)
        kept = [KeptEvent(each, now, now + (wait if each.ends else goes_on)) for each in events]
        earlier = (
            await self.events.of_call(bridge.id, events[0].call) if _joins_meeting(kept) else []
        )
        if earlier and (assembled := await self._at_once(bridge, kept, earlier)):
            return assembled
        arrived = {each.id for each in events}
        known = self.events.known(bridge.id, events[0].call, now)
        ids = {each.event.id for each in known}
        expected = [*known, *(each for each in kept if each.event.id not in ids)]
        adding = self.events.add(bridge.id, kept)
        are_new = len(expected) == len(known) + len(kept)  # an erasure reaches the process in time
        if known and are_new and self._is_certain(bridge, expected, arrived):
            (stored, added), outcome = await asyncio.gather(
                adding, self._settle(bridge, expected, arrived)
            )
        else:
            (stored, added), outcome = await adding, None
        if outcome is None or len(stored) > len(expected):
            outcome = await self._settle(bridge, stored, arrived)
        results, settled = outcome
        if added & settled:
            done = [each for each in stored if each.event.id in settled]
            self.events.clear_soon(bridge.id, done)
        return results

    def _is_certain(self, bridge: Bridge, events: Sequence[KeptEvent], arrived: set[str]) -> bool:
        """True if the legs of the arrived events lack nothing and are on time: to queue them is all
        there is to do, and an event that another process keeps meanwhile is one that came later."""
        now = self.clock.now()
        due = {each.event.id: each.due_at for each in events}
        made = self._assembled(bridge, [each.event for each in events])
        legs = [each for each in made if each.uses & arrived]
        return not any(each.erased for each in events) and all(
            isinstance(leg, Complete)
            and not leg.lacks
            and all(due[each] > now for each in leg.uses)
            for leg in legs
        )

    async def _at_once(
        self, bridge: Bridge, legs: Sequence[KeptEvent], earlier: Sequence[KeptEvent]
    ) -> dict[str, ReceivedLeg] | None:
        """The outcomes of the legs of a conference with a known meeting, which are not stored; None
        for an unknown meeting, or if one of the legs was stored before."""
        ids = {each.event.id for each in legs}
        if ids & {each.event.id for each in earlier}:
            return None
        meetings = [each.event for each in earlier if not _is_leg(each)]
        made = self._assembled(bridge, [*meetings, *(each.event for each in legs)])
        if len(made) < len(ids) or any(isinstance(m, Waiting) or m.lacks for m in made):
            return None
        return await self._send(bridge, [m.leg for m in made if isinstance(m, Complete)])

    def _assembled(self, bridge: Bridge, events: Sequence[CallEvent]) -> list[Assembled]:
        return self.assemble(bridge.dialect, dialect_settings(bridge), events)

    async def _settle(
        self, bridge: Bridge, kept: Sequence[KeptEvent], arrived: set[str] | frozenset[str]
    ) -> tuple[dict[str, ReceivedLeg], frozenset[str]]:
        """(the outcomes of the legs with the arrived events, the events whose legs were all sent).
        Other legs of the call are unchanged."""
        now = self.clock.now()
        received: dict[str, ReceivedLeg] = {}
        due = {each.event.id: each.due_at for each in kept}
        if any(each.erased for each in kept):
            return received, frozenset(due)
        waits: set[str] = set()
        ready: list[ParsedLeg] = []
        parked: list[ParkedLeg] = []
        for made in self._assembled(bridge, [each.event for each in kept]):
            if made.ended_by is None:
                is_over = _is_too_old(kept, made.uses, now)
            else:
                is_over = due[made.ended_by] <= now
            if made.lacking and not is_over:
                waits |= made.uses
                leg = encode_leg_key(made.key(bridge.id))
                received[made.leg_id] = ReceivedLeg(leg, "waiting", missing=made.lacking)
            elif made.uses & arrived:
                # It may have been parked when the wait of any of its events was over.
                is_late = any(due[each] <= now for each in made.uses)
                done, before = await self._done(bridge.id, made, is_late=is_late)
                if isinstance(done, ReceivedLeg):
                    received[made.leg_id] = done
                else:
                    ready.append(done)
                    parked += before
        received |= await self._send(bridge, ready)
        for each in parked:
            note = "The missing event arrived: the leg was charged as it was assembled."
            await self.parking.update(
                replace(each, status=ParkStatus.REPLAYED, actor="assembly", note=note)
            )
        return received, frozenset(due) - waits

    async def _done(
        self, bridge: str, made: Assembled, *, is_late: bool
    ) -> tuple[ParsedLeg | ReceivedLeg, list[ParkedLeg]]:
        """(the leg to charge, the open entry under which it was parked before), or the parked leg
        if it lacks a required field."""
        name = made.ended_leg.bridge if isinstance(made, Complete) else bridge
        if isinstance(made, Complete) and isinstance(made.leg, Undecided) and made.lacks:
            decided = await self.receive.decided(name, made.leg)
            if isinstance(decided, Ignored):
                return decided, []
        if isinstance(made, Waiting):
            await self._park(name, made.leg_id, made.missing, made.known)
        elif CONFERENCE in made.lacks and not await self.is_account_known(made.ended_leg):
            missing = (*made.lacks, "account")
            await self._park(name, made.slot or made.leg_id, missing, leg_document(made.ended_leg))
        else:
            parked = None
            if is_late:
                parked = await self.parking.get(incomplete_id(name, made.slot or made.leg_id))
            if parked is not None and parked.status is ParkStatus.DISMISSED:
                return Ignored(made.leg_id, "It was parked as incomplete, and dismissed."), []
            is_open = parked is not None and parked.status is ParkStatus.OPEN
            return _flagged(made), [parked] if parked is not None and is_open else []
        shown = encode_leg_key(made.key(bridge))
        return ReceivedLeg(shown, "parked", ParkReason.INCOMPLETE.value, made.lacking), []

    async def _send(self, bridge: Bridge, legs: Sequence[ParsedLeg]) -> dict[str, ReceivedLeg]:
        """Send legs under the bridge that reported them, which may differ from that of the call.
        Legs that this bridge assembled join their meetings first."""
        results: dict[str, ReceivedLeg] = {}
        by_bridge: dict[str, list[ParsedLeg]] = {}
        owner = await self._reporter(bridge)
        for leg in legs:
            ended = leg.leg if isinstance(leg, Undecided) else leg
            name = ended.bridge if isinstance(ended, EndedLeg) else bridge.id
            is_own = owner is not None and name == bridge.id
            if owner and is_own and (of_meeting := self._of_meeting(owner, leg)):
                results |= await self._take(owner, [of_meeting], bridge.wait_seconds)
            else:
                by_bridge.setdefault(name, []).append(leg)
        for name, group in by_bridge.items():
            for leg, received in zip(group, await self.receive(name, group), strict=True):
                ended = leg.leg if isinstance(leg, Undecided) else leg
                if ended.leg_id is not None:
                    results.setdefault(ended.leg_id, received)
        return results

    async def _park(
        self, bridge: str, leg_id: str, missing: Sequence[str], fields: Mapping[str, object]
    ) -> None:
        left_out = {"to_candidates", "flags"}
        document = {name: value for name, value in fields.items() if name not in left_out}
        document["leg_id"] = leg_id
        account = document.get("account")
        parked = ParkedLeg(
            id=incomplete_id(bridge, leg_id),
            leg=f"{bridge}~{leg_id}",
            bridge=bridge,
            reason=ParkReason.INCOMPLETE,
            detail=f"Missing: {', '.join(missing)}.",
            received_at=self.clock.now(),
            account=account if isinstance(account, str) else None,
            original=document,
        )
        await self.parking.park(parked)
        log_event("leg_parked", leg=parked.leg, reason=parked.reason.value, detail=parked.detail)


def _flagged(made: Complete) -> EndedLeg | Undecided:
    if CONFERENCE not in made.lacks:
        return made.leg
    leg = replace(made.ended_leg, flags=(CONFERENCE_UNKNOWN,))
    return Undecided(leg, made.leg.why) if isinstance(made.leg, Undecided) else leg


def _joins_meeting(kept: Sequence[KeptEvent]) -> bool:
    return all(map(_is_leg, kept))


def _is_leg(kept: KeptEvent) -> bool:
    """True if the leg is of another bridge than the events of its conference."""
    return isinstance(kept.event.facts.get("leg"), Mapping)


def _is_too_old(kept: Sequence[KeptEvent], uses: frozenset[str], now: datetime) -> bool:
    first = min((each.received_at for each in kept if each.event.id in uses), default=now)
    return first + timedelta(seconds=limits.LEG_SECONDS_MAX) <= now

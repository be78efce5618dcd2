"""Try what a bridge posts: read, assembled, resolved and rated, without keeping or charging."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.domain.charging.charge_record import Unchargeable
from shared.domain.common.errors import BadRequest, Invalid
from shared.domain.directory.entities import Bridge
from shared.domain.legs.assembly import CallEvent, Complete, Posted
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg
from shared.usecases.charging.charge_legs import ChargeLegs
from shared.usecases.directory.bridges import Bridges
from shared.usecases.legs.assemble_calls import Assemble, dialect_settings
from shared.usecases.legs.receive_legs import ReceiveLegs


@dataclass(frozen=True, slots=True)
class Tried:
    """What would become of one leg or event: `outcome` is `leg`, `waiting`, `ignored` or
    `unreadable`. `steps` are (step, sentence). `why_parked` is a reason and a sentence."""

    outcome: str
    steps: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()
    leg: EndedLeg | None = None
    account: str | None = None
    charge: Mapping[str, object] | None = field(default=None, hash=False)
    why_parked: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TryPost:
    """Plays a post of a bridge by its dialect and settings; events are joined with each other only,
    not with those that were posted before."""

    bridges: Bridges
    parse: Callable[[str, BridgePayload], list[Posted]]
    assemble: Assemble
    receive: ReceiveLegs
    charge: ChargeLegs

    async def __call__(self, name: str, body: bytes, content_type: str) -> list[Tried]:
        """One outcome for each leg, and for each item that makes none. Raises NotFound
        `bridge_unknown`, TooLarge, StoreUnavailable."""
        bridge = (await self.bridges.read(name)).bridge
        post = BridgePayload(bridge.id, body, content_type, country=bridge.country)
        try:
            posted = self.parse(bridge.dialect, post)
        except (BadRequest, Invalid) as error:
            fields = tuple(
                ("read", f"{each.pointer or '/'}: {each.detail}")
                for each in getattr(error, "errors", ())
            )
            return [Tried("unreadable", (("read", error.detail), *fields))]
        read = ("read", f"{len(posted)} items in dialect {bridge.dialect}.")
        tried: list[Tried] = []
        calls: dict[str, list[CallEvent]] = {}
        for item in posted:
            if isinstance(item, CallEvent):
                calls.setdefault(item.call, []).append(item)
            else:
                tried.append(await self._item(bridge, item, (read,)))
        for call, events in calls.items():
            joined = ("assembled", f"{len(events)} events of call {call}.")
            tried += await self._call(bridge, events, (read, joined))
        return tried

    async def _call(
        self, bridge: Bridge, events: Sequence[CallEvent], steps: tuple[tuple[str, str], ...]
    ) -> list[Tried]:
        made = self.assemble(bridge.dialect, dialect_settings(bridge), events)
        if not made:
            return [Tried("ignored", (*steps, ("assembled", "The events make no leg.")))]
        found: list[Tried] = []
        for each in made:
            waits = f"The leg {each.leg_id} waits for: {', '.join(each.lacking)}."
            more = (("assembled", waits),) if each.lacking else ()
            if not isinstance(each, Complete):
                found.append(Tried("waiting", (*steps, *more), each.lacking))
                continue
            tried = await self._item(bridge, each.leg, (*steps, *more))
            if each.lacking and tried.outcome == "leg":
                tried = replace(tried, outcome="waiting", missing=each.lacking)
            found.append(tried)
        return found

    async def _item(
        self,
        bridge: Bridge,
        item: EndedLeg | Ignored | Undecided | Unreadable,
        steps: tuple[tuple[str, str], ...],
    ) -> Tried:
        decided = await self.receive.decided(bridge.id, item)
        if isinstance(decided, Unreadable):
            return Tried("unreadable", (*steps, ("read", decided.detail)))
        if isinstance(decided, Ignored):
            return Tried("ignored", (*steps, ("decided", decided.why)))
        assert isinstance(decided, EndedLeg)
        account, outcome = await self.charge.preview(decided)
        resolved = f"The leg belongs to account {account}." if account else "No account is known."
        steps = (*steps, ("resolved", resolved))
        if isinstance(outcome, Unchargeable):
            why = (outcome.reason.value, outcome.detail)
            parked = ("rated", f"The leg would be parked: {outcome.detail}")
            return Tried("leg", (*steps, parked), (), decided, account, None, why)
        amount = ("rated", f"The charge would be {outcome['amount']} {outcome['currency']}.")
        return Tried("leg", (*steps, amount), (), decided, account, outcome)

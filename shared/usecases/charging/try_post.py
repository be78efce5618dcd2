"""A trial of a bridge's post: it is read, assembled, resolved and rated, but neither stored nor
charged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

from shared.domain.charging.charge_record import Unchargeable
from shared.domain.charging.leg_preview import LegPreview
from shared.domain.common.counts import counted
from shared.domain.common.errors import BadRequest, Invalid, NotAuthenticated
from shared.domain.directory.credentials import verify_bridge
from shared.domain.directory.entities import Bridge
from shared.domain.directory.request_signatures import usual_scheme
from shared.domain.legs.assembly import CallEvent, Complete, Posted
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg
from shared.domain.legs.parking import ParkReason
from shared.ports.clock import Clock
from shared.usecases.charging.charge_legs import ChargeLegs
from shared.usecases.directory.bridges import Bridges
from shared.usecases.legs.assemble_calls import AssembleCalls, dialect_settings


@dataclass(frozen=True, slots=True)
class TriedPost:
    """A post to try. `dialect` and `default_account` replace those of the bridge, where given.

    `headers`, by lower-case names, and `url` are those of the vendor's request to the route of
    ended calls; `is_signed`: the trial verifies them.
    """

    body: bytes
    content_type: str
    headers: Mapping[str, str]
    url: str
    is_signed: bool = False
    dialect: str | None = None
    default_account: str | None = None


@dataclass(frozen=True, slots=True)
class TryPost:
    """Plays a post of a bridge by its dialect and settings. Events are joined with each other only,
    not with those that were posted before; legs are joined with the meetings that are known."""

    bridges: Bridges
    parse: Callable[[str, BridgePayload], list[Posted]]
    calls: AssembleCalls
    charge: ChargeLegs
    clock: Clock

    async def __call__(self, name: str, tried_post: TriedPost) -> list[LegPreview]:
        """One outcome for each leg, and for each item that makes none. Raises NotFound
        `bridge_unknown`, Invalid, TooLarge, StoreUnavailable."""
        bridge = _as_stated((await self.bridges.read(name)).bridge, tried_post)
        if bridge.dialect not in self.bridges.dialects:
            dialects = ", ".join(sorted(self.bridges.dialects))
            raise Invalid.field("/dialect", f"must be one of {dialects}")
        first = self._authenticated(bridge, tried_post) if tried_post.is_signed else ()
        query = dict(parse_qsl(urlsplit(tried_post.url).query))
        post = BridgePayload(
            bridge.id,
            tried_post.body,
            tried_post.content_type,
            query=query,
            headers=tried_post.headers,
            country=bridge.country,
        )
        try:
            posted = self.parse(bridge.dialect, post)
        except (BadRequest, Invalid) as error:
            fields = tuple(
                ("read", f"{each.pointer or '/'}: {each.detail}")
                for each in getattr(error, "errors", ())
            )
            return [LegPreview("unreadable", (*first, ("read", error.detail), *fields))]
        read = (*first, ("read", f"{counted(len(posted), 'item')} in dialect {bridge.dialect}."))
        tried: list[LegPreview] = []
        calls: dict[str, list[CallEvent]] = {}
        for item in posted:
            if isinstance(item, CallEvent):
                calls.setdefault(item.call, []).append(item)
            else:
                tried.append(await self._item(bridge, item, read))
        for call, events in calls.items():
            joined = ("assembled", f"{counted(len(events), 'event')} of call {call}.")
            tried += await self._call(bridge, events, (*read, joined))
        return tried

    def _authenticated(self, bridge: Bridge, post: TriedPost) -> tuple[tuple[str, str], ...]:
        scheme = bridge.auth.scheme.value
        try:
            verify_bridge(bridge.auth, post.headers, post.body, self.clock.now(), post.url)
        except NotAuthenticated as error:
            why = "; ".join(getattr(error, "__notes__", [])) or error.detail
            return (("authenticated", f"Refused by scheme {scheme}: {why}."),)
        return (("authenticated", f"The credentials are right, by scheme {scheme}."),)

    async def _call(
        self, bridge: Bridge, events: Sequence[CallEvent], steps: tuple[tuple[str, str], ...]
    ) -> list[LegPreview]:
        made = self.calls.assemble(bridge.dialect, dialect_settings(bridge), events)
        if not made:
            return [LegPreview("ignored", (*steps, ("assembled", "The events make no leg.")))]
        previews: list[LegPreview] = []
        for each in made:
            waits = f"The leg {each.leg_id} waits for: {', '.join(each.lacking)}."
            more = (("assembled", waits),) if each.lacking else ()
            if not isinstance(each, Complete):
                previews.append(LegPreview("waiting", (*steps, *more), each.lacking))
                continue
            tried = await self._item(bridge, each.leg, (*steps, *more))
            if each.lacking and tried.leg is not None:
                missing = tuple(dict.fromkeys((*each.lacking, *tried.missing)))
                tried = replace(tried, outcome="waiting", missing=missing)
            previews.append(tried)
        return previews

    async def _item(
        self,
        bridge: Bridge,
        item: EndedLeg | Ignored | Undecided | Unreadable,
        steps: tuple[tuple[str, str], ...],
    ) -> LegPreview:
        missing: tuple[str, ...] = ()
        if joined := await self.calls.with_meeting(bridge, item):
            item, missing = joined.leg, joined.lacks
            conference = joined.ended_leg.conference_id
            state = "is unknown: the leg waits for it" if missing else "was joined"
            at = f"The meeting of conference {conference} at bridge {bridge.meetings_from}"
            steps = (*steps, ("meeting", f"{at} {state}."))
        decided = await self.calls.receive.decided(bridge.id, item)
        if isinstance(decided, Unreadable):
            return LegPreview("unreadable", (*steps, ("read", decided.detail)))
        if isinstance(decided, Ignored):
            return LegPreview("ignored", (*steps, ("decided", decided.why)))
        assert isinstance(decided, EndedLeg)
        account, outcome = await self.charge.preview(decided)
        if account is None and bridge.default_account is not None:  # as the trial states it
            stated = replace(decided, account=bridge.default_account)
            account, outcome = await self.charge.preview(stated)
        resolved = f"The leg belongs to account {account}." if account else "No account is known."
        steps = (*steps, ("resolved", resolved))
        made = "waiting" if missing else "leg"
        if isinstance(outcome, Unchargeable):
            why = (outcome.reason.value, outcome.detail)
            parked = ("rated", f"The leg would be parked: {outcome.detail}")
            return LegPreview(made, (*steps, parked), missing, decided, account, None, why)
        if (
            account is not None
            and not missing
            and (before := await self._charged(decided, account))
        ):
            step = ("charged", before[1])
            if before[0] == ParkReason.CONFLICT.value:
                return LegPreview(made, (*steps, step), missing, decided, account, None, before)
            steps = (*steps, step)
        amount = ("rated", f"The charge would be {outcome['amount']} {outcome['currency']}.")
        return LegPreview(made, (*steps, amount), missing, decided, account, outcome)

    async def _charged(self, leg: EndedLeg, account: str) -> tuple[str, str] | None:
        """The outcome of a leg that was charged before, and its sentence; None for a new one."""
        record = await self.charge.ledger.leg(account, leg.key)
        if record is None:
            return None
        if record.digest in {leg.digest(), *leg.earlier_digests()}:
            return "repeated", "The leg was charged before: this post changes nothing."
        return ParkReason.CONFLICT.value, "The leg was charged with other content: a conflict."


def _as_stated(bridge: Bridge, post: TriedPost) -> Bridge:
    """The bridge with the dialect and the default account of the trial. For another dialect, the
    trial uses that dialect's usual scheme and the secrets of this bridge."""
    if post.default_account is not None:
        bridge = replace(bridge, default_account=post.default_account)
    if post.dialect is None or post.dialect == bridge.dialect:
        return bridge
    scheme = usual_scheme(post.dialect)
    username = (bridge.auth.username or bridge.id) if scheme.has_username else None
    auth = replace(bridge.auth, scheme=scheme, username=username)
    return replace(bridge, dialect=post.dialect, auth=auth)

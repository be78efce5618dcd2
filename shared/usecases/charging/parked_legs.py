"""Parked legs are replayed after a correction, or dismissed. A repeated command charges nothing a
second time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.concurrency import gather_bounded
from shared.domain.common import limits
from shared.domain.common.errors import (
    Conflict,
    Invalid,
    NotFound,
    PerminuteError,
)
from shared.domain.common.kinds import LegKind
from shared.domain.directory.access import Principal, Role
from shared.domain.legs.leg import LEG_FIELDS, EndedLeg, QueuedLeg, posted_leg, read_leg_document
from shared.domain.legs.parking import ParkedLeg, ParkReason, ParkStatus
from shared.ports.clock import Clock
from shared.ports.legs import Claims, ParkingLot
from shared.usecases.charging.charge_legs import Charged, ChargeLegs, NotCharged
from shared.usecases.delivery.publish_events import PublishEvents


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The outcomes of parked legs, each with its error; `cursor` is None on the last page."""

    items: tuple[tuple[ParkedLeg, PerminuteError | None], ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ParkedLegs:
    """Lists, replays and dismisses parked legs, within the accounts that the caller sees."""

    parking: ParkingLot
    charge: ChargeLegs
    publish: PublishEvents
    clock: Clock
    claims: Claims
    read_leg: Callable[[str, object], EndedLeg]

    async def page(
        self, principal: Principal, where: Mapping[str, str], *, limit: int, cursor: str | None
    ) -> tuple[Sequence[ParkedLeg], str | None]:
        """Parked legs that equal `where`, the oldest first. A principal of some accounts has to
        name one. Raises Invalid `cursor_invalid`."""
        _require_visible(principal, where)
        return await self.parking.page(where=where, limit=limit, cursor=cursor)

    async def counts(self, principal: Principal, where: Mapping[str, str]) -> Mapping[str, int]:
        """The number of parked legs that equal `where`, by reason. Rights as for `page`."""
        _require_visible(principal, where)
        return await self.parking.counts(where)

    async def replay(
        self,
        principal: Principal,
        parked_id: str,
        changes: Mapping[str, object] | None = None,
        *,
        charge_as: str | None = None,
    ) -> ParkedLeg:
        """Charge a parked leg now, unchanged or with the fields in `changes` (JSON values, dialect
        perminute) in place of the original; a leg that fails again gets the new reason and stays
        open. `charge_as` is another leg id for a conflict: it is charged under that id, in addition
        to the leg that has the original id.

        Raises NotFound, Conflict `parked_leg_dismissed` or `parked_leg_charged_as`, and Invalid
        `leg_needed` where the original can't be read. Raises Invalid when the leg would have
        another id or an account that can't be its own. Raises NotAllowed when the caller does not
        see its account, or when it would cost less than their roles allow. Raises Unavailable when
        the outcome is uncertain: replaying again is safe.
        """
        parked = await self._visible(principal, parked_id)
        if parked.status is ParkStatus.OPEN:
            leg = _original(parked) if changes is None else self._corrected(parked, changes)
            leg = _renamed(parked, leg, charge_as)
            if changes is not None:
                await self._check_correction(principal, parked, leg)
            if leg.key != parked.leg:
                parked = await self.parking.pin(parked.id, leg.key)
        if parked.status is ParkStatus.REPLAYED:
            return parked
        if parked.status is ParkStatus.DISMISSED:
            raise Conflict(
                "The leg was dismissed, and a dismissed leg is not replayed. "
                "Post the call under another leg id.",
                code="parked_leg_dismissed",
            )
        if parked.charged_as is not None and leg.key != parked.charged_as:
            raise Conflict(
                f"The leg is charged as {parked.charged_as}. Read that leg.",
                code="parked_leg_charged_as",
            )
        queued = QueuedLeg(leg, self.clock.now())
        outcome = await self.charge.charge(
            queued, on_behalf_of=principal, corrected=changes is not None
        )
        if isinstance(outcome, NotCharged) and _names_another_account(parked, leg, outcome):
            raise _wrong_account(outcome.why.detail)
        after = await self.parking.update(
            _after(parked, outcome, principal), unpin=_has_other_content(outcome)
        )
        if isinstance(outcome, Charged) and outcome.account:
            self.charge.debited(outcome.account)
            if outcome.events:
                await self.publish.best_effort(outcome.account)
        return after

    async def dismiss(
        self, principal: Principal, parked_id: str, note: str | None = None
    ) -> ParkedLeg:
        """Close a leg without a charge; `note` is the stored reason. A repetition changes nothing.
        Raises NotFound, and Conflict for a replayed leg.
        """
        parked = await self._visible(principal, parked_id)
        if parked.status is ParkStatus.OPEN:
            parked = replace(
                parked, status=ParkStatus.DISMISSED, actor=principal.name, note=note or parked.note
            )
            parked = await self.parking.update(parked)
        if parked.status is ParkStatus.REPLAYED:
            raise Conflict(
                "The leg was replayed and is charged. Reverse the charge if it is wrong.",
                code="parked_leg_replayed",
            )
        return parked

    async def replay_all(
        self, principal: Principal, where: Mapping[str, str], *, limit: int, cursor: str | None
    ) -> SweepResult:
        """Replay the next open legs that equal `where`, unchanged: one outcome each."""
        return await self._sweep(
            principal, where, limit, cursor, lambda parked: self.replay(principal, parked.id)
        )

    async def dismiss_all(
        self,
        principal: Principal,
        where: Mapping[str, str],
        note: str,
        *,
        limit: int,
        cursor: str | None,
    ) -> SweepResult:
        """Dismiss the next open legs that equal `where`."""
        return await self._sweep(
            principal, where, limit, cursor, lambda parked: self.dismiss(principal, parked.id, note)
        )

    async def _sweep(
        self,
        principal: Principal,
        where: Mapping[str, str],
        limit: int,
        cursor: str | None,
        handle: Callable[[ParkedLeg], Awaitable[ParkedLeg]],
    ) -> SweepResult:
        items, following = await self.page(
            principal, {**where, "status": ParkStatus.OPEN.value}, limit=limit, cursor=cursor
        )

        async def one(parked: ParkedLeg) -> tuple[ParkedLeg, PerminuteError | None]:
            try:
                return await handle(parked), None
            except PerminuteError as error:  # one leg's error stays its own
                return parked, error

        swept = await gather_bounded(one, items, at_once=limits.PARKED_AT_ONCE)
        return SweepResult(tuple(swept), following)

    def _corrected(self, parked: ParkedLeg, changes: Mapping[str, object]) -> EndedLeg:
        """The leg with its changed fields. The leg keeps its id, since a leg with another id could
        be charged again. Unchanged values change nothing."""
        if parked.reason is ParkReason.UNREADABLE:
            shown: dict[str, object] = {}
        else:
            shown = posted_leg(parked.original)
        kept = {name: shown[name] for name in LEG_FIELDS if name in shown}
        named = posted_leg(changes)
        if len(named) < len(changes):
            raise Invalid.field("/leg", "must not have a field under two names")
        fields = {**parked.original, **shown}
        changed = {
            name: value
            for name, value in named.items()
            if name in LEG_FIELDS or name not in fields or fields[name] != value
        }
        leg = self.read_leg(parked.bridge, {**kept, **changed})
        _, _, leg_id = parked.leg.partition("~")
        if leg_id and leg.leg_id != leg_id:
            raise Invalid.field("/leg/leg_id", f"must be {leg_id}, as it was posted")
        if "to_candidates" in parked.original and leg.to_number == parked.original["to"]:
            return replace(leg, to_candidates=_original(parked).to_candidates)
        return leg

    async def _check_correction(
        self, principal: Principal, parked: ParkedLeg, leg: EndedLeg
    ) -> None:
        """Raises NotAllowed or Invalid for a correction that the caller may not make.

        A role that may charge but not credit (operator) must not lower a charge by correcting its
        leg. A leg that had a price costs no less afterwards. A leg without a price may get another
        number, conference, organizer or account, or the kind that was missing.
        """
        posted = None if parked.reason in _NOT_A_LEG else _original(parked)
        if leg.account is not None and (posted is None or leg.account != posted.account):
            principal.require_account(leg.account)
            claim = await self.claims.find(leg.key)
            if claim is not None and claim.account != leg.account:
                raise _wrong_account("The leg belongs to another account since it first came.")
        if principal.holds_one_of(_FINANCE):
            return
        if leg.kind is LegKind.VOIP and (posted is None or posted.kind is not LegKind.VOIP):
            principal.require_one_of(_FINANCE)
        if posted is None or _same_but_for(posted, leg, ()):
            return
        before = await self.charge.price_micros(posted)
        if before is None:
            adds_kind = ("kind",) if posted.kind is None else ()
            if not _same_but_for(posted, leg, (*_CORRECTED_WITHOUT_PRICE, *adds_kind)):
                principal.require_one_of(_FINANCE)
            return
        after = await self.charge.price_micros(leg)
        if after is not None and after < before:
            principal.require_one_of(_FINANCE)

    async def _visible(self, principal: Principal, parked_id: str) -> ParkedLeg:
        parked = await self.parking.get(parked_id)
        visible = parked is not None and (
            principal.sees_all_accounts
            or (parked.account is not None and principal.sees(parked.account))
        )
        if parked is None or not visible:
            raise NotFound(
                "No parked leg has this id. List the parked legs for the ids.",
                code="parked_leg_unknown",
            )
        return parked


_FINANCE = frozenset({Role.FINANCE})
_NOT_A_LEG = frozenset({ParkReason.UNREADABLE, ParkReason.INCOMPLETE})
_CORRECTED_WITHOUT_PRICE = (
    *("from_number", "to_number", "conference_id", "organizer", "account"),
    *("authorization", "hangup_cause", "leg_id"),
)


def _same_but_for(posted: EndedLeg, leg: EndedLeg, fields: tuple[str, ...]) -> bool:
    """True if two legs differ only in these fields."""
    return replace(posted, **{name: getattr(leg, name) for name in (*fields, "leg_id")}) == leg


def _wrong_account(why: str) -> Invalid:
    return Invalid.field("/leg/account", why)


def _names_another_account(parked: ParkedLeg, leg: EndedLeg, outcome: NotCharged) -> bool:
    """True if a correction named an account that the leg can't have."""
    named = leg.account is not None and leg.account != parked.original.get("account")
    return named and outcome.why.reason is ParkReason.ACCOUNT_UNKNOWN


def _require_visible(principal: Principal, where: Mapping[str, str]) -> None:
    if "account" in where:
        principal.require_account(where["account"])
    else:
        principal.require_all_accounts()


def _original(parked: ParkedLeg) -> EndedLeg:
    if parked.reason in _NOT_A_LEG:
        raise Invalid(
            "The parked post has no complete leg. Send the complete leg as leg.", code="leg_needed"
        )
    return read_leg_document(parked.original)


def _renamed(parked: ParkedLeg, leg: EndedLeg, charge_as: str | None) -> EndedLeg:
    """The leg under the id of its charge: another leg has the id of a conflict."""
    if charge_as is not None:
        if parked.reason is not ParkReason.CONFLICT and parked.charged_as is None:
            detail = "is for conflicts only: any other leg keeps its id"
            raise Invalid.field("/charge_as", detail)
        return replace(leg, leg_id=charge_as)
    if parked.charged_as is not None and parked.leg.partition("~")[2]:
        return replace(leg, leg_id=parked.charged_as.partition("~")[2])
    return leg


def _has_other_content(outcome: Charged | NotCharged) -> bool:
    """True if a charged leg with other content has the id."""
    return isinstance(outcome, NotCharged) and outcome.why.reason is ParkReason.CONFLICT


def _after(parked: ParkedLeg, outcome: Charged | NotCharged, principal: Principal) -> ParkedLeg:
    tried = replace(parked, attempts=parked.attempts + 1, actor=principal.name)
    if isinstance(outcome, Charged):
        return replace(tried, status=ParkStatus.REPLAYED, account=outcome.account)
    return replace(
        tried,
        reason=outcome.why.reason,
        detail=outcome.why.detail,
        account=outcome.account or parked.account,
    )

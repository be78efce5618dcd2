"""Resolution of a leg's account, kind and organizer, which are pinned at its first delivery."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.charging.charge_record import (
    Grant,
    Payer,
    ResolvedLeg,
    Unchargeable,
    billable_seconds,
)
from shared.domain.common.kinds import LegKind
from shared.domain.dial_out.authorization_ids import account_of
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.included_minutes import dial_in_is_included, is_toll_free, pool_pays
from shared.domain.dial_out.policy import License
from shared.domain.directory.entities import Account, Bridge, Registration, claims_at
from shared.domain.legs.leg import EndedLeg, QueuedLeg
from shared.domain.legs.parking import ParkReason
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import (
    NumberFacts,
    called_number,
    caller_number,
    classify,
    e164_digits,
    stands_for,
)
from shared.domain.numbers.prefixes import sole_region
from shared.ports.clock import Clock
from shared.ports.holds import HoldBook, HoldRecord
from shared.ports.legs import Claim, Claims
from shared.usecases.directory.called_numbers import called_service_number
from shared.usecases.directory.directory_cache import DirectoryCache


@dataclass(frozen=True, slots=True)
class _Owner:
    """The payer that the leg and the registrations name."""

    account: str | None
    organizer: str | None
    why: str = ""
    reason: ParkReason = ParkReason.ACCOUNT_UNKNOWN


@dataclass(frozen=True, slots=True)
class ResolveLeg:
    """Resolves a leg (docs/leg-fields.md): the account named → the service number's →
    the conference's → the bridge's default; the organizer of the conference, then the one named."""

    facts: DirectoryCache
    claims: Claims
    holds: HoldBook
    clock: Clock

    async def __call__(
        self, queued: QueuedLeg, *, pins: bool = True, corrected: bool = False
    ) -> tuple[ResolvedLeg, Account] | Unchargeable:
        """The leg with its pinned facts and its account, or the reason for parking it. `pins`
        False: nothing is stored. `corrected`: a person corrected the leg, so its organizer is that
        of the corrected leg or of its conference now; its account stays pinned.

        Raises StoreUnavailable when the directory does not answer.
        """
        leg, since = queued.leg, queued.received_at
        talk_seconds = billable_seconds(leg, self.clock.now())
        bridge = await self.facts.bridge(leg.bridge, known_at=since)
        if bridge is None:  # a leg that was posted before its bridge was deleted
            bridge = await self.facts.former_bridge(leg.bridge, known_at=since)
        if bridge is None:
            return Unchargeable(
                ParkReason.ACCOUNT_UNKNOWN, "The bridge of the leg is not registered."
            )
        allowed = await self._allowed(leg, bridge)
        named = allowed if allowed is not None and allowed.is_dial_out else None
        to_number, number = await self._called(queued, bridge, named)
        kind = leg.kind or (LegKind.DIAL_IN if number else None)
        if named is not None and kind is not LegKind.VOIP:
            kind = LegKind.DIAL_OUT  # a leg of an allowed dial-out is never a dial-in
        owner = await self._owner(queued, bridge, number, allowed)
        # What can't be charged as it is pins nothing: corrected, it may name another account.
        sound = kind is not None and not isinstance(talk_seconds, Unchargeable)
        owner = await self._pinned(leg, owner, claim=sound and pins, corrected=corrected)
        account = None
        if owner.account is not None:
            account = await self.facts.account(owner.account, known_at=since)
        if isinstance(talk_seconds, Unchargeable):
            return replace(talk_seconds, account=account.id if account else None)
        if account is None:
            why = owner.why or f"There is no account {owner.account}."
            return Unchargeable(owner.reason, why)
        if kind is None:
            return Unchargeable(
                ParkReason.KIND_UNKNOWN,
                "Neither the bridge nor a registered service number states its kind.",
                account.id,
            )
        if named is not None and (mismatch := _other_call(leg, to_number, named)):
            return Unchargeable(ParkReason.INCONSISTENT, mismatch, account.id)
        registered = None
        if owner.organizer is not None:
            registered = await self._organizer(account.id, owner.organizer, queued)
        from_number = caller_number(leg.from_number, bridge.country) if leg.from_number else None
        dialled = classify(to_number or "")
        number_class = await self._number_class(queued, account, kind, dialled)
        return (
            ResolvedLeg(
                leg=leg,
                from_number=from_number,
                to_number=to_number,
                region=dialled.region or _sole_region(to_number),
                number_class=number_class,
                account=account.id,
                currency=account.settings.currency,
                kind=kind,
                organizer=owner.organizer,
                organizer_known=registered is not None,
                talk_seconds=talk_seconds,
                cost_center=registered.cost_center if registered else None,
                license=registered.license.value if registered else None,
                payer=_payer(kind, registered, number, dialled, number_class),
                hold=await self._hold(leg, account.id, kind),
            ),
            account,
        )

    async def knows_account(self, leg: EndedLeg) -> bool:
        """True if the leg would be charged to an account, or parked for another reason."""
        resolved = await self(QueuedLeg(leg, self.clock.now()), pins=False)
        unknown = (
            isinstance(resolved, Unchargeable) and resolved.reason is ParkReason.ACCOUNT_UNKNOWN
        )
        return not unknown

    async def _organizer(
        self, account: str, organizer: str, queued: QueuedLeg
    ) -> OrganizerFacts | None:
        """The organizer at the time of the answer, if it was deleted since."""
        since = queued.received_at
        registered = await self.facts.organizer(account, organizer, known_at=since)
        if registered is not None:
            return registered
        moment = _moment(queued.leg)
        return await self.facts.former_organizer(account, organizer, moment, known_at=since)

    async def _allowed(self, leg: EndedLeg, bridge: Bridge) -> HoldRecord | None:
        """The call whose authorization the leg names."""
        account = account_of(leg.authorization) if leg.authorization else None
        if leg.authorization is None or account is None or not bridge.serves(account):
            return None
        return await self.holds.record(account, leg.authorization)

    async def _hold(self, leg: EndedLeg, account: str, kind: LegKind) -> Grant | None:
        """The grant of a leg: by the authorization that it names, else by its id."""
        if kind is LegKind.VOIP:
            return None
        record = None
        if leg.authorization is not None:
            record = await self.holds.record(account, leg.authorization)
        if record is None:
            placed = await self.holds.placed_for(account, leg.key)
            record = await self.holds.record(account, placed) if placed else None
        if record is None or record.expires_at is None:
            return None
        return Grant(
            record.authorization,
            record.granted_seconds,
            record.expires_at,
            record.pool_seconds,
            record.released,
        )

    async def _number_class(
        self, queued: QueuedLeg, account: Account, kind: LegKind, dialled: NumberFacts
    ) -> NumberClass:
        """The class of the called number; for a dial-out by the account's own ranges, like its
        grant. A text that is no number has none."""
        if kind is not LegKind.DIAL_OUT or not dialled.valid:
            return dialled.number_class
        policy = await self.facts.dial_out_policy(account.id, known_at=queued.received_at)
        return policy.class_of(dialled)

    async def _called(
        self, queued: QueuedLeg, bridge: Bridge, named: HoldRecord | None
    ) -> tuple[str | None, Registration | None]:
        """(the called number, its registration as a service number). `named` is the dial-out whose
        authorization the leg names: its number replaces a shortened text."""
        leg = queued.leg
        if leg.to_number is None:
            return None, None
        if named is not None and named.number and stands_for(leg.to_number, named.number):
            return named.number, None
        number = called_number(leg.to_number, bridge.country)
        if named is not None or leg.kind not in {None, LegKind.DIAL_IN}:
            return number, None
        registration = await called_service_number(
            self.facts, leg, bridge, _moment(leg), known_at=queued.received_at
        )
        return registration or (number, None)

    async def _owner(
        self,
        queued: QueuedLeg,
        bridge: Bridge,
        number: Registration | None,
        allowed: HoldRecord | None,
    ) -> _Owner:
        leg = queued.leg
        claims = await self._claims_of(queued, bridge)
        account = leg.account or (number.account if number else None)
        if account is None and allowed is not None:
            account = account_of(allowed.authorization)  # for whom the call was allowed
        if account is None and len(claims) > 1:
            names = ", ".join(sorted(claims))
            why = f"Several accounts have registered the conference: {names}."
            return _Owner(None, leg.organizer, why, ParkReason.ACCOUNT_AMBIGUOUS)
        account = account or next(iter(claims), None) or bridge.default_account
        if account is None:
            return _Owner(
                None, leg.organizer, "The leg, its numbers and its conference name no account."
            )
        if not bridge.serves(account):
            return _Owner(None, leg.organizer, f"The bridge does not serve account {account}.")
        conference = claims.get(account)
        registered = conference.organizer if conference else None
        return _Owner(account, registered or leg.organizer)

    async def _claims_of(self, queued: QueuedLeg, bridge: Bridge) -> dict[str, Registration]:
        """The registrations of the leg's conference, by account of those that the bridge serves."""
        leg = queued.leg
        if leg.conference_id is None:
            return {}
        registrations = await self.facts.conference(leg.conference_id, known_at=queued.received_at)
        return {
            claim.account: claim
            for claim in claims_at(registrations, _moment(leg))
            if bridge.serves(claim.account)
        }

    async def _pinned(
        self, leg: EndedLeg, owner: _Owner, *, claim: bool, corrected: bool
    ) -> _Owner:
        """The owner that the first delivery found, even if the bridge serves other accounts now."""
        name = owner.account
        if claim and name is not None and await self.facts.account(name) is not None:
            pinned: Claim | None = await self.claims.claim(leg.key, Claim(name, owner.organizer))
        else:
            pinned = await self.claims.find(leg.key)
        if pinned is None or (corrected and pinned.account == owner.account):
            return owner
        return _Owner(pinned.account, pinned.organizer)


def _sole_region(number: str | None) -> str | None:
    """The region of a number that libphonenumber does not know, such as one of a new range; None
    where several regions share its calling code. Only usage reports use it: included minutes and
    policies use the region of known numbers."""
    digits = e164_digits(number or "")
    return (sole_region(digits) or None) if digits else None


def _payer(
    kind: LegKind,
    organizer: OrganizerFacts | None,
    number: Registration | None,
    dialled: NumberFacts,
    number_class: NumberClass,
) -> Payer:
    """The payer by the organizer's license; an unknown organizer pays by the minute."""
    if organizer is None or organizer.license is not License.SUBSCRIPTION:
        return Payer.CREDITS
    if kind is LegKind.DIAL_IN:
        toll_free = is_toll_free(number, dialled)
        included = dial_in_is_included(organizer.license, toll_free=toll_free)
        return Payer.LICENSE if included else Payer.CREDITS
    pays = pool_pays(organizer.license, dialled.region, number_class)
    return Payer.POOL if kind is LegKind.DIAL_OUT and pays else Payer.CREDITS


def _other_call(leg: EndedLeg, to_number: str | None, named: HoldRecord) -> str:
    """The fault of an answered leg that came in under a dial-out's authorization, to another
    number than the dialled one; "" without a fault."""
    is_other = to_number != named.number
    if leg.kind is not LegKind.DIAL_IN or leg.answered_at is None or not is_other:
        return ""
    return (
        f"It came in to {to_number}, and names the authorization of a dial-out to "
        f"{named.number}: replay it without the authorization if it is a separate call."
    )


def _moment(leg: EndedLeg) -> datetime:
    return leg.answered_at or leg.started_at

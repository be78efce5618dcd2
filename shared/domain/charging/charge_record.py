"""From an ended leg and its resolved facts to the debit, with the explanation of the charge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import format_amount, format_fraction, format_price
from shared.domain.ledger.model import HoldEffect
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.domain.legs.hangup_causes import frees_hold
from shared.domain.legs.leg import EndedLeg
from shared.domain.legs.parking import ParkReason
from shared.domain.numbers.classes import NumberClass
from shared.domain.rating.rating import Charge, ChargeLine, ChargeLineKind

_ABOUT_CHARGE = frozenset(
    {
        *("status", "zero_reason", "billed_seconds", "amount", "rate", "lines", "rounding"),
        *("flags", "replaces", "pool_seconds"),
    }
)


ZERO_DURATION = "zero_duration"
"""The reason of an answered leg without a full second: it keeps its rate where there is one."""


CARRIER_RATE_MISSING = "carrier_rate_missing"
"""The flag of a leg that the account's carrier card has no rate for."""


class Payer(StrEnum):
    """The payer of a leg: credits, the pool of included minutes before credits, or the license
    itself."""

    CREDITS = "credits"
    POOL = "pool"
    LICENSE = "license"


@dataclass(frozen=True, slots=True)
class Unchargeable:
    """The reason for which a leg is parked; `account` is the leg's account where known."""

    reason: ParkReason
    detail: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedLeg:
    """A leg with its pinned facts: account, kind, duration, and the normalized numbers.
    `from_number` is None for an unknown caller; `to_number` is the received text if that is no
    number. `region` and `number_class` are those of the called number. `license` is the
    organizer's; `carrier` what the leg costs in purchasing."""

    leg: EndedLeg
    account: str
    currency: str
    kind: LegKind
    organizer: str | None
    organizer_known: bool
    talk_seconds: int
    cost_center: str | None = None
    payer: Payer = Payer.CREDITS
    from_number: str | None = None
    to_number: str | None = None
    region: str | None = None
    number_class: NumberClass = NumberClass.UNKNOWN
    hold: "Grant | None" = None
    license: str | None = None
    carrier: Charge | None = None

    @property
    def authorization(self) -> str | None:
        """The authorization of the leg's hold, which may be found by the leg's id. A leg without a
        hold has the authorization that it names."""
        return self.hold.authorization if self.hold else self.leg.authorization


@dataclass(frozen=True, slots=True)
class Grant:
    """The part of a leg that the hold book granted, and its seconds of included minutes.
    `released`: the bridge or an unanswered attempt freed the hold before the leg arrived."""

    authorization: str
    granted_seconds: int
    expires_at: datetime
    pool_seconds: int = 0
    released: bool = False


def billable_seconds(leg: EndedLeg, now: datetime) -> int | Unchargeable:
    """The answered seconds of a leg, or the contradiction in its times (docs/leg-fields.md)."""
    if leg.ended_at > now + timedelta(seconds=limits.LEG_FUTURE_SECONDS_MAX):
        return Unchargeable(
            ParkReason.INCONSISTENT, "The leg ends more than 5 minutes in the future."
        )
    if leg.answered_at is None:
        if leg.talk_seconds:
            return Unchargeable(
                ParkReason.INCONSISTENT, "The leg was not answered, but has talk time."
            )
        return 0
    if leg.ended_at < leg.answered_at:
        return Unchargeable(ParkReason.INCONSISTENT, "The leg ended before it was answered.")
    measured = leg.ended_at - leg.answered_at
    seconds = measured // timedelta(seconds=1)
    talked = seconds if leg.talk_seconds is None else leg.talk_seconds
    if not 0 <= talked <= limits.LEG_SECONDS_MAX:
        return Unchargeable(ParkReason.INCONSISTENT, "The leg lasts longer than 24 hours.")
    if abs(timedelta(seconds=talked) - measured) > timedelta(
        seconds=limits.LEG_TALK_TOLERANCE_SECONDS
    ):
        return Unchargeable(
            ParkReason.INCONSISTENT,
            f"talk_seconds is {talked}, the times from answer to end yield {seconds}.",
        )
    return talked


def zero_reason(resolved: ResolvedLeg) -> str | None:
    """The reason why a leg is free at any rate, or None."""
    if resolved.kind is LegKind.VOIP:
        return "voip"
    if resolved.leg.answered_at is None:
        return "unanswered"
    if resolved.talk_seconds == 0:
        return ZERO_DURATION
    return "included" if resolved.payer is Payer.LICENSE else None


def hold_effect(resolved: ResolvedLeg) -> HoldEffect | None:
    """The effect of a leg on the hold of its call; None where no hold is known
    (docs/dial-out.md)."""
    if resolved.kind is LegKind.VOIP:
        return HoldEffect.KEEPS  # the phone leg of the call is another one
    if resolved.leg.answered_at is None and not frees_hold(resolved.leg.hangup_cause):
        return HoldEffect.KEEPS
    if resolved.hold is None:
        return None
    return HoldEffect.FREES if resolved.leg.answered_at is None else HoldEffect.SETTLES


def pool_seconds_requested(resolved: ResolvedLeg, now: datetime) -> int:
    """The seconds that a leg may take from the pool: at most those that its hold reserved, or all
    remaining ones where no reservation exists (any more)."""
    if resolved.payer is not Payer.POOL:
        return 0
    grant = resolved.hold
    if grant is None or grant.released or now >= grant.expires_at:
        return resolved.talk_seconds
    return min(resolved.talk_seconds, grant.pool_seconds)


def hold_flags(resolved: ResolvedLeg, now: datetime) -> list[str]:
    """`late` and `hold_expired`: debited after its hold expired. `overrun`: longer than granted.
    `hold_released`: answered although its hold had been freed. `organizer_unknown`: charged as
    pay-per-minute, since the organizer is not registered."""
    flags: list[str] = [*resolved.leg.flags]
    grant = resolved.hold
    if grant is not None and now >= grant.expires_at:
        flags += ["late", "hold_expired"]
    if grant is not None and resolved.talk_seconds > grant.granted_seconds:
        flags.append("overrun")
    if grant is not None and grant.released and resolved.leg.answered_at is not None:
        flags.append("hold_released")
    if not resolved.organizer_known:
        flags.append("organizer_unknown")
    return flags


def zero_charge_document(
    resolved: ResolvedLeg, reason: str, destination: str | None, flags: list[str]
) -> dict[str, object]:
    """The explained charge of a leg that costs nothing and has no rate; `destination` is that of
    the called number, where the account's card has one."""
    return {
        **_leg_part(resolved),
        **({"destination": destination} if destination else {}),
        "status": "zero",
        "zero_reason": reason,
        "billed_seconds": 0,
        "amount": format_amount(0),
        "lines": [],
        "flags": flags,
    }


def charge_document(resolved: ResolvedLeg, charge: Charge, flags: list[str]) -> dict[str, object]:
    """The explained charge of a rated leg, as stored permanently (docs/rating.md)."""
    return {**_leg_part(resolved), **_rated_part(charge), "flags": flags}


def rerated_document(
    before: Mapping[str, object], charge: Charge, replaced_entry: int
) -> dict[str, object]:
    """The explained charge of a re-rated leg: the facts of the leg from `before`, the parts of the
    new charge, and in `replaces` the former charge. The pool pays the same seconds again; the
    charge is that of the rest, as in `pooled_charge`."""
    about_leg = {name: value for name, value in before.items() if name not in _ABOUT_CHARGE}
    pool_seconds = ChargeRecord(before).pool_seconds
    return {
        **about_leg,
        **(_pooled_part(_pool_line_of(before), charge) if pool_seconds else _rated_part(charge)),
        "flags": before.get("flags", []),
        "replaces": {
            "entry": replaced_entry,
            "amount": before.get("amount"),
            "billed_seconds": before.get("billed_seconds"),
            "rate": before.get("rate"),
        },
    }


def charge_fields(charge: Charge) -> dict[str, object]:
    """The part of a shown charge that is derived, not stored: the sentence, and the prefixes
    that the rate's prefix won over."""
    return _derived(charge, charge.sentence())


def _derived(charge: Charge, sentence: str) -> dict[str, object]:
    matches = charge.version.index.matches(charge.kind, charge.to_digits)
    return {
        "sentence": sentence,
        "won_over": [
            prefix
            for row, prefix, origin in matches
            if row != charge.row and origin in {None, charge.origin}
        ],
    }


def pooled_charge(
    resolved: ResolvedLeg,
    whole: Charge,
    pool_seconds: int,
    rest: tuple[int, Charge | None],
    flags: list[str],
) -> dict[str, object]:
    """The explained charge of a leg whose first paid seconds the pool pays. `whole` is what credits
    would pay for all of it: its rate and destination are those of the pool's line. `rest` is that
    of `rest_after`."""
    begin, charge = rest
    line = _pool_line(pool_seconds, begin, whole.rate.destination)
    return {
        **_leg_part(resolved),
        "rate": _rate(whole),
        **_pooled_part(line, charge),
        "flags": flags,
    }


def quoted_pooled(
    whole: Charge, pool_seconds: int, rest: tuple[int, Charge | None]
) -> dict[str, object]:
    """The part of a quote that `pooled_charge` would store for a leg."""
    begin, charge = rest
    line = _pool_line(pool_seconds, begin, whole.rate.destination)
    return {"rate": _rate(whole), **_pooled_part(line, charge)}


def explained(charge: Charge) -> dict[str, object]:
    """The stored document of a rating: rate, lines, rounding."""
    return _explained(charge, charge.lines())


def quoted(charge: Charge) -> dict[str, object]:
    """The stored charge, and further facts about it."""
    lines, sentence = charge.explain()
    return {**_explained(charge, lines), **_derived(charge, sentence)}


def _explained(charge: Charge, lines: Sequence[ChargeLine]) -> dict[str, object]:
    version = charge.version
    return {
        "billed_seconds": charge.billed_seconds,
        "amount": format_amount(charge.amount_micros),
        "rate": _rate(charge),
        "lines": [_line(line) for line in lines],
        "rounding": {
            "mode": version.rounding.mode.value,
            "decimals": version.rounding.decimals,
            "unrounded": format_fraction(charge.unrounded),
        },
    }


def _rate(charge: Charge) -> dict[str, object]:
    version, rate = charge.version, charge.rate
    return {
        "card": version.card,
        "version": format_time(version.effective_from),
        "prefix": rate.prefix,
        "destination": rate.destination,
        **({"origin": rate.origin} if rate.origin else {}),
    }


def person_document(resolved: ResolvedLeg, salt: str) -> dict[str, object]:
    """The part of a leg that can be erased; the salt keeps its digest from being guessed."""
    return {
        "from": resolved.from_number,
        "to": resolved.to_number,
        **received_texts(
            (resolved.leg.from_number, resolved.from_number),
            (resolved.leg.to_number, resolved.to_number),
        ),
        "organizer": resolved.organizer,
        "salt": salt,
    }


def received_texts(
    caller: tuple[str | None, str | None], called: tuple[str | None, str | None]
) -> dict[str, str]:
    """`from_received` and `to_received` where the text differs from the number; both arguments are
    (text as received, number)."""
    pairs = (("from_received", caller), ("to_received", called))
    return {name: text for name, (text, number) in pairs if text and text != number}


def _leg_part(resolved: ResolvedLeg) -> dict[str, object]:
    leg = resolved.leg
    return {
        "account": resolved.account,
        "bridge": leg.bridge,
        "kind": resolved.kind.value,
        "conference": leg.conference_id,
        "started_at": format_time(leg.started_at),
        "answered_at": format_time(leg.answered_at) if leg.answered_at else None,
        "ended_at": format_time(leg.ended_at),
        "talk_seconds": resolved.talk_seconds,
        "currency": resolved.currency,
        "authorization": resolved.authorization,
        "hangup_cause": leg.hangup_cause,
        "cost_center": resolved.cost_center,
        "region": resolved.region,
        "number_class": resolved.number_class.value,
        **({"license": resolved.license} if resolved.license else {}),
        **({"carrier": _carrier(resolved.carrier)} if resolved.carrier else {}),
    }


def _carrier(charge: Charge) -> dict[str, object]:
    """The purchasing cost of the leg, in the currency of the carrier's card."""
    return {
        "card": charge.version.card,
        "version": format_time(charge.version.effective_from),
        "amount": format_amount(charge.amount_micros),
        "currency": charge.version.currency,
    }


def _rated_part(charge: Charge) -> dict[str, object]:
    free = charge.amount_micros == 0
    return {
        "status": "zero" if free else "charged",
        **({"zero_reason": "free_rate" if charge.talk_seconds else ZERO_DURATION} if free else {}),
        **explained(charge),
    }


def _pool_line(seconds: int, until_second: int, destination: str | None) -> dict[str, object]:
    return {
        "kind": "pool",
        "from_second": 0,
        "seconds": seconds,
        "amount": "0",
        **({"until_second": until_second} if until_second != seconds else {}),
        **({"destination": destination} if destination is not None else {}),
    }


def _pool_line_of(charge: Mapping[str, object]) -> dict[str, object]:
    """The pool's line of a stored charge, with the destination that was rated at that time."""
    record = ChargeRecord(charge)
    if record.pool_line is not None:
        return dict(record.pool_line)
    destination = record.rate.destination if record.rate else None
    return _pool_line(record.pool_seconds, record.pool_seconds, destination)


def _pooled_part(line: dict[str, object], rest: Charge | None) -> dict[str, object]:
    pool_seconds = int(str(line["seconds"]))
    document: dict[str, object] = {
        "status": "charged" if rest and rest.amount_micros else "pool",
        "billed_seconds": pool_seconds,
        "amount": format_amount(0),
        "lines": [line],
        "pool_seconds": pool_seconds,
    }
    if rest is None:
        return document
    begin = int(str(line.get("until_second", pool_seconds)))
    lines = [_line(each, after_seconds=begin) for each in rest.lines()]
    return {
        **document,
        **explained(rest),
        "billed_seconds": pool_seconds + rest.billed_seconds,
        "lines": [line, *lines],
    }


def _line(line: ChargeLine, *, after_seconds: int = 0) -> dict[str, object]:
    document: dict[str, object] = {
        "kind": line.kind.value,
        "amount": format_fraction(line.amount),
    }
    if line.kind is not ChargeLineKind.USAGE:
        return document
    return {
        **document,
        "from_second": after_seconds + line.from_second,
        "seconds": line.seconds,
        "increments": line.increments,
        "price": format_price(line.price_picos),
        "unit_seconds": line.unit_seconds,
        **({"band": line.band} if line.band else {}),
    }


_SHOWN_OF_CHARGED = (
    *("account", "kind", "conference", "started_at", "answered_at", "ended_at", "talk_seconds"),
    *("authorization", "hangup_cause"),
)


def charged_version(
    charge: Mapping[str, object], person: Mapping[str, object]
) -> dict[str, object]:
    """A charged leg under the names of `leg_document`, numbers as received, for display with a
    second version under the same key."""
    return {
        **{name: charge.get(name) for name in _SHOWN_OF_CHARGED},
        **{name: person.get(f"{name}_received", person.get(name)) for name in ("from", "to")},
        "organizer": person.get("organizer"),
    }

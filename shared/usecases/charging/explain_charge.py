"""A stored charge in words: the sentence is built from the card on request, and not stored."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.charging.charge_record import charge_fields
from shared.domain.charging.rerating import SkipReason, leg_facts
from shared.domain.common.canonical import parse_time
from shared.domain.ledger.stored_charge import ChargeRecord, RatedBy
from shared.domain.rating.diff import rate_past_leg
from shared.domain.rating.rate_card import RateCardUnreadable, RateCardVersion
from shared.domain.rating.rating import Charge
from shared.ports.rate_cards import RateCardStore

_FREE = {
    "voip": "VoIP legs are free.",
    "unanswered": "The call was not answered: nothing is charged.",
    "zero_duration": "The call was answered, but has no full second of talk time: nothing is "
    "charged.",
    "included": "The organizer's license includes callers of toll numbers: nothing is charged.",
}


@dataclass(frozen=True, slots=True)
class ExplainLeg:
    """Explains a charge: the prefix that won, the other candidates, and the steps of the amount."""

    rate_cards: RateCardStore

    async def __call__(
        self, document: Mapping[str, object], person: Mapping[str, object]
    ) -> dict[str, object]:
        """`sentence` and `won_over` of a stored charge; both empty where the card no longer gives
        exactly this charge. Raises StoreUnavailable."""
        charge = ChargeRecord(document)
        pool_seconds, rate = charge.pool_seconds, charge.rated_by
        if sentence := _FREE.get(str(charge.zero_reason)):
            return {"sentence": sentence}
        if rate is None:
            return {"sentence": _pooled(charge)} if pool_seconds else {}
        try:
            version = await self.rate_cards.version(rate.card, parse_time(rate.version))
        except RateCardUnreadable:
            return {}
        again = _rated_again(version[1], rate, charge, person) if version else None
        if again is None:
            return {}
        words = charge_fields(again)
        if pool_seconds:
            words["sentence"] = (
                f"The pool of included minutes pays the first {pool_seconds} s. {words['sentence']}"
            )
        if charge.replaces:
            entry, amount = charge.replaces
            words["sentence"] = (
                f"{words['sentence']} It replaces the charge of {amount} in entry {entry}."
            )
        return words


def _pooled(charge: ChargeRecord) -> str:
    pool_seconds = charge.pool_seconds
    free_seconds = charge.pool_until_second - pool_seconds
    if not free_seconds:
        return f"The pool of included minutes pays all {pool_seconds} s."
    return f"The pool of included minutes pays {pool_seconds} s, {free_seconds} s are free."


def _rated_again(
    version: RateCardVersion,
    rate: RatedBy,
    charge: ChargeRecord,
    person: Mapping[str, object],
) -> Charge | None:
    """The charge as the engine computes it now. The prefix replaces the number, which may be
    erased: the same prefixes match."""
    facts = leg_facts(charge, {**person, "to": person.get("to") or f"+{rate.prefix}"})
    if isinstance(facts, SkipReason):
        return None
    again = rate_past_leg(version, facts._replace(origin=facts.origin or rate.origin))
    if again is None or again.amount_micros != charge.amount_micros:
        return None
    return again if again.rate.prefix == rate.prefix else None

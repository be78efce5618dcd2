"""The answer to a post that was tried."""

from collections.abc import Sequence

from shared.domain.charging.leg_preview import LegPreview
from shared.domain.legs.leg import leg_document
from shared.domain.legs.parking import WAYS_OUT, ParkReason


def tried_body(tried: Sequence[LegPreview]) -> dict[str, object]:
    """The first leg, else the first outcome, as a JSON object; `others` has the rest."""
    ordered = sorted(tried, key=lambda each: each.outcome != "leg")
    if not ordered:
        return {"outcome": "ignored", "steps": [{"step": "read", "detail": "The post is empty."}]}
    first, *others = map(_one, ordered)
    return {**first, **({"others": others} if others else {})}


def _one(tried: LegPreview) -> dict[str, object]:
    leg = tried.leg
    fields: dict[str, object] = {
        "missing": list(tried.missing) or None,
        "leg": None if leg is None else leg_document(leg),
        "account": tried.account,
        "charge": tried.charge,
        "would_park": tried.why_parked[0] if tried.why_parked else None,
        "what_to_do": WAYS_OUT[ParkReason(tried.why_parked[0])] if tried.why_parked else None,
    }
    return {
        "outcome": tried.outcome,
        **{name: value for name, value in fields.items() if value is not None},
        "steps": [{"step": step, "detail": sentence} for step, sentence in tried.steps],
    }

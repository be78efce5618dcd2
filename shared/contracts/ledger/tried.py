"""The answer to a post that was tried."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from shared.domain.legs.leg import EndedLeg, leg_document


class TriedLeg(Protocol):
    """The preview of one leg or event."""

    @property
    def outcome(self) -> str:
        """`leg`, `waiting`, `ignored` or `unreadable`."""
        ...

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """(step, sentence) in order."""
        ...

    @property
    def missing(self) -> tuple[str, ...]:
        """The facts that the leg waits for."""
        ...

    @property
    def leg(self) -> EndedLeg | None:
        """The leg that would be charged or parked."""
        ...

    @property
    def account(self) -> str | None:
        """The account that would be charged."""
        ...

    @property
    def charge(self) -> Mapping[str, object] | None:
        """The charge document."""
        ...

    @property
    def why_parked(self) -> tuple[str, str] | None:
        """(reason, sentence) for which the leg would be parked."""
        ...


def tried_body(tried: Sequence[TriedLeg]) -> dict[str, object]:
    """The first leg, else the first outcome, as a JSON object; `others` has the rest."""
    ordered = sorted(tried, key=lambda each: each.outcome != "leg")
    if not ordered:
        return {"outcome": "ignored", "steps": [{"step": "read", "detail": "The post is empty."}]}
    first, *others = map(_one, ordered)
    return {**first, **({"others": others} if others else {})}


def _one(tried: TriedLeg) -> dict[str, object]:
    leg = tried.leg
    fields: dict[str, object] = {
        "missing": list(tried.missing) or None,
        "leg": None if leg is None else leg_document(leg),
        "account": tried.account,
        "charge": tried.charge,
        "would_park": tried.why_parked[0] if tried.why_parked else None,
    }
    return {
        "outcome": tried.outcome,
        **{name: value for name, value in fields.items() if value is not None},
        "steps": [{"step": step, "detail": sentence} for step, sentence in tried.steps],
    }

"""The result of a trial of a bridge's post."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.legs.leg import EndedLeg


@dataclass(frozen=True, slots=True)
class LegPreview:
    """The outcome of one leg or event, without a charge: `outcome` is `leg`, `waiting`, `ignored`
    or `unreadable`. `steps` are (step, sentence). `why_parked` is a reason and a sentence."""

    outcome: str
    steps: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()
    leg: EndedLeg | None = None
    account: str | None = None
    charge: Mapping[str, object] | None = field(default=None, hash=False)
    why_parked: tuple[str, str] | None = None

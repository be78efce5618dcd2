"""Denied dial-outs and dial-ins, for the list of denials."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


class Direction(StrEnum):
    """The direction of a denied call."""

    DIAL_OUT = "dial_out"
    DIAL_IN = "dial_in"


class DenialGroup(StrEnum):
    """The groups by which denials are counted."""

    REASON = "reason"
    ORGANIZER = "organizer"
    REGION = "region"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class DeniedCall:
    """A denied call. `id` is the same for the same request; `to` is the number where the text is
    one, else the text as it was sent."""

    id: str
    at: datetime
    bridge: str
    direction: Direction
    to: str
    region: str | None
    reason: str
    message: str
    organizer: str | None
    conference: str | None


def counted(
    denials: Iterable[DeniedCall], group: DenialGroup, time_zone: str
) -> list[tuple[str | None, int]]:
    """(group, number of denials), the most first; days are those of the zone, in order."""
    zone = ZoneInfo(time_zone)
    counts: Counter[str | None] = Counter()
    for each in denials:
        match group:
            case DenialGroup.REASON:
                counts[each.reason] += 1
            case DenialGroup.ORGANIZER:
                counts[each.organizer] += 1
            case DenialGroup.REGION:
                counts[each.region] += 1
            case DenialGroup.DAY:
                counts[each.at.astimezone(zone).date().isoformat()] += 1
    if group is DenialGroup.DAY:
        return sorted(counts.items(), key=lambda item: item[0] or "")
    return sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))

"""The status of the product: what a caller of the API sees of its operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.legs.dead_letters import QueueCounts


class Status(StrEnum):
    """The state of the product: `ok`, `degraded` or `failing`."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class TimerState:
    """A timer; `last_success_at` is None before its first success. It is late once the last one is
    `late_after_seconds` ago."""

    name: str
    last_success_at: datetime | None
    late_after_seconds: int
    is_late: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """The reason for which the status is not `ok`: a code, and a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class BridgeState:
    """The posts of a bridge within 24 hours, by the hour; `last_post_at` is None before its first
    post, `last_leg_at` before its first leg. `ignored`: events that made no leg, by reason."""

    bridge: str
    last_post_at: datetime | None
    last_leg_at: datetime | None
    legs: int
    parked: int
    ignored: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """The whole status. Counts and ages are None where they are not known; ages in seconds."""

    status: Status
    reasons: tuple[Cause, ...]
    queue: QueueCounts | None
    queue_oldest_seconds: int | None
    inbox_messages: int
    inbox_oldest_seconds: int | None
    outbox_oldest_seconds: int | None
    parked_by_reason: Mapping[str, int]
    timers: tuple[TimerState, ...]
    last_charge_at: datetime | None
    webhooks_failing: int
    bridges: tuple[BridgeState, ...] = ()

"""What may go wrong in a run, and how often: drawn from the seed, so that some runs are calm, some
are hell, and each hell is another one."""

import random
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True)
class Rates:
    """Probabilities per call or per tick; each is none, low or high in a run."""

    busy: float = 0
    lost_request: float = 0
    lost_reply: float = 0
    late_landing: float = 0
    stale_etag: float = 0
    read_busy: float = 0
    slow: float = 0
    crash: float = 0
    queue_lost_request: float = 0
    queue_lost_reply: float = 0
    topic_lost_request: float = 0
    topic_lost_reply: float = 0
    receiver_down: float = 0
    receiver_lost_reply: float = 0
    delivered_twice: float = 0
    settle_lost: float = 0
    clock_skewed: float = 0
    idle: float = 0

    @classmethod
    def drawn(cls, rng: random.Random) -> Self:
        return cls(**{
            field.name: rng.choice((0, low, high))
            for field in fields(cls)
            for low, high in [_LEVELS.get(field.name, (0.02, 0.15))]
        })  # fmt: skip


_LEVELS = {
    "crash": (0.001, 0.01),
    "slow": (0.01, 0.1),
    "stale_etag": (0.05, 0.4),
    "delivered_twice": (0.05, 0.4),
    "clock_skewed": (0.3, 1.0),
    "idle": (0.02, 0.1),
    "receiver_down": (0.1, 0.6),
    "receiver_lost_reply": (0.1, 0.6),
}
CALM = Rates()

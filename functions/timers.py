"""What the frequent timers share."""

import functools
import logging
from collections.abc import Awaitable, Callable

import azure.functions as func

from shared.domain.common.errors import StoreError, Unavailable
from shared.telemetry import event

type Tick = Callable[[func.TimerRequest], Awaitable[None]]


def left_to_the_next_tick(tick: Tick) -> Tick:
    """An outage is a line in the log, not a failed invocation: what is due waits."""

    @functools.wraps(tick)
    async def guarded(timer: func.TimerRequest) -> None:
        try:
            await tick(timer)
        except (Unavailable, StoreError) as error:
            name = tick.__name__
            event("timer_failed", level=logging.WARNING, function=name, detail=error.detail)

    return guarded

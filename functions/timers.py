"""Error handling of the frequent timers."""

import functools
import logging
from collections.abc import Awaitable, Callable

import azure.functions as func

from shared.bootstrap import container
from shared.domain.common.errors import StoreError, Unavailable
from shared.telemetry import event

type TimerHandler = Callable[[func.TimerRequest], Awaitable[None]]


def skip_on_outage(tick: TimerHandler) -> TimerHandler:
    """Decorator: an outage is logged, the invocation does not fail, and the next run does the
    work."""

    @functools.wraps(tick)
    async def guarded(timer: func.TimerRequest) -> None:
        try:
            await tick(timer)
            await container().runs.note(tick.__name__)
        except (Unavailable, StoreError) as error:
            name = tick.__name__
            event("timer_failed", level=logging.WARNING, function=name, detail=error.detail)

    return guarded

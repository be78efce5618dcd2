"""Inbox: the timer that sends on what was kept while the queue was away."""

import azure.functions as func

from functions.http import new_blueprint
from functions.timers import left_to_the_next_tick
from shared.bootstrap import container
from shared.domain.common.errors import QueueUnavailable
from shared.telemetry import event

bp = new_blueprint()


@bp.function_name("forward_inbox")
@bp.timer_trigger(
    arg_name="timer", schedule="%INBOX_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@left_to_the_next_tick
async def forward_inbox(timer: func.TimerRequest) -> None:
    """One tick; doubled, late or missed ticks change nothing."""
    try:
        sent = await container().forward_inbox()
    except QueueUnavailable as error:
        event("inbox_waits", detail=error.detail)
        return
    event("inbox_forwarded", legs=sent, past_due=timer.past_due)

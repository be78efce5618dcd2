"""Spillover: the timer that queues the legs that were stored during an outage of the queue."""

import azure.functions as func

from functions.http import new_blueprint
from functions.timers import skip_on_outage
from shared.bootstrap import container
from shared.domain.common.errors import QueueUnavailable
from shared.telemetry import event

bp = new_blueprint()


@bp.function_name("forward_inbox")
@bp.timer_trigger(
    arg_name="timer", schedule="%INBOX_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@skip_on_outage
async def forward_inbox(timer: func.TimerRequest) -> None:
    """One run; repeated, late or missed runs change nothing."""
    try:
        sent = await container().forward_inbox()
    except QueueUnavailable as error:
        event("inbox_waits", detail=error.detail)
        return
    event("inbox_forwarded", messages=sent, past_due=timer.past_due)

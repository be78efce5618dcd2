"""End of waits: the timer for legs that lack an event of their bridge."""

import azure.functions as func

from functions.http import new_blueprint
from functions.timers import skip_on_outage
from shared.bootstrap import container
from shared.telemetry import event

bp = new_blueprint()


@bp.function_name("end_waits")
@bp.timer_trigger(
    arg_name="timer", schedule="%INBOX_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@skip_on_outage
async def end_waits(timer: func.TimerRequest) -> None:
    """One tick; doubled, late or missed ticks change nothing."""
    calls = await container().assemble_calls.end_waits()
    event("waits_ended", calls=calls, past_due=timer.past_due)

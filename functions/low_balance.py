"""Low balance: the timer of scheduled work on accounts."""

import azure.functions as func

from functions.http import new_blueprint
from functions.timers import skip_on_outage
from shared.bootstrap import container
from shared.telemetry import event

bp = new_blueprint()


@bp.function_name("low_balance")
@bp.timer_trigger(
    arg_name="timer", schedule="%LOW_BALANCE_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@skip_on_outage
async def low_balance(timer: func.TimerRequest) -> None:
    """One run. A missed, late or repeated run changes nothing: work stays scheduled, and events
    have stable ids."""
    watched = await container().watch_balances()
    event(
        "low_balance_tick",
        marks=watched.marks,
        events=watched.events,
        failures=len(watched.failures),
        oldest_seconds=watched.oldest_seconds,
        past_due=timer.past_due,
    )
    for failure in watched.failures:
        event("low_balance_failed", detail=failure)

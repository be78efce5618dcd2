"""Low balance: the timer that looks at what is due."""

import azure.functions as func

from functions.http import new_blueprint
from functions.timers import left_to_the_next_tick
from shared.bootstrap import container
from shared.telemetry import event

bp = new_blueprint()


@bp.function_name("low_balance")
@bp.timer_trigger(
    arg_name="timer", schedule="%LOW_BALANCE_SCHEDULE%", run_on_startup=False, use_monitor=True
)
@left_to_the_next_tick
async def low_balance(timer: func.TimerRequest) -> None:
    """One tick. A missed, late or doubled tick changes nothing: marks wait, events have ids."""
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

"""Nightly audit: every ledger verified and anchored, missed events found."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import new_blueprint
from shared.bootstrap import container
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.usecases.operations.audit_ledgers import AuditResult

bp = new_blueprint()


@bp.function_name("nightly_audit")
@bp.timer_trigger(
    arg_name="timer", schedule="%NIGHTLY_AUDIT_SCHEDULE%", run_on_startup=False, use_monitor=True
)
async def nightly_audit(timer: func.TimerRequest) -> None:
    """One audit of all accounts; a second one the same day finds the same."""
    audit = await container().audit_ledgers()
    await container().runs.note("nightly_audit")
    report(audit, past_due=timer.past_due)
    await container().records.index.fill()
    await container().loads.finish_all()


def report(audit: "AuditResult", *, past_due: bool) -> None:
    """Log what an audit found."""
    for problem in audit.problems:
        event("verification_failed", detail=problem)
    for account in audit.missed:
        event("event_missed", account=account)
    event(
        "audit_done",
        accounts=audit.accounts,
        anchored=audit.anchored,
        days_closed=audit.days_closed,
        problems=len(audit.problems),
        missed=len(audit.missed),
        past_due=past_due,
    )

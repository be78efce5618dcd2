"""The audit log: changes of settings with actor and time."""

from functools import partial

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, SPAN, Query
from shared.domain.common.canonical import format_time
from shared.domain.directory.access import READERS
from shared.ports.audit import LoggedChange

bp = new_blueprint()


@admin_route(
    bp,
    "GET",
    "v1/audit-log",
    READERS,
    queries=(
        *PAGE,
        *SPAN,
        Query("account", "Only changes of this account."),
        Query("actor", "Only changes by this actor."),
        Query("kind", "Only changes of this kind of setting."),
    ),
    is_report=True,
)
async def list_audit_log(call: ApiCall) -> func.HttpResponse:
    """Changes of settings, the newest first, as JSON or CSV: those of `?account=`, else all that
    the caller sees. Filters: `?from=&to=&actor=&kind=`."""
    from shared.contracts.directory.audit_log import COLUMNS, change_row

    since, until = await call.span()

    fetch = partial(
        container().read_audit_log,
        call.principal,
        account=call.query("account"),
        since=since,
        until=until,
        actor=call.query("actor"),
        kind=call.query("kind"),
    )

    def body(logged: LoggedChange) -> dict[str, object]:
        return change_row(_body(logged)) if call.wants_csv() else _body(logged)

    return await reply_list(call, fetch, COLUMNS, "audit-log.csv", body=body, time_column="at")


def _body(logged: LoggedChange) -> dict[str, object]:
    """A change as a JSON object, with `account` if the change belongs to one."""
    change = logged.change
    return {
        "at": format_time(logged.at),
        "actor": logged.actor,
        "action": change.action.value,
        "kind": change.kind,
        "key": change.key,
        **({"account": change.account} if change.account is not None else {}),
        "before": change.before,
        "after": change.after,
        "request_id": logged.request_id,
    }

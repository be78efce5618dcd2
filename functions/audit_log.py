"""The audit log: changes of settings with actor and time."""

import azure.functions as func

from functions.http import Call, Page, admin_route, new_blueprint, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, SPAN, Query
from shared.domain.directory.access import READERS

bp = new_blueprint()


@admin_route(
    bp,
    "GET",
    "v1/audit-log",
    READERS,
    queries=(
        *PAGE,
        *SPAN,
        Query("account", "Changes of this account only."),
        Query("actor", "Changes by this actor only."),
        Query("kind", "Changes of this kind of setting only."),
    ),
    is_report=True,
)
async def list_audit_log(call: Call) -> func.HttpResponse:
    """Changes of settings, the newest first: of `?account=`, else of all that the caller sees;
    `?from=&to=&actor=&kind=`, as JSON or CSV."""
    from shared.contracts.directory.audit_log import COLUMNS, change_body, change_row

    since, until = await call.span()

    async def fetch(limit: int, cursor: str | None) -> Page:
        changes, following = await container().read_audit_log(
            call.principal,
            account=call.query("account"),
            since=since,
            until=until,
            actor=call.query("actor"),
            kind=call.query("kind"),
            limit=limit,
            cursor=cursor,
        )
        bodies = [
            change_body(
                at=each.at,
                actor=each.actor,
                action=each.change.action.value,
                kind=each.change.kind,
                key=each.change.key,
                account=each.change.account,
                before=each.change.before,
                after=each.change.after,
                request_id=each.request_id,
            )
            for each in changes
        ]
        return [change_row(body) for body in bodies] if call.wants_csv() else bodies, following

    return await reply_list(call, fetch, COLUMNS, "audit-log.csv", time_column="at")

"""Alerts: their history and acknowledgement."""

from functools import partial

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.domain.directory.access import READERS, Role
from shared.telemetry import event

bp = new_blueprint()
_PATH = "v1/accounts/{account}/alerts"
_WATCHERS = frozenset({Role.FINANCE, Role.OPERATOR})


@admin_route(bp, "GET", _PATH, READERS, queries=PAGE)
async def list_alerts(call: ApiCall) -> func.HttpResponse:
    """An account's alerts, the newest first."""
    from shared.contracts.credits.alerts import ALERT_COLUMNS, alert_body

    account = call.path("account")
    fetch, body = partial(container().alerts.page, account), partial(alert_body, account)
    return await reply_list(call, fetch, ALERT_COLUMNS, f"{account}-alerts.csv", body=body)


@admin_route(bp, "POST", f"{_PATH}/{{id}}/acknowledge", _WATCHERS)
async def acknowledge_alert(call: ApiCall) -> func.HttpResponse:
    """Acknowledge an alert: no reminder follows. The first acknowledgement stays."""
    from shared.contracts.credits.alerts import alert_body

    account = call.path("account")
    seen = await container().alerts.acknowledge(account, call.path("id"), call.principal.name)
    event("alert_acknowledged", account=account, alert=seen.number, actor=call.principal.name)
    return reply(alert_body(account, seen))

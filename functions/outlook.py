"""Outlook: balance, burn, and when credits will have run out."""

import azure.functions as func

from functions.edge import Call, admin_route, new_blueprint, query_invalid, reply
from shared.bootstrap import container
from shared.domain.access import READERS

bp = new_blueprint()
SVG_MEDIA_TYPE = "image/svg+xml"


@admin_route(bp, "get_outlook", "GET", "v1/accounts/{account}/outlook", READERS)
async def get_outlook(call: Call) -> func.HttpResponse:
    """As JSON, or as a picture with `?format=svg`."""
    from shared.contracts.outlook import outlook_body
    from shared.contracts.outlook_svg import outlook_svg

    account = call.path("account")
    wanted = call.query("format") or "json"
    if wanted not in {"json", "svg"}:
        raise query_invalid("format", "must be json or svg")
    view = await container().read_outlook(account)
    if wanted == "json":
        return reply(outlook_body(account, view.outlook))
    name = view.account.settings.name or account
    return func.HttpResponse(
        outlook_svg(name, view.outlook, view.state.alert_rules),
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        mimetype=SVG_MEDIA_TYPE,
        charset="utf-8",
    )

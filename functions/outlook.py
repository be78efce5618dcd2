"""Outlook: balance, burn rate, and the time when credits run out."""

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply
from shared.bootstrap import container
from shared.contracts.common.queries import one_of
from shared.domain.directory.access import READERS

bp = new_blueprint()
SVG_MEDIA_TYPE = "image/svg+xml"


_FORMAT = (one_of("format", "`svg` for a picture.", ("json", "svg")),)


@admin_route(bp, "GET", "v1/accounts/{account}/outlook", READERS, queries=_FORMAT)
async def get_outlook(call: ApiCall) -> func.HttpResponse:
    """The outlook of the account as JSON, or as a picture with `?format=svg`."""
    from shared.contracts.credits.outlook import outlook_body
    from shared.contracts.credits.outlook_svg import outlook_svg

    account = call.path("account")
    view = await container().read_outlook(account)
    if call.query("format") != "svg":
        return reply(outlook_body(account, view.outlook))
    name = view.account.settings.name or account
    return func.HttpResponse(
        outlook_svg(name, view.outlook, view.state.alert_rules),
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        mimetype=SVG_MEDIA_TYPE,
        charset="utf-8",
    )

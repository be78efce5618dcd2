"""Bridges and their credentials."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.call_ended import POSTED_LEGS
from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    no_content,
    reply,
    reply_list,
    reply_saved,
    with_warnings,
)
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, PREFIX, Query
from shared.domain.directory.access import Role

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.directory.bridges_and_keys import BridgeBody
    from shared.usecases.directory.bridges import BridgeView

bp = new_blueprint()
_PATH = "v1/bridges/{bridge}"
_ADMIN: frozenset[Role] = frozenset()
_SIGNED = frozenset(
    {
        *("x-bridge-authorization", "x-bridge-url"),
        *("webhook-signature", "x-twilio-signature", "x-zm-signature"),
    }
)
"""Headers for the credentials of a post that is tried."""


@admin_route(
    bp,
    "GET",
    "v1/bridges",
    frozenset({Role.OPERATOR}),
    queries=(*PAGE, PREFIX),
    all_accounts=True,
)
async def list_bridges(call: ApiCall) -> func.HttpResponse:
    """Bridges without their secrets, by id."""
    from shared.contracts.directory.bridges_and_keys import BRIDGE_COLUMNS, bridge_body

    def body(view: "BridgeView") -> dict[str, object]:
        return bridge_body(view.bridge, view.etag, None)

    fetch = partial(container().bridges.page, prefix=call.query("prefix") or "")
    return await reply_list(call, fetch, BRIDGE_COLUMNS, "bridges.csv", body=body)


@admin_route(bp, "GET", _PATH, frozenset({Role.OPERATOR}), all_accounts=True)
async def get_bridge(call: ApiCall) -> func.HttpResponse:
    """A bridge without its secrets."""
    from shared.contracts.directory.bridges_and_keys import bridge_body

    view = await container().bridges.read(call.path("bridge"))
    return reply(bridge_body(view.bridge, view.etag, None), etag=view.etag)


@admin_route(
    bp, "PUT", _PATH, _ADMIN, body="directory.bridges_and_keys:BridgeBody", all_accounts=True
)
async def put_bridge(call: ApiCall, body: "BridgeBody") -> func.HttpResponse:
    """Create or replace a bridge. A generated secret is in this response only."""
    return await _save(call, body, call.if_match())


@admin_route(
    bp, "PATCH", _PATH, _ADMIN, body="directory.bridges_and_keys:BridgeBody", all_accounts=True
)
async def patch_bridge(call: ApiCall) -> func.HttpResponse:
    """Change some settings: omitted fields and secrets stay, null takes the default (RFC 7396).
    `{"disabled": true}` refuses the bridge's requests from the next one on."""
    from functions.patches import patch
    from shared.contracts.directory.bridges_and_keys import bridge_body

    async def present() -> tuple[Mapping[str, object], str]:
        view = await container().bridges.read(call.path("bridge"))
        return bridge_body(view.bridge, view.etag, None), view.etag

    return await patch(call, present, partial(_save, call))


@admin_route(bp, "DELETE", _PATH, _ADMIN, if_match=True, all_accounts=True)
async def delete_bridge(call: ApiCall) -> func.HttpResponse:
    """Delete a bridge: its requests are refused from the next one on, the legs that it posted
    stay."""
    await container().bridges.delete(call.path("bridge"), call.if_match())
    return no_content()


@admin_route(
    bp,
    "POST",
    f"{_PATH}/try",
    frozenset({Role.OPERATOR}),
    body=POSTED_LEGS,
    all_accounts=True,
    queries=(
        Query("dialect", "Read the post in this dialect, not in the bridge's."),
        Query("default_account", "Charge this account if nothing else names one."),
    ),
)
async def try_bridge_post(call: ApiCall) -> func.HttpResponse:
    """Try a post of the bridge, with one event or several, in its dialect: the post is read,
    resolved and rated, with every step. Nothing is stored and nothing is charged. If the post makes
    several legs, the answer is the first one, and `others` has the rest. The vendor's signature is
    checked if you send it: the vendor's headers unchanged, `Authorization` as
    `x-bridge-authorization`, and the URL that the vendor calls, with its query, as
    `x-bridge-url`."""
    from shared.contracts.ledger.tried import tried_body
    from shared.usecases.charging.try_post import TriedPost

    headers = {name: text for name, text in call.headers.items() if name != "authorization"}
    credentials, url = headers.get("x-bridge-authorization"), headers.get("x-bridge-url")
    if credentials is not None:
        headers["authorization"] = credentials
    called = call.request.url.partition("?")[0].removesuffix("/try") + "/call-ended"
    tried = await container().try_post(
        call.path("bridge"),
        TriedPost(
            body=call.body(),
            content_type=call.media_type(),
            headers=headers,
            url=url or called,
            is_signed=bool(_SIGNED & headers.keys()),
            dialect=call.query("dialect"),
            default_account=call.query("default_account"),
        ),
    )
    return reply(tried_body(tried))


async def _save(call: ApiCall, stated: "BridgeBody", if_match: str | None) -> func.HttpResponse:
    from shared.contracts.directory.bridges_and_keys import bridge_body

    view, saved = await container().bridges.put(call.path("bridge"), stated.to_input(), if_match)
    body = bridge_body(view.bridge, view.etag, view.new_secret, view.new_control_secret)
    absent = await container().absent.of_bridge(view.bridge)
    return reply_saved(with_warnings(body, absent), saved)

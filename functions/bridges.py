"""Bridges and their credentials."""

import azure.functions as func

from functions.edge import Call, admin_route, new_blueprint, reply
from shared.bootstrap import container
from shared.domain.access import Role

bp = new_blueprint()
_PATH = "v1/bridges/{bridge}"
_ADMIN: frozenset[Role] = frozenset()


@admin_route(bp, "get_bridge", "GET", _PATH, frozenset({Role.OPERATOR}))
async def get_bridge(call: Call) -> func.HttpResponse:
    """A bridge without its secrets."""
    from shared.contracts.access import bridge_body

    call.principal.require_all_accounts()
    view = await container().bridges.read(call.path("bridge"))
    return reply(bridge_body(view.bridge, view.etag, None), etag=view.etag)


@admin_route(bp, "put_bridge", "PUT", _PATH, _ADMIN)
async def put_bridge(call: Call) -> func.HttpResponse:
    """Create or replace a bridge. A secret that we make is shown in this answer only."""
    from shared.contracts.access import BridgeBody, bridge_body
    from shared.contracts.strict import read

    call.principal.require_all_accounts()
    wanted = read(BridgeBody, call.json()).wanted()
    view, saved = await container().bridges.put(call.path("bridge"), wanted, call.if_match())
    return reply(
        bridge_body(view.bridge, view.etag, view.new_secret),
        status=201 if saved.created else 200,
        etag=view.etag,
    )

"""API keys of administrators."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    no_content,
    reply,
    reply_list,
    with_warnings,
)
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.contracts.common.times import read_time
from shared.domain.directory.access import Role

if TYPE_CHECKING:
    from shared.contracts.directory.bridges_and_keys import ApiKeyBody

bp = new_blueprint()
_ADMIN: frozenset[Role] = frozenset()
_ANY = frozenset(Role)


@admin_route(bp, "GET", "v1/caller", _ANY)
async def get_caller(call: ApiCall) -> func.HttpResponse:
    """Name, roles and accounts of the caller, for clients that offer only the allowed actions."""
    return reply(
        {
            "name": call.principal.name,
            "roles": sorted(call.principal.roles),
            "accounts": sorted(call.principal.accounts),
        }
    )


@admin_route(
    bp,
    "POST",
    "v1/api-keys",
    _ADMIN,
    body="directory.bridges_and_keys:ApiKeyBody",
    all_accounts=True,
)
async def create_api_key(_: ApiCall, body: "ApiKeyBody") -> func.HttpResponse:
    """Create a key; this response is the only one that contains it."""
    from shared.contracts.directory.bridges_and_keys import api_key_body

    # A principal of some accounts could else create a key of all accounts.
    kept, key = await container().api_keys.create(
        body.name,
        body.role_set(),
        frozenset(body.accounts),
        read_time(body.expires_at) if body.expires_at else None,
    )
    absent = await container().absent.of_api_key(body.accounts)
    return reply(with_warnings({**api_key_body(kept, None), "key": key}, absent), status=201)


@admin_route(bp, "GET", "v1/api-keys", _ADMIN, queries=PAGE, all_accounts=True)
async def list_api_keys(call: ApiCall) -> func.HttpResponse:
    """All keys, without their secrets."""
    from shared.contracts.directory.bridges_and_keys import API_KEY_COLUMNS, api_key_body

    return await reply_list(
        call,
        container().api_keys.page,
        API_KEY_COLUMNS,
        "api-keys.csv",
        body=lambda each: api_key_body(*each),
    )


@admin_route(bp, "DELETE", "v1/api-keys/{key}", _ADMIN, all_accounts=True)
async def delete_api_key(call: ApiCall) -> func.HttpResponse:
    """Delete a key; it is refused from the next request on."""
    await container().api_keys.delete(call.path("key"))
    return no_content()

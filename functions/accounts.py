"""Accounts: settings, balance and lots."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    reply,
    reply_list,
    reply_saved,
    with_warnings,
)
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.domain.directory.access import READERS, Role

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.directory.accounts import AccountBody

bp = new_blueprint()
_CARD_FIELDS = frozenset({"rate_card", "carrier_card"})
_ACCOUNT = "v1/accounts/{account}"
_SETTERS = frozenset({Role.FINANCE})


@admin_route(bp, "GET", "v1/accounts", READERS, queries=PAGE)
async def list_accounts(call: ApiCall) -> func.HttpResponse:
    """The accounts that the caller sees: settings only."""
    from shared.contracts.directory.accounts import ACCOUNT_COLUMNS, settings_body

    fetch = partial(container().accounts.page, call.principal)
    return await reply_list(call, fetch, ACCOUNT_COLUMNS, "accounts.csv", body=settings_body)


@admin_route(bp, "GET", _ACCOUNT, READERS)
async def get_account(call: ApiCall) -> func.HttpResponse:
    """Settings, balance, held and available amounts, open lots."""
    from shared.contracts.directory.accounts import account_body

    view = await container().accounts.read(call.path("account"))
    body = account_body(view.account, view.state, view.held_micros)
    return reply(body, etag=str(body["etag"]))


@admin_route(bp, "PUT", _ACCOUNT, _SETTERS, body="directory.accounts:AccountBody")
async def put_account(call: ApiCall, body: "AccountBody") -> func.HttpResponse:
    """Create or replace the settings; omitted fields take their defaults."""
    return await _save(call, body, call.if_match())


@admin_route(bp, "PATCH", _ACCOUNT, _SETTERS, body="directory.accounts:AccountBody")
async def patch_account(call: ApiCall) -> func.HttpResponse:
    """Change some settings: omitted fields stay, null takes the default (RFC 7396)."""
    from functions.patches import patch
    from shared.contracts.directory.accounts import settings_body

    async def present() -> tuple[Mapping[str, object], str]:
        body = settings_body(
            await container().facts.require_account(call.path("account"), fresh=True)
        )
        return body, str(body["etag"])

    return await patch(call, present, partial(_save, call))


async def _save(call: ApiCall, stated: "AccountBody", if_match: str | None) -> func.HttpResponse:
    from shared.contracts.directory.accounts import account_body

    settings = stated.settings()
    for card in settings.cards:  # also one that is a default
        await container().accounts.require_card(call.principal, card)
    view, saved = await container().accounts.put(call.path("account"), settings, if_match)
    body = account_body(view.account, view.state, view.held_micros)
    named = stated.model_fields_set
    absent = await container().absent.of_account(settings) if named & _CARD_FIELDS else []
    warnings = [each for each in absent if each.pointer[1:] in named]
    return reply_saved(with_warnings(body, warnings), saved)

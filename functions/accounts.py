"""Accounts: their settings and what they hold."""

import azure.functions as func

from functions.edge import Call, Page, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.queries import PAGE
from shared.domain.access import READERS, Role

bp = new_blueprint()
_SETTERS = frozenset({Role.FINANCE})


@admin_route(bp, "list_accounts", "GET", "v1/accounts", READERS, queries=PAGE)
async def list_accounts(call: Call) -> func.HttpResponse:
    """The accounts that the caller sees: settings only."""
    from shared.contracts.accounts import ACCOUNT_COLUMNS, settings_body

    async def fetch(limit: int, cursor: str | None) -> Page:
        found, following = await container().accounts.page(
            call.principal, limit=limit, cursor=cursor
        )
        return [settings_body(account) for account in found], following

    return await reply_list(call, fetch, ACCOUNT_COLUMNS, "accounts.csv")


@admin_route(bp, "get_account", "GET", "v1/accounts/{account}", READERS)
async def get_account(call: Call) -> func.HttpResponse:
    """Settings, balance, what is held and available, open lots."""
    from shared.contracts.accounts import account_body

    view = await container().accounts.read(call.path("account"))
    body = account_body(view.account, view.state, view.held_micros)
    return reply(body, etag=str(body["etag"]))


@admin_route(bp, "put_account", "PUT", "v1/accounts/{account}", _SETTERS)
async def put_account(call: Call) -> func.HttpResponse:
    """Create or replace the settings."""
    from shared.contracts.accounts import AccountBody, account_body
    from shared.contracts.strict import read

    settings = read(AccountBody, call.json()).settings()
    view, saved = await container().accounts.put(call.path("account"), settings, call.if_match())
    body = account_body(view.account, view.state, view.held_micros)
    return reply(body, status=201 if saved.created else 200, etag=saved.etag)

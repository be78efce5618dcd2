"""Recharges: results from the payment provider, and their list."""

from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE
from shared.domain.credits.recharge import read_recharge_id
from shared.domain.directory.access import READERS, Role
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.contracts.credits.alerts import RechargeResultBody

bp = new_blueprint()
_PAYMENTS = frozenset({Role.PAYMENTS})


@admin_route(
    bp,
    "POST",
    "v1/recharges/{recharge}/result",
    _PAYMENTS,
    body="credits.alerts:RechargeResultBody",
)
async def post_recharge_result(call: ApiCall, body: "RechargeResultBody") -> func.HttpResponse:
    """Record the payment provider's result; a repetition changes nothing."""
    from shared.contracts.credits.alerts import recharge_body
    from shared.usecases.credits.record_recharge_results import RechargeResult

    recharge_id = call.path("recharge")
    answer = RechargeResult(
        body.recharge_status, body.amount_micros, body.currency, body.reference, body.hard
    )
    after = await container().recharge_service.answer(call.principal, recharge_id, answer)
    account, _ = read_recharge_id(recharge_id) or ("", 0)
    event(
        "recharge_answered",
        account=account,
        recharge=recharge_id,
        result=body.status,
        status=after.status.value,
        amount_micros=after.amount_micros,
        hard=body.hard,
    )
    return reply(recharge_body(account, after, body.currency))


@admin_route(bp, "GET", "v1/accounts/{account}/recharges", READERS, queries=PAGE)
async def list_recharges(call: ApiCall) -> func.HttpResponse:
    """An account's recharges, the newest first."""
    from shared.contracts.credits.alerts import RECHARGE_COLUMNS, recharge_body

    account = call.path("account")
    currency = (await container().facts.require_account(account)).settings.currency
    fetch = partial(container().recharge_service.page, account)
    body = partial(recharge_body, account, currency=currency)
    return await reply_list(call, fetch, RECHARGE_COLUMNS, f"{account}-recharges.csv", body=body)

"""Calls in progress, and the cost of a conference."""

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, SPAN
from shared.domain.directory.access import READERS

bp = new_blueprint()


@admin_route(bp, "GET", "v1/accounts/{account}/calls", READERS, queries=(FORMAT,))
async def list_calls(call: ApiCall) -> func.HttpResponse:
    """The open calls, most expensive per minute first, as JSON or CSV. `seconds_left` is the time
    that the account's credits last if all calls continue. The credits are balance and credit limit,
    less the cost of the calls so far."""
    from shared.contracts.dial_out.calls_in_progress import CALL_COLUMNS, call_body, calls_body

    account = call.path("account")
    now = await container().calls_in_progress.of_account(account)
    if call.wants_csv():
        return await reply_csv(CALL_COLUMNS, map(call_body, now.calls), f"{account}-calls.csv")
    return reply(calls_body(now))


@admin_route(
    bp,
    "GET",
    "v1/accounts/{account}/conferences/{conference}/cost",
    READERS,
    queries=SPAN,
    is_report=True,
)
async def get_conference_cost(call: ApiCall) -> func.HttpResponse:
    """The cost of a conference: its open calls and its charged legs, net of corrections. Without a
    span, the legs are those of its last meeting. A meeting ends when nothing is charged for four
    hours."""
    from shared.contracts.dial_out.calls_in_progress import conference_cost_body

    cost = await container().calls_in_progress.of_conference(
        call.path("account"), call.path("conference"), await call.span()
    )
    return reply(conference_cost_body(cost.now, cost.calls, cost.legs, cost.charged_micros))

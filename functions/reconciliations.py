"""Reconciliation of an account's legs with a carrier's invoice or another system's records."""

import asyncio

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, SPAN, one_of
from shared.contracts.common.routes import FORM_MEDIA_TYPE, Body
from shared.domain.common import limits
from shared.domain.directory.access import READERS

bp = new_blueprint()


@admin_route(
    bp,
    "POST",
    "v1/accounts/{account}/reconciliations",
    READERS,
    queries=(*SPAN, FORMAT),
    body=Body(
        "reconciliation.call_records:RecordFormBody",
        (FORM_MEDIA_TYPE,),
        bytes_max=limits.RATE_CARD_BODY_BYTES_MAX,
    ),
    is_report=True,
)
async def post_reconciliation(call: ApiCall) -> func.HttpResponse:
    """Differences between the account's answered legs and a file of call records, as JSON or CSV.
    The form has the parts `file` and `mapping`; the default span is that of the file."""
    from shared.contracts.reconciliation.call_records import read_record_form
    from shared.contracts.reconciliation.outcome import OUTCOME_COLUMNS, outcome_body, outcome_rows

    form = read_record_form(call.headers.get("content-type", ""), call.body())
    span = await call.span()
    account = call.path("account")
    file = await asyncio.to_thread(form.read)
    outcome = await container().reconcile_legs(
        account, file.records, file.tolerance, file.currency, span, call.principal
    )
    if call.wants_csv():
        rows = outcome_rows(outcome.found, outcome.currency)
        return await reply_csv(OUTCOME_COLUMNS, rows, f"{account}-reconciliation.csv")
    body = await asyncio.to_thread(outcome_body, outcome.found, outcome.currency)
    return reply({**body, "left_out": dict(file.left_out)})


@admin_route(
    bp,
    "GET",
    "v1/accounts/{account}/reports/pstn-usage",
    READERS,
    queries=(*SPAN, one_of("format", "The PSTN usage export, or Graph's rows.", ("csv", "graph"))),
    is_report=True,
)
async def get_pstn_usage(call: ApiCall) -> func.HttpResponse:
    """Answered legs as CSV with the columns of the PSTN usage report of Teams, numbers masked by
    the rules of the account's country; with `?format=graph` as rows of `pstnCallLogRow`."""
    from shared.contracts.ledger.pstn_usage import (
        PSTN_USAGE_COLUMNS,
        pstn_call_log_row,
        pstn_usage_row,
    )

    account, span = call.path("account"), await call.span()
    export = container().export_usage
    if call.query("format") == "graph":
        return reply({"value": await export(account, span, pstn_call_log_row)})
    rows = await export(account, span, pstn_usage_row)
    return await reply_csv(PSTN_USAGE_COLUMNS, rows, f"{account}-pstn-usage.csv")

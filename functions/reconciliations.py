"""An account's legs compared with a carrier's invoice or another system's records."""

import asyncio

import azure.functions as func

from functions.http import Call, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, SPAN
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
async def post_reconciliation(call: Call) -> func.HttpResponse:
    """What differs between the account's answered legs and a file of call records, as JSON or CSV.
    The form has the parts `file` and `mapping`; without a span it is that of the file."""
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
        return reply_csv(OUTCOME_COLUMNS, rows, f"{account}-reconciliation.csv")
    return reply({**outcome_body(outcome.found, outcome.currency), "left_out": dict(file.left_out)})

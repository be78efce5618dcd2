"""Denied dial-outs and dial-ins of an account."""

from functools import partial

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv, reply_list
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, SPAN, Query, one_of, query_invalid
from shared.domain.dial_out.denied_calls import DenialGroup
from shared.domain.directory.access import READERS

bp = new_blueprint()


@admin_route(
    bp,
    "GET",
    "v1/accounts/{account}/denials",
    READERS,
    queries=(
        *PAGE,
        *SPAN,
        Query("reason", "Only denials with this reason, such as `credit_exhausted`."),
        Query("organizer", "Only denials of this organizer's calls."),
        one_of("group_by", "Count the denials instead of listing them.", DenialGroup),
    ),
    is_report=True,
)
async def list_denials(call: ApiCall) -> func.HttpResponse:
    """Denied dial-outs and dial-ins of the last 90 days, the newest first, or their number by
    reason, organizer, region or day; as JSON or CSV."""
    from shared.contracts.dial_out.denials import DENIAL_COLUMNS, denial_body

    account, span, group = call.path("account"), await call.span(), call.query("group_by")
    reason, organizer = call.query("reason"), call.query("organizer")
    read, file_name = container().read_denials, f"{account}-denials.csv"
    if group is not None:
        if call.query("limit") or call.query("cursor"):
            raise query_invalid(("group_by", "can't be combined with limit and cursor"))
        counts = await read.count(account, span, reason, organizer, DenialGroup(group))
        items = [{group: name, "denials": count} for name, count in counts]
        if call.wants_csv():
            return await reply_csv((group, "denials"), items, file_name)
        return reply({"items": items, "total": sum(count for _, count in counts)})
    fetch = partial(read.page, account, span, reason, organizer)
    return await reply_list(
        call, fetch, DENIAL_COLUMNS, file_name, body=denial_body, time_column="at"
    )

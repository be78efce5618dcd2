"""Usage: what was spent, by any combination of groups."""

import azure.functions as func

from functions.http import CSV_ROWS_MAX, Call, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, SPAN, Query, QueryKind, one_of
from shared.domain.common.errors import Invalid
from shared.domain.directory.access import READERS

bp = new_blueprint()
_TIME = one_of(
    "time",
    "Select by the time of the entry (`booked`, the default) or of the call (`answered`).",
    ("booked", "answered"),
)


@admin_route(
    bp,
    "GET",
    "v1/accounts/{account}/usage",
    READERS,
    queries=(
        *SPAN,
        _TIME,
        Query(
            "group_by",
            "Groups, separated by commas: organizer, cost_center, conference, kind, region, "
            "destination, number_class, bridge, day, week, month, hour.",
        ),
        one_of(
            "order",
            "Largest amount first (the default), most legs first, or by name.",
            ("amount", "legs", "group"),
        ),
        Query("limit", "The first groups; all others are one item `other`.", QueryKind.COUNT),
        FORMAT,
    ),
    is_report=True,
)
async def get_usage(call: Call) -> func.HttpResponse:
    """Legs, seconds and amounts of a span by group, net of corrections, as JSON or CSV; without a
    span of the present month."""
    from shared.contracts.usage.usage import read_groups, usage_body, usage_columns, usage_items
    from shared.domain.usage.leg_facts import UsageTime
    from shared.domain.usage.usage import Order, added_up

    account = call.path("account")
    groups = read_groups(call.query("group_by"))
    by = UsageTime(call.query("time") or UsageTime.BOOKED)
    since, until = await call.span()
    usage = await container().read_usage(account, since, until, by, groups)
    limit = int(text) if (text := call.query("limit")) else None
    if limit is None and len(usage.totals) > CSV_ROWS_MAX:
        detail = f"More than {CSV_ROWS_MAX:,} groups match. Narrow the span, or send limit."
        raise Invalid(detail, code="result_too_large")
    order = Order(call.query("order") or Order.AMOUNT)
    items = usage_items(usage.totals, groups, order, limit)
    total = added_up(usage.totals.values())
    if call.wants_csv():
        return reply_csv(usage_columns(groups, total), items, f"{account}-usage.csv")
    return reply(usage_body(usage.currency, usage.span, groups, items, total))

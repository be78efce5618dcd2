"""Usage by any combination of groups, and lists of legs."""

import azure.functions as func

from functions.http import (
    CSV_ROWS_MAX,
    ApiCall,
    ItemPage,
    admin_route,
    new_blueprint,
    reply,
    reply_csv,
    reply_list,
    result_too_large,
)
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, PAGE, SPAN, Query, QueryKind, one_of, read_names
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import Invalid
from shared.domain.common.kinds import LegKind
from shared.domain.directory.access import READERS

bp = new_blueprint()
_TIME = one_of(
    "time",
    "Select by the time of the entry (`booked`, the default) or of the call (`answered`).",
    ("booked", "answered"),
)
_FILTERS = (
    one_of("kind", "Only legs of this kind.", LegKind),
    one_of(
        "status",
        "Legs of this status only; parked legs are listed only if it is `parked`.",
        ("charged", "zero", "pool", "parked"),
    ),
    Query("organizer", "Only legs of this organizer's conferences."),
    Query("cost_center", "Only legs of this cost center."),
    Query("conference", "Only legs of this conference."),
    Query("region", "Only legs to this region, `FR`."),
    Query("destination", "Only legs to this destination of the rate card."),
    Query("number", "Only legs from or to this number, E.164 with its plus percent-encoded."),
    Query("bridge", "Only legs of this bridge."),
    Query("flag", "Only legs with this flag, such as `overrun`."),
    Query(
        "without",
        "Only legs without these, separated by commas: organizer, cost_center, conference, region, "
        "destination.",
    ),
    Query("min_amount", "Only legs with at least this amount, net of corrections."),
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
async def get_usage(call: ApiCall) -> func.HttpResponse:
    """Legs, seconds and amounts of a span by group, net of corrections, as JSON or CSV. The
    default span is the present month."""
    from shared.contracts.usage.usage import usage_body, usage_columns, usage_items
    from shared.domain.usage.leg_facts import UsageTime
    from shared.domain.usage.usage import GROUPS, Order

    account = call.path("account")
    groups = read_names("group_by", call.query("group_by"), GROUPS)
    by = UsageTime(call.query("time") or UsageTime.BOOKED)
    since, until = await call.span()
    usage = await container().read_usage(account, since, until, by, groups)
    limit = int(text) if (text := call.query("limit")) else None
    if limit is None and len(usage.totals) > CSV_ROWS_MAX:
        detail = f"More than {CSV_ROWS_MAX:,} groups match. Narrow the span, or send limit."
        raise Invalid(detail, code="result_too_large")
    order = Order(call.query("order") or Order.AMOUNT)
    items = usage_items(usage.totals, groups, order, limit)
    total = usage.totals.total
    if call.wants_csv():
        return await reply_csv(usage_columns(groups, total), items, f"{account}-usage.csv")
    return reply(usage_body(usage.currency, usage.span, groups, items, total))


@admin_route(
    bp,
    "GET",
    "v1/accounts/{account}/legs",
    READERS,
    queries=(
        *PAGE,
        *SPAN,
        _TIME,
        *_FILTERS,
        one_of(
            "order",
            "Newest (the default) or oldest first, or the most expensive first.",
            ("newest", "oldest", "amount"),
        ),
    ),
    is_report=True,
)
async def list_legs(call: ApiCall) -> func.HttpResponse:
    """The legs of a span, net of corrections, as JSON or CSV. The default span is the present
    month."""
    from shared.contracts.usage.legs import LEG_COLUMNS, leg_row, listed_leg_body, read_filter
    from shared.domain.usage.leg_facts import UsageTime
    from shared.domain.usage.leg_selection import LegOrder
    from shared.usecases.usage.list_legs import LegQuery

    account = call.path("account")
    query = LegQuery(
        await call.span(),
        UsageTime(call.query("time") or UsageTime.BOOKED),
        read_filter(call.values),
        LegOrder(call.query("order") or LegOrder.NEWEST),
    )
    listing, file_name = container().list_legs, f"{account}-legs.csv"
    if call.wants_csv() and not call.query("limit"):
        listed = await listing.every(account, query)
        if len(listed.legs) > CSV_ROWS_MAX:
            times = sorted(
                leg.booked_at if query.by is UsageTime.BOOKED else leg.called_at
                for leg in listed.legs
            )
            raise result_too_large(format_time(times[CSV_ROWS_MAX]))
        rows = (leg_row(leg, listed.time_zone) for leg in listed.legs)
        return await reply_csv(LEG_COLUMNS, rows, file_name)

    async def fetch(limit: int, cursor: str | None) -> ItemPage:
        page = await listing.page(account, query, limit, cursor)
        if call.wants_csv():
            return [leg_row(leg, page.time_zone) for leg in page.legs], page.place
        return [listed_leg_body(leg) for leg in page.legs], page.place

    return await reply_list(call, fetch, LEG_COLUMNS, file_name)

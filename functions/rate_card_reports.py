"""Reports on rate cards: quotes, price lists, lint, and differences between versions."""

from typing import TYPE_CHECKING, Any

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv, reply_text
from functions.rate_cards import EFFECT, effect_body, effective_from_of, version_name
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, PAGE, Query, moment, one_of, query_invalid
from shared.contracts.common.times import read_time
from shared.domain.common.canonical import format_time
from shared.domain.common.kinds import LegKind
from shared.domain.directory.access import READERS

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.rate_cards.quotes import QuoteBody
    from shared.contracts.rate_cards.tables import QuoteTableBody
    from shared.usecases.rate_cards.manage_rate_cards import Inquiry

bp = new_blueprint()
TEXT_MEDIA_TYPE = "text/plain"


@admin_route(bp, "POST", "v1/quotes", READERS, body="rate_cards.quotes:QuoteBody")
async def post_quote(call: ApiCall, body: "QuoteBody") -> func.HttpResponse:
    """The cost of a call, explained like a charge; with `organizer_id` by the organizer's license,
    with included minutes."""
    inquiry = _inquiry(body, talk_seconds=body.talk_seconds, organizer=body.organizer_id)
    return reply(await container().rate_card_service.quote(inquiry, call.principal))


@admin_route(
    bp,
    "POST",
    "v1/quotes/table",
    READERS,
    queries=(FORMAT,),
    body="rate_cards.tables:QuoteTableBody",
)
async def post_quote_table(call: ApiCall, body: "QuoteTableBody") -> func.HttpResponse:
    """The cost of calls of 1, 5, 15, 30 and 60 minutes to a number, as JSON or CSV."""
    from shared.contracts.rate_cards.tables import QUOTE_COLUMNS, quote_rows, quote_table_body

    inquiry = _inquiry(body, talk_seconds=0)
    rate_cards = container().rate_card_service
    charges = await rate_cards.quote_table(inquiry, body.minutes, call.principal)
    if call.wants_csv():
        return await reply_csv(QUOTE_COLUMNS, quote_rows(charges), "quotes.csv")
    return reply(quote_table_body(charges))


def _inquiry(body: "QuoteBody | QuoteTableBody", **more: Any) -> "Inquiry":
    from shared.usecases.rate_cards.manage_rate_cards import Inquiry

    return Inquiry(
        account=body.account,
        rate_card=body.rate_card,
        kind=LegKind(body.kind),
        from_received=body.from_number,
        to_received=body.to,
        at=read_time(body.at) if body.at else None,
        **more,
    )


@admin_route(
    bp,
    "GET",
    "v1/rate-cards/{card}/price-list",
    READERS,
    queries=(
        moment("at", "The time at which the prices are in force; by default now."),
        one_of("format", "The same as the header `Accept`.", ("json", "csv", "text")),
    ),
    is_report=True,
)
async def get_price_list(call: ApiCall) -> func.HttpResponse:
    """Prices by country in force now or `?at=`: as JSON, CSV, or text to read."""
    from shared.contracts.rate_cards.reports import render_dial_in_prices, render_price_list
    from shared.contracts.rate_cards.tables import PRICE_COLUMNS, price_list_text, price_rows

    reports = container().rate_card_reports
    version, listed, dial_in = await reports.price_list(call.path("card"), await call.moment("at"))
    if call.wants_csv():
        return await reply_csv(
            PRICE_COLUMNS, price_rows(listed, dial_in), f"{version.card}-prices.csv"
        )
    accepts_text = TEXT_MEDIA_TYPE in call.headers.get("accept", "").lower()
    if call.query("format") == "text" or (accepts_text and not call.query("format")):
        text = price_list_text(version, listed, dial_in)
        return reply_text(text, TEXT_MEDIA_TYPE, f"{version.card}-prices.txt")
    return reply(
        {
            "card": version.card,
            "version": format_time(version.effective_from),
            "currency": version.currency,
            "countries": render_price_list(listed),
            "dial_in": render_dial_in_prices(dial_in),
        }
    )


@admin_route(
    bp, "GET", "v1/rate-cards/{card}/versions/{effective_from}/lint", READERS, is_report=True
)
async def lint_rate_card_version(call: ApiCall) -> func.HttpResponse:
    """Findings on a version, warnings first."""
    from shared.contracts.rate_cards.reports import render_findings

    findings = await container().rate_card_reports.lint(call.path("card"), effective_from_of(call))
    return reply({"findings": render_findings(findings)})


@admin_route(
    bp,
    "GET",
    "v1/rate-cards/{card}/diff",
    READERS,
    queries=(
        *PAGE,
        moment("from", "The time at which the version before is in force."),
        moment("to", "The time at which the version after is in force."),
        Query("to_card", "The card of the version after; by default the same card."),
        *EFFECT,
    ),
    is_report=True,
)
async def diff_rate_card(call: ApiCall) -> func.HttpResponse:
    """Differences between the versions in force at `?from=` and at `?to=`, the latter of
    `?to_card=` if it is given: JSON pages or all of it as CSV. With `?account=` also the cost of
    its legs of last month, or of `?month=`, by both."""
    from shared.contracts.rate_cards.reports import render_change, render_changed_fields
    from shared.contracts.rate_cards.tables import CHANGE_COLUMNS, change_counts_body, change_row

    card = call.path("card")
    limit, place = call.page()
    before, after = await call.moment("from"), await call.moment("to")
    if before is None or after is None:
        raise query_invalid(("from" if before is None else "to", "must be a time"))
    comparison = await container().rate_card_reports.compare(
        (card, before), (call.query("to_card") or card, after), skip=int(place or 0), limit=limit
    )
    if call.wants_csv():
        rows = (change_row(change) for change in comparison.every())
        return await reply_csv(CHANGE_COLUMNS, rows, f"{card}-diff.csv")
    body: dict[str, object] = {}
    if account := call.query("account"):
        body["effect"] = await effect_body(call, account, comparison.after, comparison.before)
    return reply(
        {
            "from": version_name(comparison.before),
            "to": version_name(comparison.after),
            "fields": render_changed_fields(comparison.before, comparison.after),
            "counts": change_counts_body(comparison.counts, comparison.dearer, comparison.cheaper),
            **body,
            "items": [render_change(change) for change in comparison.items],
            **(
                {"next": call.cursor_of(str(comparison.following))}
                if comparison.following is not None
                else {}
            ),
        }
    )

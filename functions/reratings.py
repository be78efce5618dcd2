"""Re-rating of legs by another card or version, and its simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from functions.corrections import log_correction
from functions.http import ApiCall, admin_route, new_blueprint, reply, reply_csv
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT
from shared.contracts.common.times import read_time
from shared.domain.directory.access import READERS, Role
from shared.domain.ledger.statements import last_month, requested_month_span
from shared.domain.legs.leg import decode_leg_key
from shared.telemetry import event

if TYPE_CHECKING:  # loaded by the first request
    from shared.contracts.ledger.reratings import PriceWhatIfBody, ReratingBody
    from shared.usecases.charging.rerate_legs import Cursor, Reratings

bp = new_blueprint()
_FINANCE = frozenset({Role.FINANCE})


@admin_route(
    bp,
    "POST",
    "v1/reratings",
    READERS,
    queries=(FORMAT,),
    is_report=True,
    body="ledger.reratings:ReratingBody",
)
async def post_rerating(call: ApiCall, body: ReratingBody) -> func.HttpResponse:
    """Re-rate the legs of a span, or named legs, by another card or version: a dry run unless
    `dry_run` is false."""
    from shared.usecases.charging.past_legs import AnsweredSpan
    from shared.usecases.charging.rerate_legs import Attribution, RerateSelection

    booking = None
    if not body.dry_run:
        call.principal.require_one_of(_FINANCE)
        booking = Attribution(body.reason or "", call.principal.name)
    selection = RerateSelection(
        accounts=tuple(body.accounts) if body.accounts is not None else None,
        legs=tuple(dict.fromkeys(decode_leg_key(leg) for leg in body.legs or ())),
        span=AnsweredSpan(
            read_time(body.since) if body.since else None,
            read_time(body.until) if body.until else None,
        ),
        charged_by=body.charged_by,
        rate_card=body.rate_card,
        version=read_time(body.version) if body.version else None,
    )
    result = await container().rerate_legs(
        selection,
        call.principal,
        booking=booking,
        limit=body.limit,
        cursor=_cursor(call, body.cursor),
    )
    if booking is not None:
        changed = sum(outcome.differs for outcome in result.outcomes)
        for outcome in result.outcomes:
            if outcome.entries:
                delta = outcome.after_micros - outcome.before_micros
                await log_correction(outcome.account, outcome.leg, delta, is_reversal=False)
        event("legs_rerated", actor=booking.actor, legs=len(result.outcomes), changed=changed)
    return await _answer(call, result, dry_run=body.dry_run)


@admin_route(
    bp,
    "POST",
    "v1/accounts/{account}/rate-card/what-if",
    READERS,
    queries=(FORMAT,),
    is_report=True,
    body="ledger.reratings:PriceWhatIfBody",
)
async def post_price_what_if(call: ApiCall, body: PriceWhatIfBody) -> func.HttpResponse:
    """The cost of the legs of a month, by default the last one, by another card."""
    from shared.usecases.charging.past_legs import AnsweredSpan
    from shared.usecases.charging.rerate_legs import RerateSelection

    services = container()
    account = await services.facts.require_account(call.path("account"))
    zone = account.settings.time_zone
    month = body.month or last_month(services.clock.now(), zone)
    span = AnsweredSpan(*requested_month_span(month, zone))
    selection = RerateSelection(
        accounts=(account.id,),
        span=span,
        rate_card=body.rate_card,
        version=read_time(body.version) if body.version else None,
    )
    result = await services.rerate_legs(
        selection, call.principal, booking=None, limit=body.limit, cursor=_cursor(call, body.cursor)
    )
    return await _answer(call, result, dry_run=True, month=month)


def _cursor(call: ApiCall, text: str | None) -> Cursor | None:
    from shared.contracts.ledger.reratings import read_cursor
    from shared.usecases.charging.past_legs import JournalPosition
    from shared.usecases.charging.rerate_legs import Cursor

    opened = call.place_of(text)
    if opened is None:
        return None
    accounts, place = read_cursor(opened)
    return Cursor(accounts, JournalPosition(*place) if place else None)


async def _answer(
    call: ApiCall, result: Reratings, *, dry_run: bool, month: str | None = None
) -> func.HttpResponse:
    from shared.contracts.ledger.reratings import (
        RERATING_COLUMNS,
        rerating_body,
        rerating_row,
        write_cursor,
    )

    following = result.cursor and write_cursor(result.cursor.accounts, result.cursor.place)
    cursor = following and call.cursor_of(following)
    if call.wants_csv():
        rows = (rerating_row(outcome) for outcome in result.outcomes)
        more = {"x-next-cursor": cursor} if cursor else {}
        return await reply_csv(RERATING_COLUMNS, rows, "legs-rerated.csv", headers=more)
    return reply(
        {
            **({"month": month} if month else {}),
            **rerating_body(result.outcomes, dry_run=dry_run),
            **({"next": cursor} if cursor else {}),
        }
    )

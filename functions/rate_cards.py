"""Rate cards: versions, their import and their lists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import azure.functions as func

from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    reply,
    reply_list,
    reply_text,
)
from shared.bootstrap import container
from shared.contracts.common.queries import FORMAT, PAGE, Query, flag, moment, query_invalid
from shared.contracts.common.routes import CSV_MEDIA_TYPE, FORM_MEDIA_TYPE, JSON_MEDIA_TYPE, Body
from shared.contracts.common.times import read_time
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import Invalid
from shared.domain.directory.access import READERS, Role

if TYPE_CHECKING:  # loaded by the first request
    from shared.domain.rating.rate_card import RateCardVersion
    from shared.usecases.rate_cards.manage_rate_cards import PutVersion

bp = new_blueprint()
_SETTERS = frozenset({Role.FINANCE})
_DRY_RUN = flag("dry_run", "Check the version, and write nothing.")
_BACKDATE = flag("backdate", "Allow a time in the past.")
EFFECT = (
    Query("account", "Also compare the cost of this account's legs."),
    Query("month", "Legs of this month, `2026-11`; by default last month."),
)
_LINT = flag("lint", "Also report the findings of lint.")
_VERSION = "v1/rate-cards/{card}/versions/{effective_from}"


@admin_route(bp, "GET", "v1/rate-cards", READERS, queries=PAGE)
async def list_rate_cards(call: ApiCall) -> func.HttpResponse:
    """The names of the cards that the caller may see: all, or those that the caller's accounts
    use."""
    fetch = partial(container().rate_card_service.cards, call.principal)
    return await reply_list(call, fetch, ("id",), "rate-cards.csv", body=lambda name: {"id": name})


@admin_route(bp, "GET", "v1/rate-cards/{card}", READERS)
async def get_rate_card(call: ApiCall) -> func.HttpResponse:
    """A card's versions, without their rates."""
    from shared.contracts.rate_cards.quotes import card_version_body

    card = call.path("card")
    versions = await container().rate_card_service.versions(card)
    return reply({"id": card, "versions": [card_version_body(each) for each in versions]})


@admin_route(bp, "GET", _VERSION, READERS, queries=(FORMAT,), is_report=True)
async def get_rate_card_version(call: ApiCall) -> func.HttpResponse:
    """A version with all its rates, as JSON or CSV, in canonical form."""
    effective_from = effective_from_of(call)
    about, version = await container().rate_card_service.version(call.path("card"), effective_from)
    if not call.wants_csv():
        # In a thread, like all else that touches every rate of a large deck.
        text = await asyncio.to_thread(_json, version)
        headers = {"etag": about.etag}
        return func.HttpResponse(text, headers=headers, mimetype=JSON_MEDIA_TYPE)
    text = await asyncio.to_thread(_csv, version)
    name = f"{about.card}-{format_time(effective_from).replace(':', '')}.csv"
    return reply_text(text, CSV_MEDIA_TYPE, name, headers={"etag": about.etag})


@admin_route(
    bp,
    "PUT",
    _VERSION,
    _SETTERS,
    queries=(_BACKDATE, _DRY_RUN, _LINT, *EFFECT),
    is_report=True,
    all_accounts=True,
    body=Body(
        "rate_cards.json_format:RateCardBody",
        (JSON_MEDIA_TYPE, CSV_MEDIA_TYPE),
        bytes_max=limits.RATE_CARD_BODY_BYTES_MAX,
    ),
)
async def put_rate_card_version(call: ApiCall) -> func.HttpResponse:
    """Create or replace a version, as JSON or CSV; `?backdate=true`, `?dry_run=true`. A dry run
    with `?account=` compares the cost of the account's legs of last month, or of `?month=`, by its
    present version and by this one. `effect` is null if the versions can't be compared."""
    card, effective_from = call.path("card"), effective_from_of(call)
    put = await container().rate_card_service.put(
        card,
        effective_from,
        _parser(call, card, effective_from),
        if_match=call.if_match(),
        backdate=call.flag("backdate"),
        dry_run=_is_dry(call),
    )
    return await reply_put(call, put, lint=call.flag("lint"))


@admin_route(
    bp,
    "POST",
    "v1/rate-cards/{card}/import",
    _SETTERS,
    queries=(
        moment("effective_from", "The time at which the version takes effect."),
        _BACKDATE,
        _DRY_RUN,
        *EFFECT,
    ),
    body=Body(
        "rate_cards.deck_form:DeckFormBody",
        (FORM_MEDIA_TYPE,),
        bytes_max=limits.RATE_CARD_BODY_BYTES_MAX,
    ),
    is_report=True,
    if_match=True,
    all_accounts=True,
)
async def import_rate_card_version(call: ApiCall) -> func.HttpResponse:
    """Import a carrier's deck as a version, by a mapping of columns. The body is a form with
    `mapping` (JSON), `deck` and optionally `names`. `?effective_from=` is the time of the version;
    `?backdate=true`, `?dry_run=true`, `?account=` and `?month=` are as for a version in JSON."""
    from shared.contracts.rate_cards.deck_form import read_deck_form
    from shared.contracts.rate_cards.tables import deck_report_body

    card, effective_from = call.path("card"), await call.moment("effective_from")
    if effective_from is None:
        raise query_invalid(("effective_from", "must be the time from which the version holds"))
    form = read_deck_form(call.headers.get("content-type", ""), call.body())
    put = await container().rate_card_service.put(
        card,
        effective_from,
        lambda: form.version(card, effective_from),
        if_match=call.if_match(),
        backdate=call.flag("backdate"),
        dry_run=_is_dry(call),
    )
    return await reply_put(call, put, {"deck": deck_report_body(form.report)}, lint=True)


def effective_from_of(call: ApiCall) -> datetime:
    """The time in the path. Raises Invalid `effective_from_invalid`."""
    try:
        return read_time(call.path("effective_from").replace(" ", "+"))
    except ValueError as error:
        detail = f"The time of the version {error}."
        raise Invalid(detail, code="effective_from_invalid") from None


async def reply_put(
    call: ApiCall, put: PutVersion, more: Mapping[str, object] | None = None, *, lint: bool = False
) -> func.HttpResponse:
    """The response to a version that was put or only checked. A dry run, an import and `?lint=true`
    add the findings of lint; a backdated version adds a proposed re-rating; a dry run for an
    account adds the cost of its legs.
    """
    from shared.contracts.rate_cards.quotes import card_version_body
    from shared.contracts.rate_cards.reports import render_findings
    from shared.usecases.rate_cards.rate_card_reports import found_in

    version, about = put.version, put.about
    body: dict[str, object] = (
        {
            "card": version.card,
            "effective_from": format_time(version.effective_from),
            "currency": version.currency,
            "time_zone": version.time_zone,
            "rate_count": len(version),
            "dry_run": True,
        }
        if about is None
        else card_version_body(about)
    )
    body |= more or {}
    if lint or about is None:
        body["findings"] = render_findings(await found_in(version))
    if call.flag("backdate"):
        body["rerating"] = await _proposal(call, version)
    if about is None:
        if account := call.query("account"):
            body["effect"] = await effect_body(call, account, version)
        return reply(body)
    return reply(body, status=201 if about.revision == 1 else 200, etag=about.etag)


def _is_dry(call: ApiCall) -> bool:
    """True if the version is only checked. Raises Invalid `query_invalid` for an account without a
    dry run: the cost of a version is computed before the version is stored."""
    is_dry = call.flag("dry_run")
    if call.query("account") and not is_dry:
        raise query_invalid(("account", "needs dry_run=true"))
    return is_dry


async def effect_body(
    call: ApiCall, account: str, after: RateCardVersion, before: RateCardVersion | None = None
) -> dict[str, object] | None:
    """The cost of legs of an account by two versions, without `before` by the account's present
    one; None where these can't be compared."""
    from shared.contracts.rate_cards.reports import render_effect

    result = await container().rate_card_reports.effect(
        before, after, account, call.query("month"), call.principal
    )
    if result is None:
        return None
    return {
        "account": account,
        "month": result.month,
        "complete": result.is_complete,
        "from": version_name(result.before),
        **render_effect(result.effect, after.currency),
    }


def version_name(version: RateCardVersion) -> dict[str, str]:
    """A version as a reference to it."""
    return {"card": version.card, "version": format_time(version.effective_from)}


async def _proposal(call: ApiCall, version: RateCardVersion) -> dict[str, object]:
    """The past legs that the version would re-rate."""
    from shared.contracts.ledger.reratings import proposal_body

    card, effective_from = version.card, version.effective_from
    proposal = await container().propose_rerating(card, effective_from, call.principal)
    if proposal is None:
        return {"legs": 0, "accounts": [], "complete": True}
    return proposal_body(
        card, (proposal.since, proposal.until), proposal.accounts, is_complete=proposal.is_complete
    )


def _parser(call: ApiCall, card: str, effective_from: datetime) -> Callable[[], RateCardVersion]:
    """The parser of the body in its media type."""
    from shared.contracts.rate_cards.csv_format import parse_rate_card_csv
    from shared.contracts.rate_cards.json_format import parse_rate_card_json

    body, is_csv = call.body(), call.media_type() == CSV_MEDIA_TYPE
    parse = parse_rate_card_csv if is_csv else parse_rate_card_json
    return lambda: parse(body, card, effective_from)


def _json(version: RateCardVersion) -> str:
    from shared.contracts.rate_cards.json_format import render_rate_card_json

    return json.dumps(render_rate_card_json(version), ensure_ascii=False)


def _csv(version: RateCardVersion) -> str:
    from shared.contracts.rate_cards.csv_format import render_rate_card_csv

    return "".join(render_rate_card_csv(version))

"""The ledger: top-ups, entries, legs with their charges, verification."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import azure.functions as func

from functions.corrections import log_correction
from functions.http import (
    ApiCall,
    admin_route,
    new_blueprint,
    reply,
    reply_csv,
    reply_list,
)
from shared.bootstrap import container
from shared.contracts.common.queries import PAGE, SPAN, Query, flag, moment, one_of, query_invalid
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.directory.access import READERS, Role
from shared.domain.ledger.model import Entry, EntryKind
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.contracts.ledger.entries import AdjustmentBody, ErasureBody, ReversalBody, TopUpBody

bp = new_blueprint()
_ACCOUNT = "v1/accounts/{account}"
_FINANCE = frozenset({Role.FINANCE})
_HIT = {"idempotency-hit": "true"}
_AT = (moment("at", "The time of the balance; by default now."),)
_STATEMENT = (
    one_of("format", "`csv`, or `html` for a page to print.", ("json", "csv", "html")),
    one_of("language", "The language of the page; by default the account's.", ("en", "fr")),
)
_ANCHORS = (flag("anchors", "Also compare the ledger with its newest anchor."),)


@admin_route(
    bp,
    "POST",
    f"{_ACCOUNT}/top-ups",
    _FINANCE,
    body="ledger.entries:TopUpBody",
    idempotency_key=True,
)
async def post_top_up(call: ApiCall, body: "TopUpBody") -> func.HttpResponse:
    """Add credits, once per Idempotency-Key."""
    return await _credit(call, body)


@admin_route(
    bp,
    "POST",
    f"{_ACCOUNT}/adjustments",
    _FINANCE,
    body="ledger.entries:AdjustmentBody",
    idempotency_key=True,
)
async def post_adjustment(call: ApiCall, body: "AdjustmentBody") -> func.HttpResponse:
    """Correct the balance, once per Idempotency-Key."""
    return await _credit(call, body)


async def _credit(call: ApiCall, body: "TopUpBody | AdjustmentBody") -> func.HttpResponse:
    account, command = call.path("account"), body.command(call.key, call.principal.name)
    return _booked(account, *await container().credit_account(account, command))


@admin_route(
    bp, "POST", f"{_ACCOUNT}/legs/{{leg}}/reversal", READERS, body="ledger.entries:ReversalBody"
)
async def post_reversal(call: ApiCall, body: "ReversalBody") -> func.HttpResponse:
    """Reverse a leg's debit, once, however often this is requested. With `dry_run` nothing is
    booked, and the answer is the entry that the reversal would write, or has written."""
    from shared.contracts.ledger.entries import reversal_body

    if not body.dry_run:
        call.principal.require_one_of(_FINANCE)
    account = call.path("account")
    entry, repeated = await container().credit_account.reverse(
        account,
        call.path("leg"),
        reason=body.reason or "",
        actor=call.principal.name,
        dry_run=body.dry_run,
    )
    shown = reversal_body(entry, dry_run=body.dry_run)
    if body.dry_run:
        return reply(shown, headers=_HIT if repeated else {})
    if entry.leg is not None and not repeated:
        await log_correction(account, entry.leg, -entry.amount_micros, is_reversal=True)
    return _booked(account, entry, repeated, shown)


def _booked(
    account: str, entry: Entry, repeated: bool, shown: dict[str, object] | None = None
) -> func.HttpResponse:
    from shared.contracts.ledger.entries import entry_body

    event(
        "account_booked",
        account=account,
        kind=entry.kind.value,
        entry=entry.sequence,
        amount_micros=entry.amount_micros,
        balance_micros=entry.balance_micros,
        repeated=repeated,
    )
    return reply(
        shown or {"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)},
        status=201,
        headers=_HIT if repeated else {},
    )


@admin_route(
    bp,
    "GET",
    f"{_ACCOUNT}/entries",
    READERS,
    queries=(
        *PAGE,
        *SPAN,
        one_of("kind", "Only entries of this kind.", EntryKind),
        Query("leg", "Only entries of this leg; not combined with other filters."),
    ),
    is_report=True,
)
async def list_entries(call: ApiCall) -> func.HttpResponse:
    """The ledger's entries in order, as JSON or CSV. Filters: `?from=&to=&kind=`, or `?leg=`."""
    from shared.contracts.ledger.entries import ENTRY_COLUMNS, entry_body
    from shared.usecases.ledger.read_ledger import EntryFilter

    account, leg, kind = call.path("account"), call.query("leg"), call.query("kind")
    since, until = await call.span()
    if leg and (kind or since or until):
        raise query_invalid(("leg", "can't be combined with kind, from, to or month"))
    selection = EntryFilter(since, until, EntryKind(kind) if kind is not None else None)
    read_ledger = container().read_ledger

    async def fetch(limit: int, cursor: str | None) -> "tuple[Sequence[Entry], str | None]":
        if leg:
            return await read_ledger.of_leg(account, leg), None
        return await read_ledger.entries(account, selection, limit=limit, cursor=cursor)

    name = f"{account}-entries.csv"
    return await reply_list(call, fetch, ENTRY_COLUMNS, name, body=entry_body, time_column="at")


@admin_route(bp, "GET", f"{_ACCOUNT}/balance", READERS, queries=_AT)
async def get_balance(call: ApiCall) -> func.HttpResponse:
    """The balance as of a time (`?at=`), by default now."""
    account = call.path("account")
    at = await call.moment("at") or container().clock.now()
    balance, entry = await container().read_ledger.balance_at(account, at)
    return reply({"at": format_time(at), "balance": format_amount(balance), "entry": entry})


@admin_route(
    bp, "GET", f"{_ACCOUNT}/statements/{{month}}", READERS, queries=_STATEMENT, is_report=True
)
async def get_statement(call: ApiCall) -> func.HttpResponse:
    """Sums of a month: opening balance, totals by kind, destination, organizer and cost center,
    closing balance; as JSON, CSV, or a page to print."""
    account, month = call.path("account"), call.path("month")
    is_html = call.query("format") == "html"
    if not is_html and not call.wants_csv():
        from shared.contracts.ledger.entries import statement_body

        statement = await container().read_ledger.statement(account, month)
        return reply(statement_body(account, *statement))
    from shared.contracts.ledger.statement_html import (
        STATEMENT_COLUMNS,
        statement_html,
        statement_rows,
    )

    printed = await container().read_ledger.printed_statement(account, month)
    if not is_html:
        rows = statement_rows(printed)
        return await reply_csv(STATEMENT_COLUMNS, rows, f"{account}-{month}-statement.csv")
    settings = (await container().facts.require_account(account)).settings
    return func.HttpResponse(
        statement_html(printed, call.query("language") or settings.language),
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        mimetype="text/html",
        charset="utf-8",
    )


@admin_route(bp, "GET", f"{_ACCOUNT}/legs/{{leg}}", READERS)
async def get_leg(call: ApiCall) -> func.HttpResponse:
    """A leg and its explained charge; 404 while it is queued."""
    from shared.contracts.ledger.entries import leg_body, parked_leg_body, replaced_body
    from shared.domain.legs.parking import ParkedLeg

    view = await container().read_ledger.leg(call.path("account"), call.path("leg"))
    if isinstance(view, ParkedLeg):
        return reply(parked_leg_body(view))
    leg, reversal = view.present, view.reversals[-1]
    explanation = await container().explain_leg(leg.charge, view.person)
    body = leg_body(leg.leg, leg.charge, view.person, leg.entry, reversal, explanation)
    if len(view.debits) > 1:
        earlier = zip(view.debits[:-1], view.reversals, strict=False)
        body["history"] = [replaced_body(each.charge, each.entry, back) for each, back in earlier]
    return reply(body)


@admin_route(bp, "GET", f"{_ACCOUNT}/verify", READERS, queries=_ANCHORS, is_report=True)
async def verify_ledger(call: ApiCall) -> func.HttpResponse:
    """Recompute the account's ledger from the stored rows; `?anchors=true` also compares it with
    its newest anchor."""
    account = call.path("account")
    result = await container().read_ledger.verify(account, anchored=call.flag("anchors"))
    of_days = await container().read_proofs.problems(account)
    problems = [*dict.fromkeys([*result.problems, *of_days])]
    if problems:
        event("verification_failed", account=account, problems=len(problems))
    return reply(
        {
            "ok": not problems,
            "commits": result.commits,
            "entries": result.entries,
            "legs": result.legs,
            "balance": format_amount(result.balance_micros),
            "head": result.head,
            "problems": problems,
        }
    )


@admin_route(bp, "POST", f"{_ACCOUNT}/erasures", frozenset(), body="ledger.entries:ErasureBody")
async def post_erasure(call: ApiCall, body: "ErasureBody") -> func.HttpResponse:
    """Erase a number or an organizer from every table; the ledger still verifies."""
    account = call.path("account")
    erased = await container().erase_person(account, number=body.number, organizer=body.organizer)
    event("person_erased", account=account, actor=call.principal.name, legs=erased.legs)
    return reply({"erased": asdict(erased)})

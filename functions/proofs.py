"""Proofs: public keys, day roots, receipts, month files, and the nightly audit at once."""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import azure.functions as func

from functions.http import ApiCall, admin_route, new_blueprint, reply
from functions.nightly_audit import report
from shared.bootstrap import container
from shared.contracts.common.queries import Query, flag, one_of
from shared.domain.common.errors import NotFound
from shared.domain.directory.access import READERS, Role
from shared.telemetry import event

if TYPE_CHECKING:
    from shared.contracts.proof.keys import CompromisedBody

bp = new_blueprint()
_ACCOUNT = "v1/accounts/{account}"
_SEQUENCE_DIGITS_MAX = 15
_GZIP_WINDOW = 31
_INTERIM = flag("interim", "Sign the present head for commits that are in no closed day.")
_RECEIPT = (
    _INTERIM,
    one_of("persons", "`false` leaves the person out.", ("true", "false")),
    one_of("format", "`html` for a page to print.", ("json", "html")),
)


@admin_route(bp, "GET", "v1/proof-keys", READERS)
async def list_proof_keys(_: ApiCall) -> func.HttpResponse:
    """The public keys that sign day roots, with the times in which each holds."""
    from shared.contracts.proof.keys import proof_key_body

    keys = await container().proof_keys.published()
    return reply({"keys": [proof_key_body(key) for key in keys]})


@admin_route(
    bp,
    "POST",
    "v1/proof-keys/{key}/compromised",
    frozenset(),
    body="proof.keys:CompromisedBody",
    all_accounts=True,
)
async def post_compromised(call: ApiCall, body: "CompromisedBody") -> func.HttpResponse:
    """Record the time from which another person may have had a private key; the earliest time
    stays."""
    from shared.contracts.common.times import read_time
    from shared.contracts.proof.keys import proof_key_body

    key = await container().proof_keys.compromised(call.path("key"), read_time(body.at))
    event("proof_key_compromised", key=key.id, actor=call.principal.name)
    return reply(proof_key_body(key))


@admin_route(
    bp,
    "GET",
    f"{_ACCOUNT}/proofs",
    READERS,
    queries=(Query("from", "The first day."), Query("to", "The last day.")),
)
async def list_proofs(call: ApiCall) -> func.HttpResponse:
    """The signed roots of closed days, in order, at most 1,000: each names the one before, so that
    the later day is proved to continue the earlier one."""
    roots = await container().read_proofs.roots(
        call.path("account"), call.query("from"), call.query("to")
    )
    return reply({"items": [{**each.document(), "digest": each.digest} for each in roots]})


@admin_route(bp, "GET", f"{_ACCOUNT}/proofs/{{date}}", READERS)
async def get_proof(call: ApiCall) -> func.HttpResponse:
    """The signed root of a closed day; 409 while the day is open."""
    signed = await container().read_proofs.root(call.path("account"), call.path("date"))
    return reply({**signed.document(), "digest": signed.digest})


@admin_route(bp, "GET", f"{_ACCOUNT}/legs/{{leg}}/receipt", READERS, queries=_RECEIPT)
async def get_leg_receipt(call: ApiCall) -> func.HttpResponse:
    """The receipt of a leg and its corrections, which verifies without the operator; 409 while
    its day is open."""
    return _receipt(
        call,
        await container().read_proofs.of_leg(
            call.path("account"),
            call.path("leg"),
            is_interim=call.flag("interim"),
            persons=call.query("persons") != "false",
        ),
    )


@admin_route(bp, "GET", f"{_ACCOUNT}/entries/{{sequence}}/receipt", READERS, queries=_RECEIPT)
async def get_entry_receipt(call: ApiCall) -> func.HttpResponse:
    """The receipt of one entry of the ledger; 409 while its day is open."""
    text = call.path("sequence")
    if not (text.isascii() and text.isdigit() and len(text) <= _SEQUENCE_DIGITS_MAX):
        raise NotFound(
            "The account has no entry with this number. List the entries for the numbers.",
            code="entry_unknown",
        )
    return _receipt(
        call,
        await container().read_proofs.of_entry(
            call.path("account"),
            int(text),
            is_interim=call.flag("interim"),
            persons=call.query("persons") != "false",
        ),
    )


def _receipt(call: ApiCall, receipt: Mapping[str, Any]) -> func.HttpResponse:
    if call.query("format") != "html":
        return reply(receipt)
    from shared.contracts.proof.receipt_html import receipt_html

    return func.HttpResponse(
        receipt_html(receipt),
        headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        mimetype="text/html",
        charset="utf-8",
    )


@admin_route(
    bp,
    "GET",
    f"{_ACCOUNT}/exports/{{month}}",
    READERS,
    queries=(_INTERIM, flag("persons", "Show numbers and organizers; needs the role finance.")),
    is_report=True,
)
async def get_month_file(call: ApiCall) -> func.HttpResponse:
    """One gzip file of JSON lines with all that verifies a month without the operator; 409 while
    the month is open."""
    account, month = call.path("account"), call.path("month")
    persons = call.flag("persons")
    if persons:
        call.principal.require_one_of(frozenset({Role.FINANCE}))
    lines = await container().read_proofs.month(
        account, month, is_interim=call.flag("interim"), persons=persons
    )
    stream = zlib.compressobj(wbits=_GZIP_WINDOW)
    parts = [stream.compress(line) async for line in lines]
    name = f"{account}-{month}.jsonl.gz"
    return func.HttpResponse(
        b"".join((*parts, stream.flush())),
        headers={"content-disposition": f'attachment; filename="{name}"'},
        mimetype="application/gzip",
    )


@admin_route(
    bp,
    "POST",
    "v1/operations/nightly-audit",
    frozenset({Role.OPERATOR}),
    all_accounts=True,
    is_report=True,
)
async def post_nightly_audit(_: ApiCall) -> func.HttpResponse:
    """Run the nightly audit of every account now: verify the ledgers, close the days that are over,
    anchor heads and roots."""
    audit = await container().audit_ledgers()
    await container().runs.note("nightly_audit")
    report(audit, past_due=False)
    return reply(
        {
            "accounts": audit.accounts,
            "anchored": audit.anchored,
            "days_closed": audit.days_closed,
            "problems": audit.problems,
            "missed": audit.missed,
        }
    )

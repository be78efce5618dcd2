"""`perminute top-up` and `perminute adjust`: credits, each booked once."""

import re
from collections.abc import Callable
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, note
from perminute_cli.calls import Call
from perminute_cli.failures import DECIDED, USAGE, Failure, Problem
from perminute_cli.money import amount_of, shown
from perminute_cli.pending import pending_key
from perminute_cli.terminal import day_start, local_time, safe

_KEY = click.option(
    "--idempotency-key",
    metavar="K",
    help="The key under which the amount is booked once; generated if absent.",
)
_KEY_TEXT = re.compile(r"[!-~]+", re.ASCII)
_SIGNED = {"ignore_unknown_options": True}


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "top-up",
        account=True,
        writes=True,
        examples="""perminute top-up 100.00 --account contoso --reference "PO 1234"
        perminute top-up 20 --kind granted --expires-at 2027-01-01T00:00:00Z --yes""",
    )
    @click.argument("amount")
    @click.option(
        "--kind", type=click.Choice(["purchased", "granted"]), help="The kind of the credits."
    )
    @click.option("--reference", help="The invoice or order; the ledger stores the text.")
    @click.option(
        "--expires-at",
        metavar="TIME",
        help="The expiry of the credits; a date is midnight in the account's time zone.",
    )
    @_KEY
    def top_up(
        app: App,
        amount: str,
        kind: str | None,
        reference: str | None,
        expires_at: str | None,
        idempotency_key: str | None,
    ) -> None:
        """Add credits to an account.

        The command is safe to repeat after a lost answer: the same key is sent again, and the
        credits are booked once.
        """
        if amount_of(amount) <= 0:
            raise Failure(
                "The amount of a top-up must be above zero.",
                "Use `perminute adjust` to draw.",
                USAGE,
            )
        stated = {"kind": kind, "reference": reference, "expires_at": expires_at}
        body = {"amount": amount.lstrip("+"), **_present(stated)}
        _book(app, "Top up", amount, body, idempotency_key, api.post_top_up)

    @command(
        root,
        "adjust",
        account=True,
        writes=True,
        context=_SIGNED,
        examples="""perminute adjust -3.20 --reason "Invoice 77 was paid twice" --account contoso
        perminute adjust 5.00 --reason "Goodwill" --yes""",
    )
    @click.argument("amount")
    @click.option("--reason", required=True, help="The reason; the ledger stores the text.")
    @click.option(
        "--allow-overdraft", is_flag=True, help="Also draw more than balance plus credit limit."
    )
    @_KEY
    def adjust(
        app: App, amount: str, reason: str, allow_overdraft: bool, idempotency_key: str | None
    ) -> None:
        """Correct the balance by hand: a positive amount grants credits, a negative one draws."""
        if amount_of(amount) == 0:
            raise Failure(
                "The amount of an adjustment must not be zero.", "State an amount.", USAGE
            )
        overdraft = {"allow_overdraft": True} if allow_overdraft else {}
        body = {"amount": amount.lstrip("+"), "reason": reason, **overdraft}
        _book(app, "Adjust", amount, body, idempotency_key, api.post_adjustment)


def _book(
    app: App,
    what: str,
    amount: str,
    body: Any,
    stated_key: str | None,
    call: Callable[..., Call[Any]],
) -> None:
    """Show, confirm and book an amount under a key that a repeated command uses again."""
    if stated_key is not None and not _KEY_TEXT.fullmatch(stated_key):
        raise Failure(
            "The idempotency key is not one of printable ASCII characters without spaces.",
            "Leave --idempotency-key out, or give a key such as po-1234.",
            USAGE,
        )
    account = app.account
    before: Any = app.fetch(api.get_account(account))
    currency = before["currency"]
    if "expires_at" in body:
        body = {**body, "expires_at": day_start(body["expires_at"], before.get("time_zone"))}
    signed = amount_of(amount)
    after = shown(amount_of(before["balance"]) + signed)
    path = call(account, body).path
    with pending_key(app.connection.base_url, path, body, stated_key) as pending:
        if pending.is_repeated:
            note(
                f"An earlier run of this command got no answer: its key {pending.key} is used "
                "again, so that nothing is booked twice. For another booking give "
                "--idempotency-key."
            )
        try:
            app.confirm(
                f"{what} {account} by {shown(signed)} {currency}: "
                f"balance {before['balance']} → {after} {currency}."
            )
        except BaseException:
            if not pending.is_repeated:
                pending.settle()
            raise
        note(f"Idempotency key: {pending.key}")
        if pending.why_lost:
            note(
                f"The key can't be stored ({safe(pending.why_lost)}): after a lost answer, "
                "repeat the command with --idempotency-key."
            )
        try:
            made, headers = app.answer(call(account, body, idempotency_key=pending.key))
        except Problem as problem:
            if problem.status in DECIDED:
                pending.settle()
            raise
        pending.settle()
    if app.is_json:
        app.json(made)
        return
    entry = made["entry"]
    if headers.get("idempotency-hit") == "true":
        app.say(
            f"It was booked before, as entry {entry['sequence']} on {local_time(entry['at'])}: "
            "nothing was booked again."
        )
    else:
        app.say(f"Booked as entry {entry['sequence']}: {entry['amount']} {currency}.")
    app.say(f"Balance: {made['balance']} {currency}")


def _present(values: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}

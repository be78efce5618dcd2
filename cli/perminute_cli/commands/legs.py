"""`perminute legs`."""

from decimal import Decimal
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, group, note
from perminute_cli.commands.usage import WITHOUT
from perminute_cli.failures import Problem
from perminute_cli.parking import way_out
from perminute_cli.terminal import (
    Column,
    duration,
    local_time,
    money_column,
    safe,
    seconds_column,
    text_column,
    time_column,
)

COLUMNS = (
    time_column("Answered", "when", 2),
    text_column("Leg", "leg", 1),
    Column("Kind", "kind", 4),
    Column("To", "to", 2),
    text_column("Destination", "destination", 5),
    text_column("Organizer", "organizer", 3),
    seconds_column("Billed", "billed_seconds", 3),
    Column("Status", "status", 4),
    money_column("Amount", "amount", 1),
    Column("", "currency", 2),
)

_POLL_SECONDS = 0.25


def register(root: click.Group) -> None:
    """Add the group."""
    legs = group(root, "legs", "Legs: search them, explain their charges, reverse one.")

    @command(
        legs,
        "list",
        account=True,
        span=True,
        csv=True,
        rows=True,
        examples="""perminute legs --month 2026-11 --order amount --limit 10
        perminute legs list --organizer ken@contoso.example --csv --output legs.csv""",
    )
    @click.option(
        "--kind", type=click.Choice(["dial_in", "dial_out", "voip"]), help="Legs of this kind."
    )
    @click.option(
        "--status",
        type=click.Choice(["charged", "zero", "pool", "parked"]),
        help="Legs of this status; parked ones are listed only by it.",
    )
    @click.option("--organizer", help="Legs of this organizer's conferences.")
    @click.option("--cost-center", help="Legs of this cost center.")
    @click.option("--conference", help="Legs of this conference.")
    @click.option("--region", metavar="FR", help="Legs to this region.")
    @click.option("--destination", help="Legs to this destination of the rate card.")
    @click.option("--without", metavar="A,B", help=f"Legs without {', '.join(WITHOUT)}.")
    @click.option("--number", metavar="+44…", help="Legs from or to this number.")
    @click.option("--bridge", help="Legs of this bridge.")
    @click.option("--flag", help="Legs with this flag, such as late.")
    @click.option("--min-amount", help="Only legs with at least this amount, net of corrections.")
    @click.option(
        "--order",
        type=click.Choice(["newest", "oldest", "amount"]),
        help="Of the rows; newest first without it.",
    )
    @click.option(
        "--by-time",
        "time",
        type=click.Choice(["booked", "answered"]),
        help="The time that selects the legs.",
    )
    def list_legs(app: App, **filters: Any) -> None:
        """Legs of a period, by default of the present month; amounts are net of corrections."""
        call = api.list_legs(app.account, **app.span(), **filters)
        if app.is_csv or app.is_json:
            app.show_list(call, COLUMNS, "")
            return
        rows, more = app.rows(call)
        shown = [
            {**each, "when": each.get("answered_at") or each.get("started_at")} for each in rows
        ]
        app.table(shown, COLUMNS, "No leg matches.")
        app.more(len(rows), more)

    @command(
        legs,
        "show",
        account=True,
        examples="""perminute legs show studio~9f2c-1 --account contoso
        perminute legs show studio~9f2c-1 --account contoso --wait 30""",
    )
    @click.argument("leg")
    @click.option(
        "--wait",
        "seconds",
        type=click.IntRange(0, 600),
        default=0,
        metavar="SECONDS",
        help="Wait for the charge of a leg that has just ended.",
    )
    def show_leg(app: App, leg: str, seconds: int) -> None:
        """A leg and its charge, line by line."""
        found = _leg(app, leg, seconds)
        if app.is_json:
            app.json(found)
            return
        show_charge(app, found)
        if found.get("status") == "parked":
            note_way_out(found, leg)

    @command(
        legs,
        "reverse",
        account=True,
        writes=True,
        examples="""perminute legs reverse studio~9f2c-1 --dry-run
        perminute legs reverse studio~9f2c-1 --reason "Bad line\"""",
    )
    @click.argument("leg")
    @click.option(
        "--reason", help="The reason; the ledger stores the text. Needed without --dry-run."
    )
    @click.option("--dry-run", is_flag=True, help="Only show the changes.")
    def reverse_leg(app: App, leg: str, reason: str | None, dry_run: bool) -> None:
        """Reverse the charge of a leg. A leg is reversed once."""
        if not dry_run and reason is None:
            raise click.UsageError("Give --reason, or --dry-run.")
        account = app.account
        found: Any
        found, headers = app.answer(api.post_reversal(account, leg, {"dry_run": True}))
        if not dry_run:
            app.confirm(*_foreseen(account, leg, found, is_booked="idempotency-hit" in headers))
            found = app.fetch(api.post_reversal(account, leg, {"reason": reason or ""}))
        if app.is_json:
            app.json(found)
            return
        if dry_run:
            for line in _foreseen(account, leg, found, is_booked="idempotency-hit" in headers):
                app.say(line)
            return
        app.say(f"Reversed as entry {found['entry']['sequence']}; balance {found['balance']}.")


def _foreseen(account: str, leg: str, found: Any, *, is_booked: bool) -> list[str]:
    """The sentences about a reversal that is not booked yet, or was booked before."""
    entry = found["entry"]
    if is_booked:
        return [f"{leg} of {account} is reversed already, as entry {entry['sequence']}."]
    lots = [
        f"{each['amount']} to {each['lot']}"
        + (f" (new, until {local_time(each['expires_at'])})" if "expires_at" in each else "")
        for each in found["lots"]
    ]
    owed = [f"{found['owed']} to the amount owed"] if Decimal(found["owed"]) else []
    return [
        f"Reverse {leg} of {account}: balance {found['balance_before']} → {found['balance']}.",
        f"{entry['amount']} go back: {', '.join([*owed, *lots]) or 'no credits paid for it'}.",
    ]


def _leg(app: App, leg: str, seconds: int) -> Any:
    """The leg, awaited for so many seconds. Raises Problem."""
    call = api.get_leg(app.account, leg)
    for _ in range(int(seconds / _POLL_SECONDS)):
        try:
            return app.fetch(call, "Waiting for the charge")
        except Problem as problem:
            if problem.code != "leg_unknown":
                raise
        app.client.sleep(_POLL_SECONDS)
    return app.fetch(call)


def note_way_out(parked: Any, leg: str) -> None:
    """Note what to do with a parked leg, and the commands."""
    for line in way_out(parked.get("reason") or "", leg, parked.get("what_to_do")):
        note(safe(line))


def show_charge(app: App, found: Any) -> None:
    """A charge, as of a leg, a quote or a trial."""
    currency = found.get("currency", "")
    rate = found.get("rate") or {}
    prefix = (
        f"prefix {rate['prefix']} of {rate['card']}, version {rate['version']}" if rate else None
    )
    app.fields(
        [
            ("Leg", found.get("leg")),
            ("Account", found.get("account")),
            ("Status", _status(found)),
            ("Kind", found.get("kind")),
            ("From", found.get("from")),
            ("To", found.get("to")),
            ("Organizer", found.get("organizer")),
            ("Conference", found.get("conference")),
            ("Started", local_time(found.get("started_at"), seconds=True)),
            ("Answered", local_time(found.get("answered_at"), seconds=True)),
            ("Ended", local_time(found.get("ended_at"), seconds=True)),
            ("Talk time", duration(found.get("talk_seconds"))),
            ("Billed", duration(found.get("billed_seconds"))),
            ("Rate", prefix),
            *(
                (f"  {_line_name(each)}", f"{each['amount']} {currency}")
                for each in found.get("lines") or []
            ),
            ("Amount", f"{found['amount']} {currency}" if "amount" in found else None),
            ("Why", found.get("sentence")),
            ("Flags", ", ".join(found.get("flags") or [])),
            (
                "Paid from",
                ", ".join(
                    f"{each['lot']} {each['amount']}" for each in found.get("funded_by") or []
                ),
            ),
            (
                "Balance",
                f"{found['balance_before']} → {found['balance_after']} {currency}"
                if "balance_after" in found
                else None,
            ),
            ("Entry", found.get("entry")),
        ]
    )


def _status(found: Any) -> str:
    why = found.get("zero_reason") or found.get("reason")
    return f"{found.get('status') or ''}{f' ({why})' if why else ''}"


def _line_name(line: Any) -> str:
    if line.get("kind") != "usage":
        return str(line.get("kind", "")).replace("_", " ")
    unit = line.get("unit_seconds")
    return f"{line.get('seconds')} s at {line.get('price')} per {unit} s"

"""`perminute calls` and `perminute denials`: calls in progress, and calls that were denied."""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.terminal import (
    Column,
    duration,
    local_time,
    money_column,
    seconds_column,
    text_column,
    time_column,
)

COLUMNS = (
    time_column("Since", "since", 3),
    Column("Direction", "direction", 4),
    Column("To", "to", 1),
    Column("Region", "region", 4),
    text_column("Organizer", "organizer", 2),
    text_column("Conference", "conference", 3),
    seconds_column("Granted", "granted_seconds", 3),
    money_column("Held", "held", 4),
    money_column("Per minute", "price_per_minute", 2),
    money_column("So far", "amount_so_far", 1),
    text_column("Authorization", "authorization", 6),
)

DENIALS = (
    time_column("At", "at", 2),
    Column("To", "to", 1),
    Column("Reason", "reason", 1),
    text_column("Organizer", "organizer", 3),
    text_column("Message", "message", 2),
    Column("Region", "region", 5),
    Column("Direction", "direction", 6),
    text_column("Conference", "conference", 6),
    text_column("Bridge", "bridge", 6),
)


def register(root: click.Group) -> None:
    """Add the command."""

    @command(
        root,
        "calls",
        account=True,
        csv=True,
        examples="perminute calls --account contoso\nperminute calls --conference 3001",
    )
    @click.option(
        "--conference", help="Only calls of this conference, with the cost of its ended legs."
    )
    def calls(app: App, conference: str | None) -> None:
        """Calls in progress, the most expensive first, and the time for which the credits last."""
        call = (
            api.list_calls(app.account)
            if conference is None
            else api.get_conference_cost(app.account, conference)
        )
        if app.is_csv:
            if conference is not None:
                raise click.UsageError("--csv can't be combined with --conference.")
            app.csv(call)
            return
        found: Any = app.fetch(call)
        if app.is_json:
            app.json(found)
            return
        currency = found["currency"]
        ended = found.get("ended") or {}
        left = found.get("seconds_left")
        app.fields(
            [
                ("Available", _amount(found.get("available"), currency)),
                ("So far", _amount(found.get("amount_so_far"), currency)),
                (
                    "Ended legs",
                    f"{ended['legs']:,}, {ended['amount']} {currency}" if ended else None,
                ),
                ("Per minute", _amount(found["burn_per_minute"], currency)),
                ("Lasts for", duration(left) if left is not None else None),
                ("Until", local_time(found.get("exhausted_at"))),
                ("As of", local_time(found["as_of"], seconds=True)),
            ]
        )
        app.text("")
        rows = found["items"] if conference is None else found["open"]
        app.table(rows, COLUMNS, "No call is in progress.")

    @command(
        root,
        "denials",
        account=True,
        span=True,
        csv=True,
        rows=True,
        examples="""perminute denials --account contoso --since 2026-11-01
        perminute denials --group-by reason
        perminute denials --reason credit_exhausted --csv""",
    )
    @click.option("--reason", help="Only denials with this reason, such as credit_exhausted.")
    @click.option("--organizer", help="Only denials of this organizer's calls.")
    @click.option(
        "--group-by",
        type=click.Choice(["reason", "organizer", "region", "day"]),
        help="Count the denials by this, in place of listing.",
    )
    def denials(app: App, reason: str | None, organizer: str | None, group_by: str | None) -> None:
        """Denied dial-outs and dial-ins of the last 90 days, the newest first."""
        call = api.list_denials(
            app.account, **app.span(), reason=reason, organizer=organizer, group_by=group_by
        )
        if group_by is None:
            app.show_list(call, DENIALS, "No call was denied.")
            return
        counts = call.as_document()
        if app.is_csv:
            app.csv(counts)
            return
        found = app.fetch(counts)
        if app.is_json:
            app.json(found)
            return
        columns = (
            text_column(group_by.capitalize(), group_by, 1),
            money_column("Denials", "denials", 1),
        )
        total = {group_by: "Total", "denials": found["total"]}
        app.table(found["items"], columns, "No call was denied.", total)


def _amount(amount: object, currency: str) -> str | None:
    return None if amount is None else f"{amount} {currency}"

"""`perminute usage`."""

import click

from perminute_cli import api
from perminute_cli.app import App, command, note
from perminute_cli.terminal import (
    local_time,
    money_column,
    seconds_column,
    text_column,
)

GROUPS = (
    *("organizer", "cost_center", "conference", "kind", "region", "destination", "number_class"),
    *("bridge", "day", "week", "month", "hour"),
)
WITHOUT = ("organizer", "cost_center", "conference", "region", "destination")
"""The groups whose absence `perminute legs --without` selects."""
NONE = "(none)"


def register(root: click.Group) -> None:
    """Add the command."""

    @command(
        root,
        "usage",
        account=True,
        span=True,
        csv=True,
        examples="""perminute usage --month 2026-11 --group-by organizer
        perminute usage --since 2026-11-01 --until 2026-11-08 --group-by day,region --csv""",
    )
    @click.option("--group-by", metavar="A,B", help=f"Groups: {', '.join(GROUPS)}.")
    @click.option(
        "--order", type=click.Choice(["amount", "legs", "group"]), help="The order of the rows."
    )
    @click.option(
        "--limit",
        type=click.IntRange(min=1),
        help="The number of rows; the others are summed in `other`.",
    )
    @click.option(
        "--by-time",
        type=click.Choice(["booked", "answered"]),
        help="The time that selects the legs.",
    )
    def usage(
        app: App, group_by: str | None, order: str | None, limit: int | None, by_time: str | None
    ) -> None:
        """Where the money went: legs, minutes and amounts by group, net of corrections.

        Without a period: the present month.
        """
        call = api.get_usage(
            app.account, **app.span(), group_by=group_by, order=order, limit=limit, time=by_time
        )
        if app.is_csv:
            app.csv(call)
            return
        found = app.fetch(call)
        if app.is_json:
            app.json(found)
            return
        groups = [each for each in (group_by or "").split(",") if each]
        columns = [text_column(each.replace("_", " ").capitalize(), each, 1) for each in groups]
        columns += [
            money_column("Legs", "legs", 1),
            money_column("Answered", "answered_legs", 4),
            seconds_column("Talk time", "talk_seconds", 3),
            seconds_column("Billed", "billed_seconds", 2),
            seconds_column("Included", "pool_seconds", 4),
            money_column(f"Amount {found['currency']}", "amount", 1),
        ]
        items = [
            {**each, **{name: NONE for name in groups if each[name] is None}}
            for each in (found["items"] if groups else [])
        ]
        total = {**found["total"], **({groups[0]: "Total"} if groups else {})}
        zone = found.get("time_zone")
        since, until = (local_time(found[name], zone=zone) for name in ("from", "to"))
        app.say(f"{app.account}, {since} to {until}")
        app.table(
            [*items, total] if not groups else items,
            columns,
            _nothing(found),
            total if groups and items else None,
        )
        absent = [
            name for name in WITHOUT if any(each.get(name, "") is None for each in found["items"])
        ]
        if absent:
            note(f"{NONE}: to list these legs, use perminute legs --without {absent[0]}")


def _nothing(found: "api.GetUsage") -> str:
    return f"No leg in this period; total 0.00 {found['currency']}."

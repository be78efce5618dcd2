"""`perminute statement`, `perminute alerts` and `perminute audit-log`."""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.terminal import (
    Column,
    money_column,
    safe,
    seconds_column,
    text_column,
    time_column,
)

_BY = (
    ("by_leg_kind", "Kind"),
    ("by_destination", "Destination"),
    ("by_organizer", "Organizer"),
    ("by_cost_center", "Cost center"),
)
ALERTS = (
    Column("Id", "id", 1),
    Column("Type", "type", 1),
    Column("Status", "status", 2),
    time_column("Raised", "raised_at", 2),
    text_column("Action", "to_do", 3),
)
CHANGES = (
    time_column("At", "at", 1),
    text_column("Actor", "actor", 1),
    Column("Action", "action", 1),
    Column("Kind", "kind", 2),
    text_column("Key", "key", 2),
    text_column("Account", "account", 3),
    Column("Request", "request_id", 5),
)


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "statement",
        account=True,
        csv=True,
        examples="""perminute statement --month 2026-11 --account contoso
        perminute statement --month 2026-11 --html --output statement.html""",
    )
    @click.option("--month", metavar="YYYY-MM", help="The month; by default the present one.")
    @click.option("--html", is_flag=True, help="An HTML page to print.")
    @click.option("--language", type=click.Choice(["en", "fr"]), help="The language of the page.")
    def statement(app: App, month: str | None, html: bool, language: str | None) -> None:
        """The statement of a month: opening balance, movements, closing balance."""
        month = month or app.present_month()
        kind = "html" if html else None
        call = api.get_statement(app.account, month, format=kind, language=language)
        if html:
            app.csv(call, "text/html")
            return
        if app.is_csv:
            app.csv(call)
            return
        found: Any = app.fetch(call)
        if app.is_json:
            app.json(found)
            return
        currency = found["currency"]
        app.fields(
            [
                ("Account", found["account"]),
                ("Month", found["month"]),
                ("Opening", f"{found['opening']} {currency}"),
                *(
                    (_title(each["name"]), f"{each['amount']} {currency}")
                    for each in found["by_kind"]
                ),
                ("Closing", f"{found['closing']} {currency}"),
                ("Parked legs", found["parked"]["open"]),
            ]
        )
        for name, title in _BY:
            app.text("")
            columns = (
                text_column(title, "name", 1),
                money_column("Legs", "count", 2),
                seconds_column("Billed", "billed_seconds", 3),
                money_column(f"Amount {currency}", "amount", 1),
            )
            app.table(found.get(name, []), columns, f"{title}: nothing.")

    @command(
        root,
        "alerts",
        account=True,
        csv=True,
        rows=True,
        writes=True,
        examples="""perminute alerts --account contoso
        perminute alerts --acknowledge 1 --yes""",
    )
    @click.option("--acknowledge", metavar="ID", help="Acknowledge an alert in place of listing.")
    def alerts(app: App, acknowledge: str | None) -> None:
        """Alerts of an account, the newest first; or acknowledge one."""
        if acknowledge is None:
            call = api.list_alerts(app.account)
            if app.is_csv or app.is_json:
                app.show_list(call, ALERTS, "")
                return
            rows, more = app.rows(call)
            shown = [{**each, "to_do": (each.get("data") or {}).get("what_to_do")} for each in rows]
            app.table(shown, ALERTS, "No alert.")
            app.more(len(rows), more)
            return
        app.confirm(f"Acknowledge alert {acknowledge} of {app.account}.")
        made = app.fetch(api.acknowledge_alert(app.account, acknowledge))
        if app.is_json:
            app.json(made)
            return
        app.say(f"Alert {acknowledge} is {made['status']}.")

    @command(
        root,
        "audit-log",
        span=True,
        csv=True,
        rows=True,
        examples="""perminute audit-log --since 2026-11-01
        perminute audit-log --kind bridge --actor reports --csv""",
    )
    @click.option("--account", metavar="A", help="Only changes of this account.")
    @click.option("--actor", help="Only changes by this actor.")
    @click.option("--kind", help="Only changes of this kind of setting.")
    def audit_log(app: App, account: str | None, actor: str | None, kind: str | None) -> None:
        """Changes of settings and their actors, the newest first."""
        call = api.list_audit_log(**app.span(), account=account, actor=actor, kind=kind)
        app.show_list(call, CHANGES, "No change matches.")


def _title(name: str) -> str:
    return safe(name).replace("_", " ").capitalize()

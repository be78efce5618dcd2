"""`perminute try`, `perminute stop` and `perminute restart`: may a number be dialled?"""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, note
from perminute_cli.failures import Failure
from perminute_cli.terminal import Column, duration, safe, text_column

_STYLES = {"pass": "green", "fail": "red"}
CHECKS = (
    text_column("Check", "check", 1),
    Column("Outcome", "outcome", 1, style=lambda word: _STYLES.get(word, "dim")),
    text_column("Reason", "reason", 3),
    text_column("Detail", "detail", 2),
)


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "try",
        account=True,
        examples="""perminute try +442079460123 --organizer ken@contoso.example
        perminute try 020 --conference 3001 --account contoso""",
    )
    @click.argument("number")
    @click.option("--organizer", help="The organizer of the meeting.")
    @click.option("--conference", help="The conference of the call, which must be registered.")
    @click.option("--seconds", type=click.IntRange(1, 86_400), help="The requested seconds.")
    @click.option("--user-call", is_flag=True, help="The user's own call, not a call of a meeting.")
    def try_number(
        app: App,
        number: str,
        organizer: str | None,
        conference: str | None,
        seconds: int | None,
        user_call: bool,
    ) -> None:
        """Whether a number may be dialled: all checks, in order. Nothing is dialled or held.

        Exit status 0: it may, 1: it may not.
        """
        stated = {
            "organizer_id": organizer,
            "conference_id": conference,
            "requested_seconds": seconds,
            "call": "user" if user_call else None,
        }
        body: Any = {"to": number} | {
            name: value for name, value in stated.items() if value is not None
        }
        found: Any = app.fetch(api.try_dial_out(app.account, body))
        if organizer and found.get("reason") == "organizer_unknown":
            named = app.search(api.list_organizers(app.account, prefix=organizer), 2)
            if len(named) == 1:
                note(f"{organizer} is taken as {safe(named[0]['id'])}.")
                body["organizer_id"] = named[0]["id"]
                found = app.fetch(api.try_dial_out(app.account, body))
        denied = found["decision"] != "allow"
        if app.is_json:
            app.json(found)
        else:
            app.table(found.get("checks", []), CHECKS, "No check was made.")
            app.text("")
            _decision(app, found)
        if denied:
            raise Failure(
                f"Denied: {found.get('message') or found.get('reason')} ({found.get('reason')})",
                "See docs/dial-out-policies.md: each reason has its remedy there.",
            )

    @command(
        root,
        "stop",
        account=True,
        writes=True,
        examples='perminute stop --account contoso --reason "Strange calls at night"',
    )
    @click.option("--reason", required=True, help="The reason; denials show the text.")
    def stop(app: App, reason: str) -> None:
        """Stop every new dial-out of an account at once."""
        app.confirm(f"Stop dial-out of {app.account}: every further request is denied.")
        made = app.fetch(api.stop_dial_out(app.account, {"reason": reason}))
        if app.is_json:
            app.json(made)
            return
        app.say(f"Dial-out of {app.account} is stopped. `perminute restart` ends that.")

    @command(
        root, "restart", account=True, writes=True, examples="perminute restart --account contoso"
    )
    def restart(app: App) -> None:
        """Restart dial-out of an account after a stop."""
        before: Any = app.fetch(api.get_dial_out_state(app.account))
        if before["stopped"]:
            app.confirm(f"Restart dial-out of {app.account}, stopped for: {before.get('reason')}.")
        made = app.fetch(api.restart_dial_out(app.account))
        if app.is_json:
            app.json(made)
            return
        app.say(f"Dial-out of {app.account} is open.")


def _decision(app: App, found: Any) -> None:
    destination = found.get("destination") or {}
    currency = found.get("currency", "")
    granted = found.get("granted_seconds")
    app.fields(
        [
            ("Decision", found["decision"]),
            ("Number", destination.get("number")),
            (
                "Region",
                f"{destination['region']} {safe(destination.get('name', ''))}"
                if destination
                else None,
            ),
            ("Class", destination.get("number_class")),
            (
                "Per minute",
                f"{found['price_per_minute']} {currency}" if "price_per_minute" in found else None,
            ),
            (
                "Connection",
                f"{found['connection_fee']} {currency}" if "connection_fee" in found else None,
            ),
            (
                "Granted",
                f"{duration(granted)}, {found.get('held')} {currency} would be held"
                if granted
                else None,
            ),
        ]
    )

"""`perminute status`: what is wrong now."""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.calls import Call
from perminute_cli.failures import Failure
from perminute_cli.terminal import safe


def register(root: click.Group) -> None:
    """Add the command."""

    @command(root, "status", examples="perminute status\nperminute status --json")
    def status(app: App) -> None:
        """What is wrong now, in ten lines. Exit status 1: something is."""
        health: Any = app.fetch(api.get_health())
        listing = api.list_parked_legs(status="open", summary=True)
        parked: Any = app.fetch(
            Call(listing.operation, listing.method, listing.path, listing.query)
        )
        if app.is_json:
            app.json({**health, "parked": parked})
        else:
            reasons = ", ".join(
                f"{count} {safe(name)}" for name, count in parked["by_reason"].items()
            )
            app.fields(
                [
                    ("Status", health["status"]),
                    *((name.capitalize(), word) for name, word in health["checks"].items()),
                    ("Parked", f"{parked['total']:,} legs{f' ({reasons})' if reasons else ''}"),
                    ("Version", health["version"]),
                ]
            )
        if health["status"] != "ok":
            raise Failure(f"The server is {health['status']}.", "See docs/operations.md.")

"""`perminute verify`: whether the books add up."""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.failures import Failure


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(root, "verify", account=True, examples="perminute verify --account contoso")
    @click.option("--anchors", is_flag=True, help="Against the anchored heads, too.")
    def verify(app: App, anchors: bool) -> None:
        """Recompute an account's ledger from its first entry, and say whether it adds up."""
        found: Any = app.fetch(
            api.verify_ledger(app.account, anchors=anchors or None), "Recomputing the ledger"
        )
        if app.is_json:
            app.json(found)
        else:
            names = ("commits", "entries", "legs", "balance", "head")
            app.fields(
                [
                    ("Account", app.account),
                    *((name.capitalize(), found.get(name)) for name in names),
                ]
            )
        if not found["ok"]:
            problems = "; ".join(map(str, found.get("problems", [])[:3]))
            raise Failure(
                f"The ledger of {app.account} does not add up: {problems}.",
                "See docs/operations.md: nothing is booked until it is restored.",
            )
        if not app.is_json:
            app.say("The ledger adds up.")

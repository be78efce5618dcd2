"""`perminute accounts`."""

from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, group
from perminute_cli.failures import USAGE, Failure
from perminute_cli.terminal import Column, local_time, money_column, text_column, time_column

COLUMNS = (
    text_column("Account", "id", 1),
    text_column("Name", "name"),
    Column("Currency", "currency", 1),
    Column("Location", "usage_location", 4),
    Column("Time zone", "time_zone", 3),
    text_column("Rate card", "rate_card", 3),
    money_column("Credit limit", "credit_limit", 2),
    time_column("Created", "created_at", 5),
)
LOTS = (
    Column("Lot", "id", 1),
    Column("Kind", "kind", 2),
    money_column("Amount", "amount", 1),
    money_column("Remaining", "remaining", 1),
    time_column("Purchased", "purchased_at", 3),
    time_column("Expires", "expires_at", 2),
)
_SETTINGS = (
    ("--name", "name", "Of the organization."),
    ("--location", "usage_location", "Its country, such as FR."),
    ("--time-zone", "time_zone", "Of its days and months, such as Europe/Paris."),
    ("--credit-limit", "credit_limit", "How far the balance may go below zero."),
    ("--rate-card", "rate_card", "The rate card that prices its legs."),
)


def register(root: click.Group) -> None:
    """Add the group."""
    accounts = group(root, "accounts", "Accounts: their settings and what they hold.")

    @command(
        accounts,
        "list",
        csv=True,
        rows=True,
        examples="perminute accounts\nperminute accounts list --csv --output accounts.csv",
    )
    def list_accounts(app: App) -> None:
        """All accounts that the key may see."""
        app.show_list(api.list_accounts(), COLUMNS, "There is no account.")

    @command(
        accounts,
        "show",
        account=True,
        examples="perminute accounts show contoso\nperminute accounts show --json",
    )
    @click.argument("account", required=False)
    def show_account(app: App, account: str | None) -> None:
        """An account: balance, available, held, credits by lot, settings."""
        app.account_option = account or app.account_option
        found = app.fetch(api.get_account(app.account))
        if app.is_json:
            app.json(found)
            return
        _show(app, found)

    @command(
        accounts,
        "create",
        writes=True,
        examples="perminute accounts create contoso --currency USD --time-zone Europe/Paris",
    )
    @click.argument("account")
    @click.option("--currency", required=True, help="Never changes, such as USD.")
    @_settings
    def create_account(app: App, account: str, currency: str, **stated: str | None) -> None:
        """Create an account."""
        body: Any = {"currency": currency, **_body(stated)}
        app.confirm(f"Create the account {account}: {_words(body)}.")
        call = api.put_account(account, body)
        with app.once(call, body) as pending:
            made: Any = app.make(pending, call, api.get_account(account))
        _saved(app, made, f"The account {account} is created.")

    @command(
        accounts,
        "set",
        writes=True,
        examples="perminute accounts set contoso --credit-limit 50.00\n"
        "perminute accounts set contoso --rate-card default",
    )
    @click.argument("account")
    @_settings
    def set_account(app: App, account: str, **stated: str | None) -> None:
        """Change settings of an account; options left out stay, `default` takes the default."""
        body = {
            name: None if value == "default" else value for name, value in _body(stated).items()
        }
        if not body:
            options = ", ".join(option for option, *_ in _SETTINGS)
            raise Failure("No change is named.", f"Add one of {options}.", USAGE)
        before: Any = app.fetch(api.get_account(account))
        app.confirm(
            *(f"{name} of {account}: {before.get(name)} → {value}" for name, value in body.items())
        )
        made = app.fetch(api.patch_account(account, body, if_match=before["etag"]))
        _saved(app, made, f"The account {account} is changed.")


def _settings(callback: Any) -> Any:
    for option, name, about in reversed(_SETTINGS):
        callback = click.option(option, name, help=about)(callback)
    return callback


def _body(stated: dict[str, str | None]) -> dict[str, Any]:
    return {name: value for name, value in stated.items() if value is not None}


def _words(body: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in body.items())


def _saved(app: App, made: Any, sentence: str) -> None:
    if app.is_json:
        app.json(made)
        return
    app.say(sentence)
    for each in made.get("warnings", []):
        app.say(f"Note: {each.get('pointer')}: {each.get('detail')}")


def _show(app: App, found: "api.GetAccount") -> None:
    currency = found["currency"]
    app.fields(
        [
            ("Account", found["id"]),
            ("Name", found.get("name")),
            ("Balance", f"{found['balance']} {currency}"),
            ("Held", f"{found['held']} {currency}"),
            ("Available", f"{found['available']} {currency}"),
            ("Credit limit", f"{found['credit_limit']} {currency}"),
            ("Rate card", found.get("rate_card")),
            ("Location", found.get("usage_location")),
            ("Time zone", found.get("time_zone")),
            ("Created", local_time(found.get("created_at"))),
        ]
    )
    lots = [each for each in found["lots"] if each["remaining"] != "0.00"]
    if lots:
        app.text("")
        app.table(lots, LOTS, "")

"""`perminute parked`: legs that could not be charged; see them, correct them, charge them."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, group, note, without_mark
from perminute_cli.calls import Call
from perminute_cli.commands.legs import note_way_out, show_charge
from perminute_cli.failures import USAGE, Failure, Problem
from perminute_cli.parking import FIELD, SETTINGS, commands
from perminute_cli.terminal import (
    Column,
    counted,
    is_terminal,
    local_time,
    money_column,
    progress,
    safe,
    text_column,
    time_column,
)

COLUMNS = (
    time_column("Received", "received_at", 3),
    text_column("Leg", "leg", 1),
    Column("Reason", "reason", 1),
    text_column("Account", "account", 3),
    Column("To", "to", 4),
    text_column("Detail", "detail", 2),
    money_column("Tries", "attempts", 5),
    text_column("Id", "id", 6),
)
REASONS = (
    *("unreadable", "incomplete", "account_unknown", "account_ambiguous", "inconsistent"),
    *("kind_unknown", "number_invalid", "rate_missing", "currency_mismatch", "conflict"),
    *("authorization_used", "settings_unreadable"),
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ACCOUNT = "The account; PERMINUTE_ACCOUNT, else all accounts."
_NUMBERS = frozenset({"talk_seconds"})
_BULK = 100
_POSTED_BYTES_SHOWN = 2000


def register(root: click.Group) -> None:
    """Add the group."""
    parked = group(
        root,
        "parked",
        "Parked legs: walk through them by reason; without a terminal, list them.",
        default="walk",
    )

    @command(
        parked,
        "walk",
        account=_ACCOUNT,
        csv=True,
        rows=True,
        examples="perminute parked\nperminute parked --reason number_invalid",
    )
    @click.option(
        "--reason", type=click.Choice(REASONS), help="Only legs that are parked for this reason."
    )
    def walk(app: App, reason: str | None) -> None:
        """Walk through open parked legs by reason: see, correct, replay, dismiss.

        Without a terminal, and with --json or --csv, they are only listed.
        """
        if app.is_json or app.is_csv or not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
            _list(app, reason, "open")
            return
        _walk(app, reason)

    @command(
        parked,
        "list",
        account=_ACCOUNT,
        csv=True,
        rows=True,
        examples="""perminute parked list --reason rate_missing
        perminute parked list --summary
        perminute parked list --status dismissed --csv""",
    )
    @click.option(
        "--reason", type=click.Choice(REASONS), help="Only legs that are parked for this reason."
    )
    @click.option(
        "--status",
        type=click.Choice(["open", "replayed", "dismissed"]),
        default="open",
        help="Only legs with this status; by default open.",
    )
    @click.option("--summary", is_flag=True, help="Count the legs by reason, in place of listing.")
    def list_parked(app: App, reason: str | None, status: str, summary: bool) -> None:
        """Parked legs, the oldest first."""
        if summary:
            if app.is_csv:
                raise click.UsageError("--summary can't be combined with --csv.")
            _summary(app, reason, status)
        else:
            _list(app, reason, status)

    _fix(parked)
    _bulk(parked)


def _fix(parked: click.Group) -> None:
    @command(
        parked,
        "fix",
        writes=True,
        examples="""perminute parked fix studio~9f2c-3 --set to=+442079460123
        perminute parked fix studio~9f2c-4 --set authorization=null --yes
        perminute parked fix studio~9f2c-5 --whole leg.json""",
    )
    @click.argument("leg")
    @click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="FIELD=VALUE",
        help="A corrected field; null empties the field.",
    )
    @click.option("--whole", type=_FILE, help="The whole leg as JSON, in the dialect perminute.")
    @click.option(
        "--charge-as", metavar="ID", help="The id for the second of two real calls with one id."
    )
    def fix(
        app: App, leg: str, changes: tuple[str, ...], whole: Path | None, charge_as: str | None
    ) -> None:
        """Correct fields of a parked leg, by leg or id, replay it, and show its charge."""
        stated = {**(_whole(whole) if whole else {}), **_changes(changes)}
        if not stated and charge_as is None:
            raise Failure("No correction is named.", "Add --set FIELD=VALUE.", USAGE)
        item = _named(app, leg)
        if _is_done(app, item, "replayed"):
            return
        original = item.get("original") or {}
        app.confirm(
            f"Replay {item['leg']}, parked for {item['reason']}, with:",
            *(f"  {name}: {original.get(name)} → {value}" for name, value in stated.items()),
            *([f"  charged as {charge_as}"] if charge_as else []),
        )
        body = {"leg": stated} if stated else {}
        _replay(app, item, {**body, **({"charge_as": charge_as} if charge_as else {})})


def _bulk(parked: click.Group) -> None:
    @command(
        parked,
        "replay",
        account=_ACCOUNT,
        writes=True,
        examples="""perminute parked replay studio~9f2c-3
        perminute parked replay --reason rate_missing --account contoso --yes""",
    )
    @click.argument("leg", required=False)
    @click.option(
        "--reason", type=click.Choice(REASONS), help="All legs that are parked for this reason."
    )
    @click.option("--all", "everything", is_flag=True, help="All open parked legs.")
    def replay(app: App, leg: str | None, reason: str | None, everything: bool) -> None:
        """Charge parked legs unchanged, after a correction of a rate or a setting."""
        if leg is not None:
            item = _named(app, leg)
            if _is_done(app, item, "replayed"):
                return
            app.confirm(f"Replay {item['leg']}, parked for {item['reason']}.")
            _replay(app, item, {})
            return
        if not (reason or everything or app.account_option):
            raise Failure(
                "Nothing is selected.", "Give a leg, --reason, --account or --all.", USAGE
            )
        where = _where(app, reason)
        app.confirm(f"Replay {counted(_count(app, where), 'open parked leg')}{_words(where)}.")
        _sweep(app, where, api.replay_parked_legs, "Replaying")

    @command(
        parked,
        "dismiss",
        account=_ACCOUNT,
        writes=True,
        examples="""perminute parked dismiss studio~9f2c-3 --note "A test call"
        perminute parked dismiss --reason authorization_used --note "Twins of transfers" --yes""",
    )
    @click.argument("leg", required=False)
    @click.option(
        "--reason", type=click.Choice(REASONS), help="All legs that are parked for this reason."
    )
    @click.option("--note", "why", required=True, help="The reason, which is stored.")
    def dismiss(app: App, leg: str | None, reason: str | None, why: str) -> None:
        """Dismiss parked legs: they are never charged."""
        if leg is not None:
            item = _named(app, leg)
            if _is_done(app, item, "dismissed"):
                return
            app.confirm(f"Dismiss {item['leg']}, parked for {item['reason']}: it is never charged.")
            made = app.fetch(api.dismiss_parked_leg(item["id"], {"note": why}))
            if app.is_json:
                app.json(made)
                return
            app.say(f"{item['leg']} is {made['status']}.")
            return
        if not (reason or app.account_option):
            raise Failure("Nothing is selected.", "Give a leg, --reason or --account.", USAGE)
        where = _where(app, reason)
        app.confirm(f"Dismiss {counted(_count(app, where), 'open parked leg')}{_words(where)}.")
        _sweep(app, {**where, "note": why}, api.dismiss_parked_legs, "Dismissing")


def _list(app: App, reason: str | None, status: str) -> None:
    call = api.list_parked_legs(account=app.stated_account, reason=reason, status=status)
    if app.is_json or app.is_csv:
        app.show_list(call, COLUMNS, "")
        return
    rows, more = app.rows(call)
    shown = [{**each, "to": (each.get("original") or {}).get("to")} for each in rows]
    app.table(shown, COLUMNS, "No leg is parked.")
    app.more(len(rows), more)
    if rows and status == "open":
        first = rows[0]
        note(f"{safe(first['leg'])}:")
        note_way_out(first, first["leg"])


def _summary(app: App, reason: str | None, status: str) -> None:
    found = _counts(app, {"account": app.stated_account, "reason": reason, "status": status})
    if app.is_json:
        app.json(found)
        return
    rows = [{"reason": name, "count": count} for name, count in found["by_reason"].items()]
    columns = (text_column("Reason", "reason", 1), money_column("Legs", "count", 1))
    app.table(rows, columns, "No leg is parked.", {"reason": "Total", "count": found["total"]})


def _counts(app: App, where: Any) -> Any:
    call = api.list_parked_legs(
        account=where.get("account"),
        reason=where.get("reason"),
        status=where.get("status") or "open",
        summary=True,
    )
    return app.fetch(call.as_document())


def _count(app: App, where: Any) -> int:
    return int(_counts(app, where)["total"])


def _where(app: App, reason: str | None) -> dict[str, str]:
    stated = {"account": app.stated_account, "reason": reason}
    return {name: value for name, value in stated.items() if value is not None}


def _words(where: dict[str, str]) -> str:
    return "".join(f", {name} {value}" for name, value in where.items())


def _changes(stated: tuple[str, ...]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for each in stated:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Failure(f"“{each}” is no correction.", "Write FIELD=VALUE.", USAGE)
        changes[name.strip()] = _value(name.strip(), value)
    return changes


def _value(name: str, text: str) -> Any:
    if text == "null":
        return None
    if name in _NUMBERS and text.isascii() and text.isdecimal() and len(text) < 7:
        return int(text)
    return text


def _whole(file: Path) -> dict[str, Any]:
    """The leg in a file. Raises Failure."""
    try:
        found = json.loads(without_mark(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Failure(f"{file} is no leg.", "Write one JSON object: docs/leg-fields.md.", USAGE)
    return found


def _is_done(app: App, item: Any, status: str) -> bool:
    """Whether an earlier command did it, perhaps one whose answer was lost; then that is shown."""
    if item["status"] != status:
        return False
    if app.is_json:
        app.json(item)
    elif status == "replayed":
        note(f"{safe(item['leg'])} was replayed before.")
        _show(app, item, item.get("account"))
    else:
        app.say(f"{item['leg']} was dismissed before.")
    return True


def _named(app: App, name: str) -> Any:
    """The parked leg with this id, or that of this leg, open ones first. Raises Failure."""
    done: Any = None
    with progress("Searching") as report:
        for number, item in enumerate(app.client.items(api.list_parked_legs()), 1):
            report(counted(number, "parked leg"))
            if item["id"] == name or (item["leg"] == name and item["status"] == "open"):
                return item
            if item["leg"] == name:
                done = item
    if done is not None:
        return done
    raise Failure(
        f"No parked leg is named {name}.", "Check it with `perminute parked list`, leg or id."
    )


def _replay(app: App, item: Any, body: Any) -> bool:
    """Replay a parked leg and show what became of it; whether it is charged."""
    made: Any = app.fetch(api.replay_parked_leg(item["id"], body))
    if app.is_json:
        app.json(made)
        return bool(made["status"] == "replayed")
    if made["status"] != "replayed":
        raise Failure(
            f"{made['leg']} stays parked: {made.get('detail')} ({made.get('reason')})",
            f"{made.get('what_to_do') or 'Correct the cause.'} "
            + " or ".join(f"`{each}`" for each in commands(made.get("reason") or "", made["leg"])),
        )
    app.say(f"{made['leg']} is replayed.")
    _show(app, made, (body.get("leg") or {}).get("account") or made.get("account"))
    return True


def _show(app: App, made: Any, account: str | None) -> None:
    """The charge of a replayed leg."""
    leg = made.get("charged_as") or made["leg"]
    if account:
        try:
            show_charge(app, app.fetch(api.get_leg(account, leg)))
        except Problem:
            app.say(f"Its charge follows: `perminute legs show {leg} --account {account}`.")


def _sweep(app: App, where: Any, call: Callable[..., Call[Any]], doing: str) -> None:
    """Go on until every selected leg was tried once."""
    sums = {"open": 0, "replayed": 0, "dismissed": 0}
    cursor: str | None = None
    with progress(doing) as report:
        while True:
            more = {"cursor": cursor} if cursor else {}
            swept: Any = app.client.json(call({**where, **more, "limit": _BULK}))
            for name in sums:
                sums[name] += swept.get(name, 0)
            report(counted(sum(sums.values()), "leg"))
            cursor = swept.get("next")
            if not cursor:
                break
    if app.is_json:
        app.json(sums)
    else:
        app.say(", ".join(f"{count:,} {name}" for name, count in sums.items() if count) or "None.")
    if sums["open"]:
        raise Failure(
            f"{counted(sums['open'], 'leg stays', 'legs stay')} parked.",
            "`perminute parked list` shows each reason; `perminute parked fix LEG` corrects a leg.",
        )


# The walk


def _walk(app: App, reason: str | None) -> None:
    counts = _counts(app, {"account": app.stated_account, "reason": reason})
    if not counts["total"]:
        app.say("No leg is parked.")
        return
    _summary(app, reason, "open")
    for name in counts["by_reason"]:
        for item in _open(app, name):
            if _visit(app, name, item) == "n":
                break


def _open(app: App, reason: str) -> Iterator[Any]:
    call = api.list_parked_legs(account=app.stated_account, reason=reason, status="open")
    return app.client.items(call)


def _visit(app: App, reason: str, item: Any) -> str:
    """Show a parked leg and run the chosen commands until the walk goes on. `n`: next reason."""
    original = item.get("original") or {}
    app.text("")
    app.fields(
        [
            ("Leg", item["leg"]),
            ("Reason", f"{reason}: {item.get('detail')}"),
            ("To do", item.get("what_to_do")),
            ("Received", local_time(item.get("received_at"))),
            *_posted(original),
        ]
    )
    while True:
        note("[f]ix, [r]eplay, [d]ismiss, [s]kip, [n]ext reason, [q]uit? ", end="")
        choice = _typed().lower()[:1] or "s"
        try:
            match choice:
                case "f":
                    _replay(app, item, _correction(reason, item))
                    return choice
                case "r":
                    _replay(app, item, {})
                    return choice
                case "d":
                    note("Why? ", end="")
                    app.fetch(api.dismiss_parked_leg(item["id"], {"note": _typed() or "dismissed"}))
                    app.say(f"{item['leg']} is dismissed.")
                    return choice
                case "s" | "n":
                    return choice
                case "q":
                    raise click.exceptions.Exit(0)
        except Failure as failure:
            for line in failure.lines():
                note(safe(line))


def _posted(original: Any) -> list[tuple[str, Any]]:
    """The fields of the post, or its text where it could not be read."""
    if set(original) != {"base64"}:
        return [(name, value) for name, value in original.items() if value is not None]
    try:
        content = base64.b64decode(original["base64"])
    except (TypeError, ValueError):
        return list(original.items())
    return [("Posted", content[:_POSTED_BYTES_SHOWN].decode("utf-8", "replace"))]


def _correction(reason: str, item: Any) -> dict[str, Any]:
    """The body of a replay that corrects what the reason is about. Raises Failure."""
    original = item.get("original") or {}
    if reason in SETTINGS:
        raise Failure(
            "No correction of the leg helps: a setting is wrong.",
            "Correct the setting that the reason names, then choose r.",
        )
    if reason == "conflict":
        note("Charge as (the id of the other call): ", end="")
        return {"charge_as": _typed()}
    if reason == "unreadable":
        note("File with the whole leg as JSON: ", end="")
        return {"leg": _whole(Path(_typed()))}
    if reason == "incomplete":
        missing = str(item.get("detail")).removeprefix("Missing: ").rstrip(".").split(", ")
        names = ["conference_id" if name == "conference" else name for name in missing]
        stated = {name: _changed(name, original) for name in names}
        return {"leg": {name: value for name, value in stated.items() if value != ""}}
    usual = FIELD.get(reason, "to")
    note(f"Field [{usual}]: ", end="")
    name = _typed() or usual
    return {"leg": {name: _changed(name, original)}}


def _changed(name: str, original: Any) -> Any:
    note(f"{safe(name)}, now {safe(original.get(name))}: ", end="")
    return _value(name, _typed())


def _typed() -> str:
    line = sys.stdin.readline()
    if not line:
        raise click.exceptions.Exit(0)
    return line.strip()

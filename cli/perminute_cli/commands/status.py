"""`perminute status`: present problems."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command
from perminute_cli.failures import Failure, Problem
from perminute_cli.terminal import counted, duration, local_time, one_line, safe, width

ACCOUNTS_MAX = 20
NAMES_MAX = 3
ALERTS_MAX = 100
"""Alerts of an account that are read, the newest."""

_COMMANDS = {"parked_legs_wait": "perminute parked"}


def register(root: click.Group) -> None:
    """Add the command."""

    @command(root, "status", examples="perminute status\nperminute status --json")
    def status(app: App) -> None:
        """Ten lines with a mark `!` at each problem; exit status 1 unless the server is `ok`."""
        found: Any = app.fetch(api.get_status())
        if app.is_json:
            app.json(found)
        else:
            lines = _lines(found, _alerts(app))
            edge = max(len(name) for name, _, _ in lines) + 2
            available = width()
            app.text(
                "\n".join(
                    one_line(f"{'!' if wrong else ' '} {name.ljust(edge)}{text}", available)
                    for name, text, wrong in lines
                )
            )
        if found["status"] != "ok":
            why = _because(found.get("reasons") or []) or ": see the lines marked with !"
            raise Failure(f"The server is {found['status']}{why}", _to_do(found))


def _alerts(app: App) -> tuple[str, bool]:
    """(the open alerts of the first accounts, whether there are some); `unknown` for a role that
    may not read accounts."""
    try:
        accounts = [each["id"] for each in app.search(api.list_accounts(), ACCOUNTS_MAX + 1)]
        found: dict[str, list[str]] = {}
        for account in accounts[:ACCOUNTS_MAX]:
            alerts = app.search(api.list_alerts(account), ALERTS_MAX)
            kinds = [str(each.get("type")) for each in alerts if each.get("status") == "open"]
            if kinds:
                found[account] = kinds
    except Problem:
        return "unknown", False
    count = sum(map(len, found.values()))
    more = f" (of the first {ACCOUNTS_MAX} accounts)" if len(accounts) > ACCOUNTS_MAX else ""
    texts = [f"{account} {', '.join(dict.fromkeys(kinds))}" for account, kinds in found.items()]
    return f"{count:,} open{more}{safe(': ' + _some(texts, '; ')) if texts else ''}", count > 0


def _lines(found: Any, alerts: tuple[str, bool]) -> list[tuple[str, str, bool]]:
    """(name, text, whether a problem), ten of them."""
    queue, inbox, outbox = found["queue"], found["inbox"], found["outbox"]
    parked, late = found["parked"], [each for each in found["timers"] if each["late"]]
    letters, failing = queue.get("dead_letters") or 0, found["webhooks"].get("failing") or 0
    known = found["bridges"]
    new = [each["bridge"] for each in known if not each.get("last_leg_at") and _is_quiet(each)]
    quiet = [each["bridge"] for each in known if each["bridge"] not in new and _is_quiet(each)]
    bridges = "; ".join(
        [
            counted(len(known), "bridge"),
            *([f"no leg yet: {_some(new)}"] if new else []),
            *([f"no leg for 24 h: {_some(quiet)}"] if quiet else []),
        ]
    )
    is_ok = found["status"] == "ok"
    return [
        ("Status", f"{found['status']}{_because(found.get('reasons') or [])}", not is_ok),
        (
            "Queue",
            f"{_waiting(queue)}; {counted(letters, 'dead letter')}",
            bool(queue.get("oldest_seconds")) or letters > 0,
        ),
        ("Inbox", _waiting(inbox), bool(inbox.get("messages"))),
        ("Outbox", _age(outbox), bool(outbox.get("oldest_seconds"))),
        (
            "Parked",
            counted(parked["open"], "leg") + _counts(parked["by_reason"]),
            parked["open"] > 0,
        ),
        ("Alerts", *alerts),
        (
            "Timers",
            f"late: {', '.join(each['name'] for each in late)}" if late else "on time",
            bool(late),
        ),
        ("Webhooks", f"{failing:,} failing", failing > 0),
        ("Bridges", safe(bridges), False),
        (
            "Last charge",
            f"{local_time(found['last_charge_at']) or 'none'}, version {safe(found['version'])}",
            False,
        ),
    ]


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    """The first texts of a list, and the number of the others."""
    others = len(texts) - NAMES_MAX
    more = f" and {others:,} more" if others > 0 else ""
    return separator.join(texts[:NAMES_MAX]) + more


def _is_quiet(bridge: Mapping[str, Any]) -> bool:
    return not bridge.get("legs_24h") and not bridge.get("parked_24h")


def _to_do(found: Any) -> str:
    """The command of the first cause that has one."""
    codes = [each.get("code") for each in found.get("reasons") or []]
    commands = [f"Run `{_COMMANDS[code]}`. " for code in codes if code in _COMMANDS]
    return f"{commands[0] if commands else ''}See docs/operations.md."


def _because(reasons: list[Any]) -> str:
    texts = [str(each.get("detail") or each.get("code")) for each in reasons]
    return safe(f": {' '.join(texts)}") if texts else ""


def _waiting(queue: Mapping[str, Any]) -> str:
    messages = queue.get("messages")
    return ("unknown" if messages is None else counted(messages, "leg")) + _since(queue)


def _age(outbox: Mapping[str, Any]) -> str:
    return f"events wait{_since(outbox)}" if outbox.get("oldest_seconds") else "no event waits"


def _since(waiting: Mapping[str, Any]) -> str:
    seconds = waiting.get("oldest_seconds")
    return f", the oldest for {duration(int(seconds))}" if seconds else ""


def _counts(by_reason: Mapping[str, Any]) -> str:
    texts = [f"{count:,} {safe(name)}" for name, count in by_reason.items()]
    return f": {', '.join(texts)}" if texts else ""

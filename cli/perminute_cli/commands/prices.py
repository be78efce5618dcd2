"""`perminute quote`, and `perminute cards`: what a call costs, and rate cards."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, group, without_mark
from perminute_cli.calls import Call
from perminute_cli.commands.legs import show_charge
from perminute_cli.failures import USAGE, Failure
from perminute_cli.terminal import (
    Column,
    counted,
    day_start,
    money_column,
    safe,
    text_column,
    time_column,
)

CARDS = (text_column("Rate card", "id", 1),)
VERSIONS = (
    text_column("Rate card", "card", 1),
    Column("Version", "effective_from", 1),
    Column("Currency", "currency", 2),
    Column("Time zone", "time_zone", 4),
    money_column("Rates", "rate_count", 2),
    time_column("Written", "written_at", 3),
)
FINDINGS = (
    Column("Severity", "severity", 1),
    Column("Code", "code", 2),
    money_column("Count", "count", 2),
    text_column("Finding", "detail", 1),
    text_column("Examples", "examples", 3),
)
EFFECT = (
    text_column("Destination", "destination", 1),
    money_column("Legs", "legs", 2),
    money_column("Before", "before", 1),
    money_column("After", "after", 1),
    money_column("Difference", "difference", 1),
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _in_money(callback: Callable[..., None]) -> Callable[..., None]:
    """The options by which a version is compared in money."""
    account = click.option(
        "--account", metavar="A", help="Also compare the cost of this account's legs."
    )
    month = click.option(
        "--month", metavar="YYYY-MM", help="The month of the legs; by default last month."
    )
    return account(month(callback))


def _instant(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """A date is its midnight in UTC; the server checks everything else."""
    return day_start(text, "UTC")


_FROM = click.option(
    "--from",
    "effective_from",
    required=True,
    metavar="TIME",
    callback=_instant,
    help="The time at which the version takes effect; a date is midnight UTC.",
)


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "quote",
        account=True,
        examples="""perminute quote +442079460123 --minutes 10 --account contoso
        perminute quote +33199001234 --kind dial_in --card default --seconds 90""",
    )
    @click.argument("number")
    @click.option(
        "--kind",
        type=click.Choice(["dial_out", "dial_in"]),
        default="dial_out",
        help="The kind of the call; by default dial_out.",
    )
    @click.option(
        "--minutes", type=click.IntRange(0, 1440), help="The talk time; by default 1 minute."
    )
    @click.option("--seconds", type=click.IntRange(0, 86_400), help="The talk time.")
    @click.option("--card", help="The rate card; by default the account's.")
    @click.option("--from", "from_number", metavar="NUMBER", help="The caller's number.")
    @click.option("--organizer", help="The organizer, whose license the quote applies.")
    @click.option("--at", metavar="TIME", help="The time of the prices; by default now.")
    def quote(
        app: App,
        number: str,
        kind: str,
        minutes: int | None,
        seconds: int | None,
        card: str | None,
        **more: str | None,
    ) -> None:
        """The cost of a call, line by line."""
        talk = seconds if seconds is not None else (1 if minutes is None else minutes) * 60
        stated = {
            "from": more["from_number"],
            "organizer_id": more["organizer"],
            "at": more["at"],
            **({"rate_card": card} if card else {"account": app.account}),
        }
        body: Any = {"kind": kind, "to": number, "talk_seconds": talk}
        body |= {name: value for name, value in stated.items() if value is not None}
        found: Any = app.fetch(api.post_quote(body))
        if app.is_json:
            app.json(found)
            return
        show_charge(app, {**found, "status": None, "answered_at": None, "ended_at": None})

    cards = group(root, "cards", "Rate cards: versions, prices, import, lint, differences.")
    _reads(cards)
    _writes(cards)


def _reads(cards: click.Group) -> None:
    @command(
        cards, "list", csv=True, rows=True, examples="perminute cards\nperminute cards list default"
    )
    @click.argument("card", required=False)
    def list_cards(app: App, card: str | None) -> None:
        """All rate cards, or the versions of one."""
        if card is None:
            app.show_list(api.list_rate_cards(), CARDS, "There is no rate card.")
            return
        if app.is_csv:
            raise click.UsageError("The versions of a card have no CSV; use --json.")
        found: Any = app.fetch(api.get_rate_card(card))
        if app.is_json:
            app.json(found)
            return
        app.table(found["versions"], VERSIONS, f"{card} has no version.")

    @command(
        cards,
        "lint",
        examples="perminute cards lint default\nperminute cards lint default --version 2026-01-01",
    )
    @click.argument("card")
    @click.option("--version", metavar="TIME", help="The version; by default the newest.")
    def lint(app: App, card: str, version: str | None) -> None:
        """Findings on a version of a rate card."""
        found: Any = app.fetch(api.lint_rate_card_version(card, _version(app, card, version)))
        if app.is_json:
            app.json(found)
            return
        _findings(app, found["findings"])

    _diff(cards)
    _prices(cards)


def _diff(cards: click.Group) -> None:
    @command(
        cards,
        "diff",
        csv=True,
        rows=True,
        examples="""perminute cards diff default --from 2026-01-01 --to 2026-12-01
        perminute cards diff default --to-card carrier --account contoso --month 2026-10""",
    )
    @click.argument("card")
    @click.option(
        "--from", "before", metavar="TIME", help="The version before; by default the last but one."
    )
    @click.option("--to", "after", metavar="TIME", help="The version after; by default the newest.")
    @click.option("--to-card", help="The card of the version after; by default the same card.")
    @click.option(
        "--account", metavar="A", help="Compare the cost of this account's legs of --month."
    )
    @click.option(
        "--month", metavar="YYYY-MM", help="The month of the legs; by default last month."
    )
    def diff(
        app: App, card: str, before: str | None, after: str | None, to_card: str | None, **more: Any
    ) -> None:
        """The differences of two versions of rate cards."""
        versions = _versions(app, card)
        others = _versions(app, to_card) if to_card else versions
        if not before:
            before = versions[-1] if to_card or len(versions) < 2 else versions[-2]
        call = api.diff_rate_card(
            card,
            from_=_full_time(before, versions),
            to=_full_time(after, others) if after else others[-1],
            to_card=to_card,
            **more,
        )
        if app.is_csv:
            app.csv(call)
            return
        found: Any = app.fetch(call)
        if app.is_json:
            app.json(found)
            return
        counts = ", ".join(f"{count} {safe(name)}" for name, count in found["counts"].items())
        app.say(f"{found['from']['version']} → {found['to']['version']}: {counts}")
        if "effect" in found:
            _effect(app, found["effect"])
        rows = [_change(each) for each in found["items"]]
        columns = (
            Column("Change", "change", 2),
            Column("Prefix", "prefix", 1),
            text_column("Destination", "destination", 2),
            money_column("Before", "before", 1),
            money_column("After", "after", 1),
            money_column("%", "percent", 3),
        )
        app.table(rows, columns, "No price differs.")
        app.more(len(rows), "next" in found)


def _prices(cards: click.Group) -> None:
    @command(
        cards,
        "prices",
        csv=True,
        examples="perminute cards prices default\nperminute cards prices default --region FR",
    )
    @click.argument("card")
    @click.option("--at", metavar="TIME", help="The time of the prices; by default now.")
    @click.option("--region", metavar="FR", help="Only this region.")
    def prices(app: App, card: str, at: str | None, region: str | None) -> None:
        """The price list of a rate card: a minute to each region, by class of number."""
        call = api.get_price_list(card, at=at)
        if app.is_csv:
            app.csv(call)
            return
        found: Any = app.fetch(call)
        if app.is_json:
            app.json(found)
            return
        rows = [
            {**each, **{name: _price(price) for name, price in (each.get("prices") or {}).items()}}
            for each in found["countries"]
            if region is None or each["region"] == region.upper()
        ]
        columns = [
            Column("Region", "region", 1),
            text_column("Name", "name", 2),
            Column("Code", "calling_code", 4),
            money_column(f"Landline {found['currency']}", "fixed_line", 1),
            money_column("Mobile", "mobile", 1),
            money_column("Toll-free", "toll_free", 3),
            money_column("Premium", "premium_rate", 4),
        ]
        app.table(rows, columns, "The card has no price there.")


def _writes(cards: click.Group) -> None:
    @command(
        cards,
        "put",
        writes=True,
        examples="perminute cards put default prices.csv --from 2026-12-01T00:00:00Z",
    )
    @click.argument("card")
    @click.argument("file", type=_FILE)
    @_FROM
    @click.option("--backdate", is_flag=True, help="Allow a time in the past.")
    @click.option("--dry-run", is_flag=True, help="Check only; store nothing.")
    @_in_money
    def put(
        app: App,
        card: str,
        file: Path,
        effective_from: str,
        backdate: bool,
        dry_run: bool,
        **legs: Any,
    ) -> None:
        """Put a whole version of a rate card, from JSON or CSV; it is checked first."""
        content = without_mark(file.read_bytes())
        kind = "application/json" if content.lstrip()[:1] == b"{" else "text/csv"
        options: Any = {"backdate": backdate or None, "content_type": kind}
        body: Any = content
        check = api.put_rate_card_version(
            card, effective_from, body, dry_run=True, lint=True, **legs, **options
        )
        call = api.put_rate_card_version(card, effective_from, body, **options)
        _publish(app, (card, effective_from), (check, call), content, "Put", dry_run=dry_run)

    @command(
        cards,
        "import",
        writes=True,
        examples="""perminute cards import carrier deck.csv --mapping mapping.json --from 2027-01-01
        perminute cards import carrier deck.csv --column prefix=Code --column price=Rate \\
        --currency USD --from 2027-01-01 --dry-run""",
    )
    @click.argument("card")
    @click.argument("deck", type=_FILE)
    @_FROM
    @click.option("--mapping", type=_FILE, help="The JSON file that maps the deck's columns.")
    @click.option("--column", "columns", multiple=True, metavar="NAME=COLUMN", help="One column.")
    @click.option("--currency", help="The currency of the deck, without --mapping.")
    @click.option(
        "--decimals",
        type=click.IntRange(0, 6),
        default=4,
        help="The decimals of a charge, rounded half up.",
    )
    @click.option("--names", type=_FILE, help="The CSV file with names of destinations by prefix.")
    @click.option("--backdate", is_flag=True, help="Allow a time in the past.")
    @click.option("--dry-run", is_flag=True, help="Check only; store nothing.")
    @_in_money
    def import_deck(app: App, card: str, deck: Path, effective_from: str, **more: Any) -> None:
        """Import a carrier's deck as a version of a rate card; it is checked first."""
        parts = {
            "mapping": ("application/json", _mapping(more)),
            "deck": ("text/csv", deck.read_bytes()),
        }
        if more["names"]:
            parts["names"] = ("text/csv", more["names"].read_bytes())
        body, kind = form(parts)
        options: Any = {
            "effective_from": effective_from,
            "backdate": more["backdate"] or None,
            "content_type": kind,
        }
        check = api.import_rate_card_version(
            card, body, dry_run=True, account=more["account"], month=more["month"], **options
        )
        call = api.import_rate_card_version(card, body, **options)
        named = (card, effective_from)
        _publish(app, named, (check, call), parts, "Import", dry_run=more["dry_run"])


def _publish(
    app: App,
    named: tuple[str, str],
    calls: tuple[Call[Any], Call[Any]],
    content: object,
    doing: str,
    *,
    dry_run: bool,
) -> None:
    """Check a version, and store it after a yes. `named`: card and time of the version. `calls`:
    the dry run and the storing. `content` identifies the file, for a command that is repeated."""
    (card, effective_from), (check, call) = named, calls
    found = api.get_rate_card(card)
    with app.once(call, (effective_from, content)) as pending:
        checked = _of(app.make(pending, check, found, "Checking"), effective_from)
        _checked(app, checked)
        if not dry_run:
            rates = counted(checked["rate_count"], "rate")
            app.confirm(f"{doing} {rates} as {card} from {effective_from} on.")
            checked = _of(app.make(pending, call, found), effective_from)
    _stored(app, checked, dry_run=dry_run)


def _of(answer: Any, effective_from: str) -> Any:
    """The version in an answer about the whole card; other answers as they are."""
    versions = answer.get("versions", [answer])
    return next((each for each in versions if each["effective_from"] == effective_from), answer)


def form(parts: dict[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    """(multipart/form-data of the parts, its content type)."""
    edge = secrets.token_hex(16)
    lines: list[bytes] = []
    for name, (kind, content) in parts.items():
        head = f'--{edge}\r\ncontent-disposition: form-data; name="{name}"; filename="{name}"\r\n'
        lines.append(f"{head}content-type: {kind}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join([*lines, f"--{edge}--\r\n".encode()]), f"multipart/form-data; boundary={edge}"


def _mapping(stated: Any) -> bytes:
    if stated["mapping"]:
        return without_mark(stated["mapping"].read_bytes())
    if not stated["columns"] or not stated["currency"]:
        raise Failure(
            "The columns of the deck are not named.",
            "Give --mapping FILE, or --currency and --column prefix=… --column price=….",
            USAGE,
        )
    columns: dict[str, Any] = {}
    for each in stated["columns"]:
        name, _, column = each.partition("=")
        columns[name] = [column] if name == "destination" else column
    rounding = {"mode": "half_up", "decimals": stated["decimals"]}
    mapping = {"currency": stated["currency"], "rounding": rounding, "columns": columns}
    return json.dumps(mapping).encode()


def _stored(app: App, made: Any, *, dry_run: bool) -> None:
    if app.is_json:
        app.json(made)
        return
    done = "Nothing was stored (--dry-run)." if dry_run else "Stored."
    rates = counted(made["rate_count"], "rate")
    app.say(f"{done} {rates}, {made['currency']}, from {made['effective_from']} on.")


def _checked(app: App, checked: Any) -> None:
    """The report of a dry run; --json prints the answer alone."""
    if app.is_json:
        return
    counts = checked.get("deck", {})
    if counts:
        app.fields([(name.replace("_", " ").capitalize(), _count(counts[name])) for name in counts])
    _findings(app, checked.get("findings", []))
    if "effect" in checked:
        _effect(app, checked["effect"])


def _effect(app: App, effect: Any) -> None:
    """The cost of an account's legs of a month under both versions, by destination."""
    if effect is None:
        app.say("No comparison of cost: the account has no present version in the same currency.")
        return
    whose = f"legs of {effect['account']} in {effect['month']}, in {effect['currency']}"
    app.say(f"In money, {whose}{'' if effect['complete'] else ' (not all of them)'}:")
    total = {**effect, "destination": "Total"}
    app.table(effect["destinations"], EFFECT, "No leg was charged in that month.", total)
    for name, when in (("no_rate_before", "before"), ("no_rate_after", "after")):
        if effect[name]:
            app.say(f"Without a rate {when}: {counted(effect[name], 'leg')}.")


def _findings(app: App, findings: list[Any]) -> None:
    rows = [{**each, "examples": ", ".join(each.get("examples", [])[:3])} for each in findings]
    app.table(rows, FINDINGS, "Lint finds nothing.")


def _versions(app: App, card: str) -> list[str]:
    found: Any = app.fetch(api.get_rate_card(card))
    versions = [str(each["effective_from"]) for each in found["versions"]]
    if not versions:
        raise Failure(f"The rate card {card} has no version.", "Put one: `perminute cards put`.")
    return sorted(versions)


def _version(app: App, card: str, stated: str | None) -> str:
    versions = _versions(app, card)
    return _full_time(stated, versions) if stated else versions[-1]


def _full_time(stated: str, versions: list[str]) -> str:
    """The version that a beginning of its time names, such as its date."""
    found = [each for each in versions if each.startswith(stated)]
    return found[0] if len(found) == 1 else stated


def _change(item: Any) -> dict[str, Any]:
    before, after = item.get("before") or {}, item.get("after") or {}
    known = after or before
    return {
        "change": item.get("change"),
        "prefix": known.get("prefix"),
        "destination": known.get("destination"),
        "before": _first_price(before),
        "after": _first_price(after),
        "percent": item.get("percent"),
    }


def _first_price(rate: Any) -> str | None:
    slots = rate.get("slots") or []
    return str(slots[0]["price"]) if slots else None


def _price(price: Any) -> str:
    """The price of a minute to a class of numbers; empty where the card has none."""
    return "" if price is None else str(price["price_per_minute"])


def _count(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

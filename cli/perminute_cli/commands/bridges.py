"""`perminute bridges`: conferencing systems, and what they post, tried without them."""

import base64
import getpass
import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, group, note, without_mark
from perminute_cli.commands.legs import show_charge
from perminute_cli.connection import write_private
from perminute_cli.failures import USAGE, Failure, Problem
from perminute_cli.samples import DIALECTS, sample
from perminute_cli.signatures import FORM, USUAL, sign
from perminute_cli.terminal import Column, is_terminal, safe, text_column

BRIDGES = (
    text_column("Bridge", "id", 1),
    Column("Dialect", "dialect", 1),
    Column("Scheme", "scheme", 2),
    text_column("Accounts", "accounts", 2),
    text_column("Default account", "default_account", 3),
    Column("Country", "country", 4),
    Column("State", "state", 2),
)
STEPS = (text_column("Step", "step", 1), text_column("Result", "detail", 1))
_SETTINGS = (
    *("dialect", "accounts", "default_account", "country", "on_outage", "assumed_seconds"),
    *("disabled", "public_url", "wait_seconds", "outbound_contexts", "service_number"),
    "meetings_from",
)
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


def register(root: click.Group) -> None:
    """Add the group."""
    bridges = group(root, "bridges", "Bridges: register them, and try what they post.", "list")

    @command(
        bridges,
        "list",
        csv=True,
        rows=True,
        examples="perminute bridges\nperminute bridges list --prefix fs",
    )
    @click.option("--prefix", help="Only bridges with names that begin with this text.")
    def list_bridges(app: App, prefix: str | None) -> None:
        """All bridges, without their secrets."""
        call = api.list_bridges(prefix=prefix)
        if app.is_csv or app.is_json:
            app.show_list(call, BRIDGES, "")
            return
        rows, more = app.rows(call)
        shown = [
            {
                **each,
                "scheme": each["auth"]["scheme"],
                "accounts": ", ".join(each["accounts"]),
                "state": "disabled" if each["disabled"] else "",
            }
            for each in rows
        ]
        app.table(shown, BRIDGES, "No bridge is registered.")
        app.more(len(rows), more)

    @command(bridges, "show", examples="perminute bridges show studio")
    @click.argument("bridge")
    def show(app: App, bridge: str) -> None:
        """A bridge and its settings, without its secrets."""
        found: Any = app.fetch(api.get_bridge(bridge))
        if app.is_json:
            app.json(found)
            return
        auth = found["auth"]
        app.fields(
            [
                ("Bridge", found["id"]),
                ("Scheme", auth["scheme"]),
                ("Username", auth.get("username")),
                *((_title(name), _words(found.get(name))) for name in _SETTINGS),
            ]
        )

    _create(bridges)
    _try_post(bridges)


def _create(bridges: click.Group) -> None:
    @command(
        bridges,
        "create",
        writes=True,
        examples="""perminute bridges create studio --dialect perminute --account contoso
        perminute bridges create tw1 --dialect twilio --account contoso --secret-file token.txt""",
    )
    @click.argument("bridge")
    @click.option("--dialect", type=click.Choice(DIALECTS), required=True, help="Of its posts.")
    @click.option(
        "--account",
        "accounts",
        multiple=True,
        required=True,
        help="The accounts of the bridge; * for all.",
    )
    @click.option(
        "--default-account",
        help="The account of a leg that names none; by default a single --account.",
    )
    @click.option(
        "--scheme", help="The scheme of authentication; by default the dialect's usual one."
    )
    @click.option(
        "--username", help="The user name of the scheme basic, or the API key of LiveKit."
    )
    @click.option("--country", metavar="FR", help="The country of the bridge.")
    @click.option("--public-url", metavar="URL", help="The URL that the vendor calls.")
    @click.option("--service-number", metavar="NUMBER", help="The number that callers dial (zoom).")
    @click.option(
        "--secret-file", type=_FILE, help="The file with the vendor's secret; - for standard input."
    )
    @click.option(
        "--save-secret",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The file for a generated secret.",
    )
    def create(app: App, bridge: str, dialect: str, accounts: tuple[str, ...], **more: Any) -> None:
        """Register a bridge. A generated secret is shown once."""
        scheme = more["scheme"] or USUAL[dialect]
        auth: dict[str, Any] = {"scheme": scheme}
        if scheme in {"basic", "livekit"}:
            auth["username"] = more["username"] or bridge
        secret = _secret_of(more["secret_file"])
        if secret is None and scheme != "standard-webhooks":
            secret = _typed_secret(f"The secret of {bridge} ({scheme}), empty to make one: ")
        only = accounts[0] if len(accounts) == 1 and accounts[0] != "*" else None
        stated = {
            "default_account": more["default_account"] or only,
            "country": more["country"],
            "public_url": more["public_url"],
            "service_number": more["service_number"],
        }
        body: Any = {"dialect": dialect, "auth": auth, "accounts": list(accounts)}
        body |= {name: value for name, value in stated.items() if value is not None}
        app.confirm(
            f"Register the bridge {bridge}: dialect {dialect}, {scheme}, for {', '.join(accounts)}."
        )
        call = api.put_bridge(bridge, body)
        with app.once(call, repr(body)) as pending:
            auth["secrets"] = [secret or _made_secret(scheme, pending.key)]
            made: Any = app.make(pending, call, api.get_bridge(bridge))
        shown: str = "" if more["secret_file"] else auth["secrets"][0]
        is_kept = bool(shown and more["save_secret"]) and _kept(more["save_secret"], shown)
        if app.is_json:
            once = {} if is_kept or not shown else {"secrets": [shown]}
            app.json({**made, "auth": {**made["auth"], **once}})
            return
        app.say(f"The bridge {bridge} is registered. It posts to:")
        app.text(f"  {app.connection.base_url}/api/v1/bridges/{bridge}/call-ended")
        if is_kept:
            app.say(f"Its secret is in {more['save_secret']} (mode 0600).")
        elif shown:
            app.say("Its secret, which is shown once:")
            app.text(f"  {shown}")


def _made_secret(scheme: str, key: str) -> str:
    """A secret that a repeated command makes again: its answer may be lost, and is the only one
    that shows the secret."""
    digest = hashlib.sha256(f"secret of a bridge {key}".encode()).digest()
    if scheme == "standard-webhooks":
        return f"whsec_{base64.b64encode(digest).decode()}"
    return base64.urlsafe_b64encode(digest[:24]).decode()


def _kept(path: Path, secret: str) -> bool:
    """Write the secret; where that fails it is shown, since the bridge has it already."""
    try:
        write_private(path, f"{secret}\n")
    except OSError as error:
        note(f"{safe(path)} can't be written ({error.strerror}).")
        return False
    return True


def _try_post(bridges: click.Group) -> None:
    @command(
        bridges,
        "try",
        examples="""perminute bridges try twilio --account contoso
        perminute bridges try freeswitch record.json --bridge fs1
        perminute bridges try zoom --show > events.json""",
    )
    @click.argument("dialect", type=click.Choice(DIALECTS))
    @click.argument("file", type=_FILE, required=False)
    @click.option("--bridge", help="The bridge that posts; by default the only one of the dialect.")
    @click.option("--account", metavar="A", help="The account of the leg if the record names none.")
    @click.option("--organizer", default="ken@contoso.example", help="The organizer in the sample.")
    @click.option("--conference", default="3001", help="The conference in the sample.")
    @click.option(
        "--to", default="+442079460123", metavar="NUMBER", help="The called number in the sample."
    )
    @click.option(
        "--secret-file",
        type=_FILE,
        help="The file with the bridge's secret; by default PERMINUTE_BRIDGE_SECRET.",
    )
    @click.option("--show", is_flag=True, help="Print the sample; post nothing.")
    def try_post(app: App, dialect: str, file: Path | None, **more: Any) -> None:
        """Post what a bridge would post, with its vendor's signature, and show what became of it.

        Without FILE a sample with invented values. Nothing is kept and nothing is charged. Exit
        status 1: it can't be read, its signature is wrong, or its leg would be parked.
        """
        account = more["account"] or os.environ.get("PERMINUTE_ACCOUNT")
        if more["show"]:
            app.text(_sample(dialect, account or "contoso", more).decode())
            return
        account = account or app.account_or_none
        bridge: Any = _bridge(app, dialect, more["bridge"], account)
        content = _sample(dialect, account or "contoso", more) if file is None else _read(file)
        found, is_signed = _try(app, dialect, bridge, content, account, more)
        if app.is_json:
            app.json(found)
        else:
            _show(app, bridge["id"], found, is_signed=is_signed)
        _judge(found)


def _try(
    app: App, dialect: str, bridge: Any, content: bytes, account: str | None, more: Any
) -> tuple[Any, bool]:
    is_own = bridge["dialect"] == dialect
    kind = _kind(content)
    headers = {}
    secret = _bridge_secret(app, bridge["id"], more["secret_file"])
    if secret is not None:
        scheme = bridge["auth"]["scheme"] if is_own else USUAL[dialect]
        username = bridge["auth"].get("username") or bridge["id"]
        url = bridge.get("public_url") or (
            f"{app.connection.base_url}/api/v1/bridges/{bridge['id']}/call-ended"
        )
        try:
            signed = sign(scheme, secret, username, url, content, kind)
        except ValueError as error:
            raise Failure(f"The secret can't sign: {error}.", "Check the secret.", USAGE) from None
        headers = {**signed.headers, "x-bridge-url": signed.url}
        if "Authorization" in headers:
            headers["x-bridge-authorization"] = headers.pop("Authorization")
    call = api.try_bridge_post(
        bridge["id"],
        content,
        dialect=None if is_own else dialect,
        default_account=account if account and not bridge.get("default_account") else None,
        content_type=kind,
    )
    return app.fetch(call.with_headers(headers)), secret is not None


def _show(app: App, bridge: str, found: Any, *, is_signed: bool) -> None:
    app.say(f"As bridge {bridge}: {found['outcome']}.")
    if not is_signed:
        note("No signature was sent: add --secret-file, or set PERMINUTE_BRIDGE_SECRET.")
    app.table(found["steps"], STEPS, "")
    if found.get("missing"):
        app.say(f"It waits for: {', '.join(found['missing'])}")
    if found.get("charge"):
        app.text("")
        show_charge(app, {**(found.get("leg") or {}), **found["charge"]})
    elif found.get("leg"):
        app.text("")
        app.fields(
            [
                ("Account", found.get("account")),
                *((name, _words(value)) for name, value in found["leg"].items()),
            ]
        )
    for other in found.get("others", []):
        app.text("")
        _show(app, bridge, other, is_signed=True)


def _judge(found: Any) -> None:
    """Raises Failure where the bridge could not be connected like this."""
    for step in found["steps"]:
        if step["step"] == "authenticated" and "Refused" in step["detail"]:
            raise Failure(step["detail"], "Check secret, scheme and public URL of the bridge.")
    if found["outcome"] == "unreadable":
        raise Failure(
            "The post can't be read.",
            "Compare the post with the sample of `perminute bridges try … --show`.",
        )
    if found.get("would_park"):
        raise Failure(
            f"The leg would be parked: {found['would_park']}.",
            found.get("what_to_do") or "See the steps; docs/errors.md has each remedy.",
        )


def _bridge(app: App, dialect: str, name: str | None, account: str | None) -> Any:
    if name is None:
        known: list[Any] = [
            each
            for each in app.search(api.list_bridges())
            if account is None or {"*", account} & {*each["accounts"]}
        ]
        own = [each for each in known if each["dialect"] == dialect]
        named = [each for each in known if each["id"] == app.connection.bridge]
        for found in (own, named, known):
            if len(found) == 1:
                return found[0]
        raise Failure(
            f"No bridge is named, and not exactly one speaks {dialect} for the account.",
            "Add --bridge; `perminute bridges` lists them.",
            USAGE,
        )
    try:
        return app.fetch(api.get_bridge(name))
    except Problem as problem:
        if problem.code == "bridge_unknown":
            problem.to_do = f"Register it: `perminute bridges create {name} --dialect {dialect}`."
        raise


def _sample(dialect: str, account: str, more: Any) -> bytes:
    return sample(
        dialect,
        account=account,
        organizer=more["organizer"],
        conference=more["conference"],
        to=more["to"],
        from_="+33199001234",
        id=f"sample-{secrets.token_hex(6)}",
        authorization=f"au_{'sample' * 4}.{account}",
    )


def _read(file: Path) -> bytes:
    return without_mark(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())


def _kind(content: bytes) -> str:
    """The content type that a vendor would send with it."""
    start = content.lstrip()[:1]
    if start in {b"{", b"["}:
        return "application/json"
    line = content.partition(b"\n")[0]
    return FORM if b"=" in line and b" " not in line and b"," not in line else "text/plain"


def _secret_of(file: Path | None) -> str | None:
    if file is None:
        return None
    return _read(file).decode("utf-8", "replace").strip()


def _bridge_secret(app: App, bridge: str, file: Path | None) -> str | None:
    stated = _secret_of(file) or os.environ.get("PERMINUTE_BRIDGE_SECRET")
    if stated:
        return stated
    return app.connection.bridge_secret if app.connection.bridge == bridge else None


def _typed_secret(prompt: str) -> str | None:
    if is_terminal(sys.stdin) and is_terminal(sys.stderr):
        return getpass.getpass(prompt).strip()
    return None


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(safe, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else safe(value)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()

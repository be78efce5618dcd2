"""Facts of every command: its options, its confirmation, its progress, its repetition after a lost
answer."""

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from perminute_cli import app as cli
from perminute_cli import client, terminal
from perminute_cli.commands import parked
from perminute_cli.connection import config_file
from perminute_cli.main import root
from tests.cli.fakes import KEY, URL, Recorded, Terminal, operation_of, product_transport
from tests.cli.reference import commands
from tests.support.charging_app import LONDON, TOKYO, ChargingApp
from tests.support.product import ADMIN_KEY

LOCAL = {"login", "logout", "completion"}
"""Commands about this machine: they have no --json."""
FILES = {"receipt", "export"}
"""Commands whose answer is a file: --output states it."""
OF_ALL = {"status", "accounts list", "accounts create", "accounts set", "cards list", "cards lint",
          "cards prices", "cards put", "bridges list", "bridges show", "parked fix"}  # fmt: skip
"""Commands that concern no account, all accounts, or the account that their argument names."""
ONE_MONTH = {"statement", "export", "cards diff", "cards put", "cards import"}
"""Commands of whole months: they have --month alone."""
SPANS = {"usage", "legs list", "denials", "audit-log", "reconcile"}
CSV = {"accounts list", "calls", "usage", "legs list", "statement", "parked list", "parked walk",
       "denials", "cards list", "cards diff", "cards prices", "bridges list", "alerts", "audit-log",
       "reconcile"}  # fmt: skip
CHANGES = {"accounts create", "accounts set", "top-up", "adjust", "legs reverse", "parked fix",
           "parked replay", "parked dismiss", "stop", "restart", "cards put", "cards import",
           "bridges create", "alerts"}  # fmt: skip
KEYS = {"top-up", "adjust"}


def tree() -> dict[str, set[str]]:
    """The options of each command."""
    return {
        name.removeprefix("perminute "): {option for each in command.params for option in each.opts}
        for name, command in commands(root)
    }


def test_options_of_a_name_are_on_every_command_that_they_concern() -> None:
    for name, options in tree().items():
        expected = {
            "--json": name not in LOCAL | {"export"},
            "--csv": name in CSV,
            "--output": name not in LOCAL,
            "--account": name not in LOCAL | OF_ALL or name == "cards put",
            "--month": name in SPANS | ONE_MONTH,
            "--since": name in SPANS,
            "--until": name in SPANS,
            "--yes": name in CHANGES,
            "--idempotency-key": name in KEYS,
            "--url": name not in {"completion", "logout"},
            "--key": name not in {"completion", "logout"},
            "--interim": name in FILES,
        }
        for option, is_expected in expected.items():
            assert (option in options) == is_expected, f"{name}: {option}"


def test_an_option_of_a_name_takes_the_same_everywhere() -> None:
    known: dict[str, tuple[object, str]] = {}
    for name, command in commands(root):
        for each in command.params:
            assert isinstance(each, click.Argument) or each.help, (name, each.opts)  # type: ignore[attr-defined]
            for option in each.opts:
                if not isinstance(each, click.Option) or option not in {
                    *("--json", "--csv", "--yes", "--url", "--key", "--since", "--until"),
                }:
                    continue
                shape = (each.is_flag, each.metavar, each.help)
                assert known.setdefault(option, (shape, name))[0] == shape, (option, name)


STATED = {
    "accounts create": ("tailspin", "--currency", "USD"),
    "accounts set": ("contoso", "--name", "Contoso"),
    "top-up": ("10", "--account", "contoso"),
    "adjust": ("-3", "--reason", "Twice", "--account", "contoso"),
    "legs reverse": ("studio~9f2c-1", "--reason", "Bad line", "--account", "contoso"),
    "parked fix": ("studio~9f2c-1", "--set", "to=+442079460123"),
    "parked replay": ("--reason", "rate_missing"),
    "parked dismiss": ("--reason", "rate_missing", "--note", "Tests"),
    "stop": ("--reason", "Strange calls", "--account", "contoso"),
    "restart": ("--account", "contoso"),
    "cards put": ("carrier", "card.json", "--from", "2027-01-01"),
    "cards import": ("carrier", "card.json", "--mapping", "card.json", "--from", "2027-01-01"),
    "bridges create": ("studio", "--dialect", "perminute", "--account", "contoso"),
    "alerts": ("--acknowledge", "1", "--account", "contoso"),
}
HARMLESS = {"post_quote", "try_dial_out", "try_bridge_post", "post_reconciliation"}
"""Operations by POST that change nothing."""


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_nothing_is_changed_without_a_yes(name: str, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    item = {"id": "p1", "leg": "studio~9f2c-1", "status": "open", "reason": "rate_missing"}
    server = Recorded()
    server.stated = {
        "get_dial_out_state": lambda _: httpx.Response(200, json={"stopped": True}),
        "list_parked_legs": lambda request: httpx.Response(
            200, json={"total": 1} if "summary" in request.url.params else {"items": [item]}
        ),
    }
    ran = Terminal(httpx.MockTransport(server))(*name.split(), *STATED[name])
    assert (ran.code, ran.out.strip()) == (2, "") or name.startswith("cards"), (ran.out, ran.err)
    assert ran.code == 2
    what, to_do = ran.err.splitlines()[-2:]
    assert len(ran.err.splitlines()) > 2, "the change is shown"
    assert what.startswith("Error: The command changes data")
    assert to_do == "To do: Add --yes."
    sent = [
        (operation, request.url.query)
        for operation, request in server.requests
        if request.method != "GET" and operation not in HARMLESS
        and b"dry_run" not in request.url.query + request.content
    ]  # fmt: skip
    assert sent == []


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Notes each request that is sent while no progress is shown."""
    depth = 0
    unseen: list[str] = []
    shown = terminal.progress

    @contextmanager
    def progress(text: str) -> Iterator[Callable[[str], None]]:
        nonlocal depth
        depth += 1
        try:
            with shown(text) as report:
                yield report
        finally:
            depth -= 1

    for module in (cli, parked):
        monkeypatch.setattr(module, "progress", progress)
    send = client.Client.send

    def watched(self: client.Client, call: Any) -> httpx.Response:
        if not depth:
            unseen.append(call.operation)
        return send(self, call)

    monkeypatch.setattr(client.Client, "send", watched)
    yield unseen


def test_progress_covers_every_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    perminute = Terminal(httpx.MockTransport(Recorded()))
    with _watched(monkeypatch) as unseen:
        for name, options in tree().items():
            stated = STATED.get(name, ())
            given = [*name.split(), *stated, *(["--yes"] if "--yes" in options else [])]
            if name not in STATED:
                given += {
                    "login": ["--url", URL, "--key", "-"],
                    "legs show": ["studio~9f2c-1", "--account", "contoso"],
                    "receipt": ["studio~9f2c-1", "--account", "contoso"],
                    "quote": ["+442079460123", "--account", "contoso"],
                    "try": ["+442079460123", "--organizer", "ken"],
                    "cards lint": ["default"],
                    "cards diff": ["default"],
                    "cards prices": ["default"],
                    "bridges show": ["studio"],
                    "bridges try": ["perminute", "--account", "contoso"],
                    "completion": ["bash"],
                    "reconcile": ["card.json", "--mapping", "perminute"],
                }.get(name, [])
            perminute(*given, stdin=f"{KEY}\n")
    assert unseen == []


# Characters


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_table_fits_in_the_characters_of_the_terminal(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("tests.cli.fakes.ENCODING", encoding)
    rows = [{"id": "a", "name": "Zoë → “x” — 東京 🎉", "currency": "USD", "credit_limit": "1.00"}]
    server = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": rows}))
    ran = Terminal(server)("accounts")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 60
    assert set(lines[1]) == {"─" if encoding == "utf-8" else "-", " "}
    assert len({len(line.rstrip()) for line in lines[:2]}) == 1
    failed = Terminal(server)("accounts", "show", "“x”→")
    assert failed.code == 1
    assert len(failed.err.splitlines()) == 2


# Network


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "::bad"),
        ("HTTPS_PROXY", "socks5://127.0.0.1:9"),
        ("ALL_PROXY", "ftp://proxy"),
        ("HTTPS_PROXY", "http://[::1"),
        ("SSL_CERT_FILE", "/dev/null"),
    ],
)
def test_settings_of_the_network_that_can_not_be_used_are_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERMINUTE_URL", "https://calls.example.invalid")
    monkeypatch.setenv(name, value)
    ran = Terminal(None)("accounts")
    assert ran.code in {1, 2}
    assert len(ran.err.splitlines()) == 2
    assert "PROXY" in ran.err or "certificates" in ran.err, ran.err
    assert "command line failed" not in ran.err


def test_a_proxy_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert Terminal(httpx.MockTransport(Recorded()))("accounts").code == 0


@pytest.mark.parametrize(
    "headers", [{"content-encoding": "gzip"}, {"content-type": "application/json; charset=nothing"}]
)
def test_an_answer_that_can_not_be_decoded_is_two_lines(headers: dict[str, str]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b'{"items": '))

    for command in (("accounts",), ("accounts", "--csv")):
        ran = Terminal(httpx.MockTransport(answer))(*command)
        assert "Traceback" not in ran.err
        assert "command line failed" not in ran.err
        assert (ran.code, ran.out) == (1, "")


@pytest.mark.parametrize("url", ["https://a b.example", "https://x/#a", "https://-.example"])
def test_a_url_that_can_not_be_requested_is_two_lines(url: str) -> None:
    ran = Terminal(None)("accounts", "--url", url)
    assert ran.code in {1, 2}
    assert len(ran.err.splitlines()) == 2
    assert "command line failed" not in ran.err


# Files and secrets


def test_files_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "card.json").write_bytes(mark + b'{"currency": "USD"}\r\n')
    (tmp_path / "key.txt").write_bytes(mark + KEY.encode() + b"\r\n")
    server = Recorded()
    perminute = Terminal(httpx.MockTransport(server))
    put = ("cards", "put", "carrier", "card.json", "--from", "2027-01-01", "--yes")
    assert perminute(*put, "--key", "key.txt").code == 0
    (sent, *_) = server.sent("put_rate_card_version")
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.content == b'{"currency": "USD"}\r\n'
    ran = perminute("login", "--url", URL, stdin=f"\ufeff{KEY}\r\n")
    assert ran.code == 0, ran.err


def test_a_login_file_that_others_could_read_becomes_private() -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text("{}")
    config_file().chmod(0o644)
    ran = Terminal(httpx.MockTransport(Recorded()))("login", "--url", URL, stdin=f"{KEY}\n")
    assert ran.code == 0, ran.err
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600


def test_a_key_in_place_of_a_file_is_not_repeated() -> None:
    ran = Terminal(httpx.MockTransport(Recorded()))("accounts", "--key", f"Bearer {KEY}")
    assert ran.code == 2
    assert KEY not in ran.out + ran.err


def test_a_secret_that_can_not_be_written_is_shown(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = ("bridges", "create", "studio", "--dialect", "perminute", "--account", "contoso")
    place = str(tmp_path / "file" / "secret")
    ran = Terminal(httpx.MockTransport(Recorded()))(*made, "--yes", "--save-secret", place)
    assert ran.code == 0, ran.err
    assert "can't be written" in ran.err
    assert "whsec_" in ran.out


# A lost answer, and the same command again


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChargingApp]:
    monkeypatch.setenv("PERMINUTE_KEY", ADMIN_KEY)
    with ChargingApp() as made:
        made.settle("contoso")
        yield made


class Losing(httpx.BaseTransport):
    """A server that carries out a change and loses its answer, as often as stated."""

    def __init__(self, server: httpx.BaseTransport, losses: int) -> None:
        self.server, self.losses = server, losses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.server.handle_request(request)
        is_harmless = operation_of(request) in HARMLESS
        is_dry = b"dry_run" in request.url.query + request.read()
        if self.losses and request.method != "GET" and not (is_harmless or is_dry):
            self.losses -= 1
            raise httpx.ReadError("connection reset")
        return answer


def _commands(app: ChargingApp, folder: Path) -> dict[str, tuple[str, ...]]:
    """A command of each kind of change; the files and legs that it names are there."""
    slot = {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    rate = {"kind": "dial_out", "prefix": "44", "destination": "UK", "slots": [slot]}
    rounding = {"mode": "half_up", "decimals": 4}
    card = {"currency": "USD", "rounding": rounding, "rates": [rate]}
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "deck.csv").write_text("Code,Name,Rate\n44,United Kingdom,0.0110\n")
    charged = app.leg()
    fixed, replayed, dismissed = (app.parked(app.ended("contoso", TOKYO)) for _ in range(3))
    columns = ("--column", "prefix=Code", "--column", "destination=Name", "--column", "price=Rate")
    when = ("--from", "2027-01-01T00:00:00Z")
    account = ("--account", "contoso")
    return {
        "accounts create": ("accounts", "create", "tailspin", "--currency", "USD"),
        "accounts set": ("accounts", "set", "contoso", "--name", "Contoso"),
        "top-up": ("top-up", "10", *account),
        "adjust": ("adjust", "-3", "--reason", "Twice", *account),
        "legs reverse": ("legs", "reverse", charged, "--reason", "Bad line", *account),
        "parked fix": ("parked", "fix", fixed["leg"], "--set", f"to={LONDON}"),
        "parked replay": ("parked", "fix", replayed["leg"], "--set", f"to={LONDON}"),
        "parked dismiss": ("parked", "dismiss", dismissed["leg"], "--note", "A test"),
        "stop": ("stop", "--reason", "Strange calls", *account),
        "restart": ("restart", *account),
        "cards put": ("cards", "put", "put", "card.json", *when),
        "cards import": ("cards", "import", "imported", "deck.csv", *when, *columns,
                         "--currency", "USD"),
        "bridges create": ("bridges", "create", "studio", "--dialect", "zoom", *account),
        "alerts": (),
    }  # fmt: skip


@pytest.mark.parametrize("output", [(), ("--json",)], ids=["text", "json"])
def test_every_change_is_safe_to_repeat_after_a_lost_answer(
    output: tuple[str, ...], app: ChargingApp, tmp_path: Path
) -> None:
    stated = _commands(app, tmp_path)
    assert set(stated) == CHANGES
    server = product_transport(app)
    for name, command in stated.items():
        if not command:
            continue
        before = len(app.get("/api/v1/accounts/contoso/entries?limit=1000").json["items"])
        first = Terminal(Losing(server, 4))(*command, *output, "--yes")
        assert first.code == 1, (name, first)
        assert "it may have been carried out" in first.err, (name, first.err)
        again = Terminal(server)(*command, *output, "--yes")
        assert again.code == 0, (name, again)
        entries = app.get("/api/v1/accounts/contoso/entries?limit=1000").json["items"]
        booked = {"top-up", "adjust", "legs reverse", "parked fix", "parked replay"}
        assert len(entries) - before == (1 if name in booked else 0), name
    assert app.sound()


def test_the_secret_of_a_bridge_survives_a_lost_answer(
    app: ChargingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: app.clock.now().timestamp())
    server = product_transport(app)
    for dialect in ("perminute", "freeswitch"):
        made = ("bridges", "create", f"own-{dialect}", "--dialect", dialect, "--account", "contoso")
        assert Terminal(Losing(server, 1))(*made, "--yes").code == 1
        secret = Terminal(server)(*made, "--yes").out.split()[-1]
        monkeypatch.setenv("PERMINUTE_BRIDGE_SECRET", secret)
        tried = Terminal(server)("bridges", "try", dialect, "--bridge", f"own-{dialect}")
        assert "The credentials are right" in tried.out, tried
    other = ("bridges", "create", "own-perminute", "--dialect", "zoom", "--account", "contoso")
    refused = Terminal(server)(*other, "--yes")
    assert refused.code == 1
    assert "if_match_missing" in refused.err

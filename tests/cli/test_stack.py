"""Each command on the real stack: one stack for all, so that the fake servers are held honest."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import click
import pytest
from rich.cells import cell_len

from local.demo.seed import seed
from local.stack import Stack
from perminute_cli.main import root
from perminute_cli.samples import DIALECTS
from tests.cli.fakes import Terminal
from tests.cli.test_fuzz import COMMANDS, SEED, arguments, in_two_lines
from tests.support.client import Admin, Http, SigningBridge, eventually

pytestmark = pytest.mark.extended
ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = ("--account", "contoso")
CHARGED, PARKED, REVERSED = "local~cli-1", "local~cli-2", "local~cli-3"
NAME = "<img src=x onerror=…> " + "قاعة" * 40


@dataclass
class Deployment:
    """A stack with the demo's accounts, charged and parked legs, and a call in progress."""

    stack: Stack
    admin: Admin
    bridge: SigningBridge


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Stack(tmp_path_factory.mktemp("cli") / "data") as stack:
        admin = Admin(Http(stack.base_url), stack.admin_key)
        bridge = SigningBridge(admin.http, "local", stack.bridge_secret)
        seed(stack.base_url, stack.admin_key)
        named = _leg("cli-6", conference_id=NAME)
        bad = [_leg(f"cli-{number}", to="12") for number in (2, 4, 5)]
        legs = [_leg("cli-1"), _leg("cli-3"), named, *bad]
        assert bridge.ended(legs).status == 202
        assert bridge.authorise({"to": "112", "account": "contoso"}).json()["decision"] == "deny"
        wanted = {"to": "+442079460123", "conference_id": "3001"}
        assert bridge.authorise(wanted).json()["decision"] == "allow"

        def is_done() -> bool:
            parked = admin.get("parked-legs?summary=true")["total"]
            return parked == 3 and len(admin.items("accounts/contoso/legs")) == 3

        assert eventually(is_done, 240)
        yield Deployment(stack, admin, bridge)


@pytest.fixture
def perminute(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("PERMINUTE_URL", deployment.stack.base_url)
    monkeypatch.setenv("PERMINUTE_KEY", deployment.stack.admin_key)
    monkeypatch.setenv("PERMINUTE_BRIDGE_SECRET", deployment.stack.bridge_secret)
    return Terminal(None)


READS = (
    ("status",),
    ("accounts", "list"),
    ("accounts", "show", "contoso"),
    ("usage", *ACCOUNT, "--group-by", "organizer,destination"),
    ("legs", "list", *ACCOUNT),
    ("legs", "show", CHARGED, *ACCOUNT),
    ("statement", *ACCOUNT),
    ("calls", *ACCOUNT),
    ("calls", *ACCOUNT, "--conference", "3001"),
    ("parked", "walk"),
    ("parked", "list"),
    ("parked", "list", "--summary"),
    ("quote", "+442079460123", *ACCOUNT, "--minutes", "10"),
    ("try", "+442079460123", *ACCOUNT, "--organizer", "ken"),
    ("cards", "list"),
    ("cards", "list", "default"),
    ("cards", "lint", "default"),
    ("cards", "diff", "default", *ACCOUNT, "--month", "2026-11"),
    ("cards", "prices", "default"),
    ("bridges", "list"),
    ("bridges", "show", "local"),
    ("alerts", *ACCOUNT),
    ("denials", *ACCOUNT),
    ("denials", *ACCOUNT, "--group-by", "reason"),
    ("audit-log", "--limit", "20"),
    ("verify", *ACCOUNT),
    *(("bridges", "try", dialect, *ACCOUNT, "--bridge", "local") for dialect in DIALECTS),
)
GLOBAL_CSV = ("accounts", "audit-log", "bridges", "cards")
CSV = (
    "accounts",
    "calls",
    "usage",
    "legs",
    "statement",
    "parked",
    "alerts",
    "audit-log",
    "bridges",
    "cards",
)


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_what_is_read_fits_both_widths_and_is_json_too(
    command: tuple[str, ...], perminute: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (80, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        ran = perminute(*command)
        assert ran.code == 0, ran.err
        assert max(map(cell_len, ran.out.splitlines())) <= columns
        assert "\x1b" not in ran.out
    assert perminute(*command, "--json").json


@pytest.mark.parametrize("name", CSV)
def test_csv_is_the_servers(name: str, perminute: Terminal, tmp_path: Path) -> None:
    account = () if name in GLOBAL_CSV else ACCOUNT
    printed = perminute(name, *account, "--csv")
    assert printed.code == 0, printed.err
    assert "," in printed.out or name == "cards"
    written = perminute(name, *account, "--csv", "--output", str(tmp_path / "out.csv"))
    assert written.code == 0
    assert (tmp_path / "out.csv").read_text(newline="") == printed.out or name == "audit-log"


def test_an_account_is_made_changed_filled_stopped_and_restarted(
    perminute: Terminal, deployment: Deployment
) -> None:
    made = (
        "accounts",
        "create",
        "cli",
        "--currency",
        "USD",
        "--time-zone",
        "Europe/Paris",
        "--yes",
    )
    for command in (
        made,
        ("accounts", "set", "cli", "--credit-limit", "5.00", "--yes"),
        ("top-up", "20", "--account", "cli", "--reference", "PO 1", "--yes"),
        ("adjust", "-3.20", "--reason", "Twice", "--account", "cli", "--yes"),
        ("stop", "--reason", "Strange calls", "--account", "cli", "--yes"),
        ("restart", "--account", "cli", "--yes"),
    ):
        ran = perminute(*command)
        assert ran.code == 0, (command, ran.err)
    account = deployment.admin.get("accounts/cli")
    assert (account["balance"], account["credit_limit"]) == ("16.80", "5.00")
    again = perminute(*made)
    assert again.code == 1
    assert "if_match_missing" in again.err


def test_parked_legs_are_fixed_replayed_and_dismissed(
    perminute: Terminal, deployment: Deployment
) -> None:
    fixed = perminute("parked", "fix", PARKED, "--set", "to=+442079460123", "--yes")
    assert fixed.code == 0, fixed.err
    assert "0.098" in fixed.out
    stays = perminute("parked", "replay", "local~cli-4", "--yes")
    assert stays.code == 1
    assert "stays parked" in stays.err
    assert perminute("parked", "dismiss", "local~cli-4", "--note", "A test", "--yes").code == 0
    swept = perminute("parked", "replay", "--reason", "number_invalid", "--yes")
    assert swept.code == 1
    assert swept.out == "1 open\n"
    note = ("parked", "dismiss", "--reason", "number_invalid", "--note", "All tests", "--yes")
    assert perminute(*note).out == "1 dismissed\n"
    assert deployment.admin.get("parked-legs?summary=true&status=open")["total"] == 0


def test_a_leg_is_reversed_once(perminute: Terminal) -> None:
    command = ("legs", "reverse", REVERSED, *ACCOUNT, "--reason", "Bad line", "--yes", "--json")
    first, second = perminute(*command), perminute(*command)
    assert first.code == second.code == 0
    assert first.json["entry"]["sequence"] == second.json["entry"]["sequence"]


def test_a_card_is_put_imported_and_compared(perminute: Terminal, tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    slot = {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    rate = {"kind": "dial_out", "prefix": "44", "destination": "United Kingdom", "slots": [slot]}
    rounding = {"mode": "half_up", "decimals": 4}
    card.write_text(json.dumps({"currency": "USD", "rounding": rounding, "rates": [rate]}))
    put = ("cards", "put", "cli", str(card), "--from", "2026-01-01T00:00:00Z")
    assert perminute(*put, "--dry-run").code == 0
    assert perminute("cards", "list", "cli").code == 1
    assert perminute(*put, "--yes").code == 0
    deck = tmp_path / "deck.csv"
    deck.write_text("Code,Name,Rate\n44,United Kingdom,0.0110\n")
    columns = ("--column", "prefix=Code", "--column", "destination=Name", "--column", "price=Rate")
    imported = ("cards", "import", "deck", str(deck), "--from", "2026-01-01T00:00:00Z", *columns)
    ran = perminute(*imported, "--currency", "USD", "--yes")
    assert ran.code == 0, ran.err
    month = ("--account", "contoso", "--month", f"{datetime.now(UTC):%Y-%m}")
    checked = perminute(*imported, "--currency", "USD", "--dry-run", "--backdate", *month)
    assert checked.code == 1  # the version is there: another one is compared
    later = (*imported[:4], "--from", "2099-01-01T00:00:00Z", *columns, "--currency", "USD")
    checked = perminute(*later, "--dry-run", *month)
    assert checked.code == 0, checked.err
    assert "In money, legs of contoso" in checked.out
    assert "Total" in checked.out
    diff = perminute("cards", "diff", "cli", "--to-card", "deck", *month)
    assert "In money, legs of contoso" in diff.out
    diff = perminute("cards", "diff", "cli", "--to-card", "deck")
    assert diff.code == 0
    assert "0.011" in diff.out


def test_a_bridge_is_created_and_its_secret_proves_its_posts(
    perminute: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERMINUTE_BRIDGE_SECRET")
    secret = tmp_path / "secret"
    made = ("bridges", "create", "cli", "--dialect", "zoom", *ACCOUNT, "--yes")
    ran = perminute(*made, "--save-secret", str(secret))
    assert ran.code == 0, ran.err
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text().strip() not in ran.out + ran.err
    trial = ("bridges", "try", "zoom", "--bridge", "cli", "--secret-file", str(secret), "--json")
    tried = perminute(*trial)
    assert tried.code == 0, tried.err
    assert tried.json["steps"][0]["detail"] == "The credentials are right, by scheme zoom."


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_sample_of_each_dialect_is_signed_and_read(
    dialect: str, perminute: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bridge of the dialect, with the signature of its vendor."""
    monkeypatch.delenv("PERMINUTE_BRIDGE_SECRET")
    secret, name = str(tmp_path / "secret"), f"own-{dialect}"
    made = ("bridges", "create", name, "--dialect", dialect, *ACCOUNT, "--yes")
    ran = perminute(*made, "--save-secret", secret)
    assert ran.code == 0, ran.err
    command = ("bridges", "try", dialect, "--bridge", name, *ACCOUNT, "--secret-file", secret)
    tried = perminute(*command, "--json")
    assert tried.code == 0, tried.err
    assert tried.json["steps"][0]["detail"].startswith("The credentials are right, by scheme ")
    found = [tried.json, *tried.json.get("others", [])]
    amounts = {each["charge"]["amount"] for each in found if "charge" in each}
    waiting = {each["outcome"] for each in found} - {"leg"}
    assert amounts or waiting, tried.json
    for columns in (80, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = perminute(*command)
        assert max(map(cell_len, shown.out.splitlines())) <= columns
        assert all(amount in shown.out for amount in amounts)
    wrong = tmp_path / "wrong"
    wrong.write_text("whsec_" + "A" * 44)
    refused = perminute(*command[:-1], str(wrong))
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 2, refused.err


def test_odd_arguments_end_in_two_lines_on_the_real_server(
    perminute: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    chance = random.Random(SEED)
    for name, command in COMMANDS.items():
        for odd in (1.0, 0.3):
            stated = arguments(command, chance, odd=odd, yes=odd == 1.0)
            in_two_lines(perminute(*name, *stated), (name, stated))


def test_a_reversal_is_shown_before_it_is_booked(perminute: Terminal) -> None:
    command = ("legs", "reverse", CHARGED, *ACCOUNT)
    dry = perminute(*command, "--dry-run")
    assert dry.code == 0, dry.err
    assert "0.098 go back: 0.098 to lot-" in dry.out
    unconfirmed = perminute(*command, "--reason", "Bad line")
    assert (unconfirmed.code, "0.098 go back" in unconfirmed.err) == (2, True)
    assert perminute(*command).code == 2
    assert "reversal" not in perminute("legs", "show", CHARGED, *ACCOUNT).out


def test_an_invoice_is_compared(perminute: Terminal, tmp_path: Path) -> None:
    invoice = tmp_path / "invoice.csv"
    columns = "leg,kind,to,from,answered_at,talk_seconds,amount,currency"
    row = "lost-1,dial_out,+442079460000,,2026-11-20T10:00:00Z,60,0.10,USD"
    invoice.write_text(f"{columns}\n{row}\n")
    ran = perminute("reconcile", str(invoice), "--mapping", "perminute", *ACCOUNT)
    assert ran.code == 1
    assert "missing here" in ran.out


def test_receipt_and_month_file_are_verified_with_the_servers_keys(
    perminute: Terminal, tmp_path: Path
) -> None:
    keys, receipt, month = (str(tmp_path / name) for name in ("keys.json", "leg.json", "m.gz"))
    ran = perminute("receipt", CHARGED, *ACCOUNT, "--interim", "--output", receipt)
    assert ran.code == 0, ran.err
    ran = perminute("export", *ACCOUNT, "--interim", "--persons", "--output", month)
    assert ran.code == 0, ran.err
    assert perminute("verify", "--save-keys", keys).code == 0
    verified = perminute("verify", "--receipts", receipt, month, "--keys", keys)
    assert verified.code == 0, verified.err
    open_day = perminute("receipt", CHARGED, *ACCOUNT)
    assert open_day.code == 1
    assert "add --interim" in open_day.err
    page = perminute("receipt", CHARGED, *ACCOUNT, "--interim", "--html")
    assert page.out.startswith("<!")


def test_login_keeps_the_key_and_logout_removes_it(
    perminute: Terminal, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERMINUTE_URL")
    monkeypatch.delenv("PERMINUTE_KEY")
    stack = deployment.stack
    ran = perminute("login", "--url", stack.base_url, stdin=f"{stack.admin_key}\n")
    assert ran.code == 0, ran.err
    assert perminute("accounts").code == 0
    assert perminute("logout").code == 0
    assert perminute("accounts").code == 2


def test_every_command_is_run_here() -> None:
    text = Path(__file__).read_text("utf-8")
    for name in _names(root):
        first, *rest = name.split()
        written = f'"{first}"' in text and all(f'"{each}"' in text for each in rest)
        assert written, f"no test runs `perminute {name}`"


def test_an_alert_is_acknowledged(perminute: Terminal, deployment: Deployment) -> None:
    draw = ("adjust", "-10", "--reason", "A fee", *ACCOUNT, "--yes")
    assert perminute(*draw).code == 0
    assert eventually(lambda: deployment.admin.items("accounts/contoso/alerts"), 60)
    (alert, *_) = deployment.admin.items("accounts/contoso/alerts")
    ran = perminute("alerts", "--acknowledge", alert["id"], *ACCOUNT, "--yes")
    assert ran.out.strip() == f"Alert {alert['id']} is acknowledged."


def test_completion_is_a_script_of_the_shell(perminute: Terminal) -> None:
    for shell in ("bash", "zsh", "fish"):
        ran = perminute("completion", shell)
        assert ran.code == 0
        assert "_PERMINUTE_COMPLETE" in ran.out


# Processes


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("cards prices default --json", "{"),
        ("cards prices default --csv", "region,"),
        ("cards prices default", "Region"),
        ("--help", "Usage: perminute"),
    ],
)
def test_a_reader_that_leaves_ends_the_command_well(
    command: str, first: str, deployment: Deployment
) -> None:
    script = f'set -o pipefail; "$0" -m perminute_cli {command} | head -1'
    ran = subprocess.run(
        ["bash", "-c", script, sys.executable],
        env=_environment(deployment), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr, ran.stdout[: len(first)]) == (0, "", first)


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_in_no_traceback(closing: str, deployment: Deployment) -> None:
    script = f'"$0" -m perminute_cli top-up 5 --account contoso {closing}'
    ran = subprocess.run(
        ["bash", "-c", script, sys.executable],
        env=_environment(deployment), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_command_that_is_killed_in_the_middle_and_run_again_books_once(
    deployment: Deployment, tmp_path: Path
) -> None:
    """The first is killed after the server booked it, before the answer reached it."""
    before = len(deployment.admin.items("accounts/fabrikam/entries"))
    with Holding(deployment.stack.base_url) as proxy:
        environment = {
            **_environment(deployment),
            "PERMINUTE_URL": proxy.url,
            "XDG_STATE_HOME": str(tmp_path),
        }
        command = [sys.executable, "-m", "perminute_cli", "top-up", "11", "--account", "fabrikam"]
        first = subprocess.Popen([*command, "--yes"], env=environment, stderr=subprocess.DEVNULL)
        assert proxy.booked.wait(60)
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        again = subprocess.run(
            [*command, "--yes"], env=environment, capture_output=True, text=True, timeout=110,
            check=False,
        )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "got no answer" in again.stderr
    assert "It was booked before" in again.stdout
    assert len(deployment.admin.items("accounts/fabrikam/entries")) == before + 1


@dataclass
class Holding:
    """Forwards each connection to a server; the first answer to a POST is not handed on."""

    target: str
    booked: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(connection,), daemon=True).start()

    def _forward(self, connection: socket.socket) -> None:
        host, _, port = self.target.removeprefix("http://").partition(":")
        with connection, socket.create_connection((host, int(port))) as server:
            while request := _request(connection):
                server.sendall(request)
                answer = server.recv(65536)
                if request.startswith(b"POST") and not self.booked.is_set():
                    self.booked.set()
                    connection.recv(1)  # until the other side is gone
                    return
                connection.sendall(answer)


def _request(connection: socket.socket) -> bytes:
    """A whole request, empty where the connection ended."""
    content = b""
    while part := connection.recv(65536):
        content += part
        head, end, body = content.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= (int(length[1]) if length else 0):
            return content
    return b""


def _environment(deployment: Deployment) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "cli"),
        "PERMINUTE_URL": deployment.stack.base_url,
        "PERMINUTE_KEY": deployment.stack.admin_key,
    }


def _names(group: click.Group, before: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from _names(found, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def _leg(name: str, **changes: Any) -> dict[str, Any]:
    answered = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=250)
    return {
        "leg_id": name,
        "conference_id": "3001",
        "kind": "dial_out",
        "from": "+33199001234",
        "to": "+442079460123",
        "started_at": f"{answered - timedelta(seconds=7):%Y-%m-%dT%H:%M:%SZ}",
        "answered_at": f"{answered:%Y-%m-%dT%H:%M:%SZ}",
        "ended_at": f"{answered + timedelta(seconds=183):%Y-%m-%dT%H:%M:%SZ}",
        "account": "contoso",
        **changes,
    }

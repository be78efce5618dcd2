"""The command line as a separate process: interrupts, terminals, shells, encodings, files."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fakes import KEY

pytestmark = pytest.mark.extended
CLI = Path(__file__).resolve().parents[2] / "cli"
COMMAND = (sys.executable, "-m", "perminute_cli")
ACCOUNT = {
    "id": "contoso", "currency": "USD", "balance": "10.00", "held": "0.00", "available": "10.00",
    "credit_limit": "0.00", "name": "Zoë’s → café", "lots": [],
}  # fmt: skip


@dataclass
class Server:
    """A server that holds back answers while `hold` is set; `keys` are those of bookings."""

    url: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    requested: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    keys: list[str | None] = field(default_factory=list)

    def answer(self, method: str, path: str, key: str | None) -> Any:
        """The document, after the release where a request of this kind is held back."""
        if method == "POST":
            self.keys.append(key)
        if self.hold.is_set() and (method == "POST" or path.endswith("/accounts")):
            self.requested.set()
            self.released.wait(60)
        if method == "POST":
            entry = {"sequence": 1, "at": "2026-11-23T10:00:00Z", "amount": "5.00"}
            return {"entry": entry, "balance": "15.00"}
        return {"items": [ACCOUNT]} if path.endswith("/accounts") else ACCOUNT


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            path = self.path.partition("?")[0]
            found = made.answer(self.command, path, self.headers.get("idempotency-key"))
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was interrupted is gone."""

    served = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{served.server_address[1]}"
    yield made
    made.released.set()
    served.shutdown()
    served.server_close()


@pytest.fixture
def environment(server: Server, tmp_path: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name in {"PATH", "HOME", "TZ"}}
    return {
        **kept,
        "PYTHONPATH": str(CLI),
        "PERMINUTE_URL": server.url,
        "PERMINUTE_KEY": KEY,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=110, check=False,
    )  # fmt: skip


def test_an_interrupt_ends_a_command_in_two_lines(
    server: Server, environment: dict[str, str]
) -> None:
    server.hold.set()
    running = subprocess.Popen(
        [*COMMAND, "accounts"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.requested.wait(100)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=100)
    assert (running.returncode, out) == (1, "")
    assert err.strip().splitlines() == ["Error: Interrupted.", "To do: Run the command again."]


def test_a_booking_that_is_interrupted_keeps_its_key_for_the_next_run(
    server: Server, environment: dict[str, str]
) -> None:
    command = ("top-up", "5", "--account", "contoso", "--yes")
    server.hold.set()
    running = subprocess.Popen([*COMMAND, *command], env=environment, stderr=subprocess.DEVNULL)
    assert server.requested.wait(100)
    running.send_signal(signal.SIGINT)
    assert running.wait(100) == 1
    server.hold.clear()
    server.released.set()
    again = run(environment, *command)
    assert again.returncode == 0, again.stderr
    assert b"got no answer" in again.stderr
    assert len(server.keys) == 2
    assert len(set(server.keys)) == 1
    assert run(environment, *command).returncode == 0
    assert len(set(server.keys)) == 2


def test_progress_is_shown_on_standard_error_alone(
    server: Server, environment: dict[str, str]
) -> None:
    server.hold.set()
    terminal, end = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, "accounts", "--json"],
        env={**environment, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=end, text=True,
    )  # fmt: skip
    os.close(end)
    seen = b""
    while b"Reading" not in seen:
        seen += os.read(terminal, 4096)
    server.released.set()
    out, _ = running.communicate(timeout=100)
    os.close(terminal)
    assert running.returncode == 0
    assert json.loads(out)["items"][0]["id"] == "contoso"


def test_a_terminal_without_unicode_gets_ascii_and_a_width_that_fits(
    environment: dict[str, str],
) -> None:
    for settings in ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}):
        ran = run({**environment, **settings, "COLUMNS": "60"}, "accounts", "list")
        assert ran.returncode == 0, ran.stderr
        text = ran.stdout.decode(settings["PYTHONIOENCODING"])
        assert "\u2500" not in text
        assert "----" in text
        assert max(map(len, text.splitlines())) <= 60
        assert b"Traceback" not in ran.stderr


def test_a_full_disk_is_two_lines(environment: dict[str, str]) -> None:
    script = '"$0" -m perminute_cli accounts > /dev/full'
    ran = subprocess.run(
        ["sh", "-c", script, sys.executable],
        env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 2, ran.stderr


def test_the_key_is_in_no_argument_of_a_process_and_in_no_output(
    server: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\r\n")
    del environment["PERMINUTE_KEY"]
    server.hold.set()
    running = subprocess.Popen(
        [*COMMAND, "accounts", "--key", str(file)],
        env={**environment, "PERMINUTE_DEBUG": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert server.requested.wait(100)
    assert KEY.encode() not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    server.released.set()
    out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    assert KEY.encode() not in out + err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("top", "top-up"),
        ("parked re", "replay"),
        ("parked replay --reason rate", "rate_missing"),
        ("top-up 5 --acc", "--account"),
        ("bridges try zo", "zoom"),
        ("legs list --or", "--order"),
        ("parked --re", "--reason"),
    ],
)
def test_commands_options_and_values_are_completed(
    shell: str, words: str, expected: str, environment: dict[str, str]
) -> None:
    typed = words.split()
    position = typed[-1] if shell == "fish" else str(len(typed))
    completing = {
        "_PERMINUTE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": f"perminute {words}",
        "COMP_CWORD": position,
    }
    ran = run({**environment, **completing})
    assert ran.returncode == 0, ran.stderr
    assert expected in ran.stdout.decode().replace(",", "\n").split(), ran.stdout
    assert ran.stderr == b""


def test_bash_completes_by_the_script_that_the_command_prints(
    environment: dict[str, str], tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "perminute"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m perminute_cli "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(perminute completion bash)"; complete -p perminute >/dev/null || exit 9; '
        "COMP_WORDS=(perminute parked dis); COMP_CWORD=2; _perminute_completion perminute dis; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{program.parent}:{environment['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script],
        env={**environment, "PATH": path}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.split()) == (0, ["dismiss"]), ran.stderr


FILES: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 50,
    "utf-16": "Code,Name,Rate\r\n44,UK,0.01\r\n".encode("utf-16"),
    "half": b'{"currency": ',
    "deep": b"[" * 5000,
}


@pytest.mark.parametrize("name", [*FILES, "folder", "missing", "unreadable", "null"])
def test_no_file_ends_a_command_in_a_traceback(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / name
    if name in FILES:
        file.write_bytes(FILES[name])
    elif name == "folder":
        file.mkdir()
    elif name == "unreadable":
        file.write_text("x")
        file.chmod(0)
    elif name == "null":
        file = Path("/dev/null")
    path = str(file)
    when = ("--from", "2027-01-01")
    for command in (
        ("cards", "put", "x", path, *when, "--yes"),
        ("cards", "import", "x", path, *when, "--mapping", path, "--yes"),
        ("reconcile", path, "--mapping", path, "--account", "contoso"),
        ("verify", path, "--keys", path),
        ("bridges", "create", "x", "--dialect", "zoom", "--account", "a", "--secret-file", path),
        ("parked", "fix", "x", "--whole", path, "--yes"),
        ("accounts", "--key", path),
        ("accounts", "--json", "--output", path),
    ):
        ran = run(environment, *command)
        assert ran.returncode in {0, 1, 2}, (command, ran)
        assert b"Traceback" not in ran.stderr, (command, ran.stderr)
        assert b"command line failed" not in ran.stderr, (command, ran.stderr)
        if ran.returncode:
            assert ran.stderr.startswith(b"Error: ") or b"\nError: " in ran.stderr, (command, ran)

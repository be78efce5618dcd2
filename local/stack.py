"""The laptop stack as a library: Azurite, the bus and the two Functions hosts, kept running.

`with Stack(folder) as stack: …` has everything on loopback, on free or configured ports. A
part that dies is started again on its port. `run.py` is the command on top of this.
"""

import base64
import contextlib
import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

from local.parts import LOOPBACK, Part, StackError, free_port, port_is_free

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS_MAX = 120.0
TICK_SECONDS = 0.02
START_PAUSE_SECONDS = 0.5  # between two starts of a part that dies at once
REQUEST_SECONDS_MAX = 120.0  # the first request imports the product; the machine may be busy
BRIDGE = "local"
# Azurite's own well-known account, no secret.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
# What the environment may set otherwise.
DEFAULT_SETTINGS = {
    "CALL_ENDED_QUEUE": "call-ended",
    "CREDIT_EVENTS_TOPIC": "credit-events",
    "CALL_ENDED_LOCK_SECONDS": "30",
    "LOW_BALANCE_SCHEDULE": "*/2 * * * * *",
    "INBOX_SCHEDULE": "*/2 * * * * *",
    "NIGHTLY_AUDIT_SCHEDULE": "0 0 2 * * *",
    "WEBHOOK_SCHEDULE": "*/2 * * * * *",
    "WEBHOOKS_ALLOW_LOOPBACK": "true",
}
TIMEOUT_MARGIN_SECONDS = 5  # functions are stopped that long before the lock of their batch ends


class Stack:
    """Azurite, bus, HTTP host and background host, with their data in one folder.

    Processes are started, watched and stopped by one thread of the stack's own, which lives until
    `stop`; all methods may be called from any other.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        app: Path = ROOT,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Starts nothing yet. `port` 0 picks a free one; `settings` win over the environment."""
        self.data = data.resolve()
        self.on_change: Callable[[], None] | None = None  # called when a part was started again
        self._app = app
        self._port = port
        self._extra_settings = dict(settings or {})
        self._parts: dict[str, Part] = {}
        self._thread: threading.Thread | None = None
        self._has_started = threading.Event()
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._lock_file: IO[str] | None = None
        self.base_url = ""
        self.admin_key = ""
        self.bridge_secret = ""
        self.azurite_table_url = ""
        self.service_bus_connection_string = self.service_bus_management_url = ""

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of `http`, `background`, `bus` and `azurite`."""
        return {name: self._parts[name].pid for name in ("http", "background", "bus", "azurite")}

    def describe(self) -> dict[str, Any]:
        """The contents of run.json. `supervisor` is the process id that a stop signals."""
        return {
            "base_url": self.base_url,
            "admin_key": self.admin_key,
            "bridge": {"name": BRIDGE, "secret": self.bridge_secret},
            "azurite_table_url": self.azurite_table_url,
            "service_bus_connection_string": self.service_bus_connection_string,
            "supervisor": os.getpid(),
            "processes": self.pids,
        }

    def start(self) -> None:
        """Start all parts, wait until they serve, and make the bridge `local` where it is missing.

        Raises StackError, with everything stopped again, if that fails.
        """
        self._thread = threading.Thread(target=self._supervise, name="stack", daemon=True)
        self._thread.start()
        try:
            self._has_started.wait()
            if self._error is not None:
                raise self._error
            self._make_bridge()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all parts, hosts first. Without a running stack it has no effect."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def wait(self, seconds: float) -> bool:
        """Wait that long; False as soon as the stack is stopped or can't be watched any longer."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is not None and self._thread.is_alive()

    def restart(self, name: str) -> None:
        """End a part by its own signal and wait until it serves again."""
        pid = self._parts[name].pid
        self._parts[name].request_stop()
        self._wait_for(lambda: self._parts[name].pid != pid)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until all parts serve. Raises StackError after READY_SECONDS_MAX."""
        self._wait_for(lambda: all(p.is_ready and not p.has_ended for p in self._parts.values()))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not condition():
            if self._stopping.is_set() or time.monotonic() > deadline:
                late = ", ".join(part.name for part in self._parts.values() if not part.is_ready)
                raise StackError(f"not ready in time: {late}; see the logs in {self.data}")
            time.sleep(TICK_SECONDS)

    def _supervise(self) -> None:
        try:
            self._start_parts()
            self._has_started.set()
            while not self._stopping.wait(TICK_SECONDS):
                self._watch()
        except Exception as error:  # noqa: BLE001 (raised by `start`, or reported by `wait`)
            self._error = error
        finally:
            self._stop_parts(["http", "background"])
            self._stop_parts(["bus", "azurite"])
            if self._lock_file is not None:
                self._lock_file.close()
            self._has_started.set()

    def _watch(self) -> None:
        for part in self._parts.values():
            if part.has_ended:
                if time.monotonic() - part.started_at >= START_PAUSE_SECONDS:
                    part.start()
            elif not part.is_ready and part.check_ready() and self.on_change is not None:
                self.on_change()

    def _stop_parts(self, names: Sequence[str]) -> None:
        parts = [self._parts[name] for name in names if name in self._parts]
        for part in parts:
            part.request_stop()
        for part in parts:
            part.wait_stopped()

    def _start_parts(self) -> None:
        node = shutil.which("node")
        azurite = ROOT / "local/node_modules/.bin/azurite-table"
        if node is None or not azurite.exists():
            raise StackError(
                "Azurite is missing. Install Node.js with npm, then repeat the command."
            )
        self._take_folder()
        keys = _kept_keys(self.data / "secrets.json")
        self.admin_key, self.bridge_secret = keys["admin_key"], keys["bridge_secret"]
        http_port, bus_port, azurite_port = self._port or free_port(), free_port(), free_port()
        if not port_is_free(http_port):
            raise StackError(
                f"port {http_port} is in use. Choose another port: `make run PORT=7072`."
            )
        self.base_url = f"http://{LOOPBACK}:{http_port}"
        self.azurite_table_url = f"http://{LOOPBACK}:{azurite_port}/{AZURITE_ACCOUNT}"
        self.service_bus_connection_string = (
            f"Endpoint=sb://localhost:{bus_port};SharedAccessKeyName=local;SharedAccessKey=local;"
            "UseDevelopmentEmulator=true;"
        )
        self.service_bus_management_url = f"http://{LOOPBACK}:{free_port()}"
        settings = self.settings = self._settings(keys)
        self._add_services(node, azurite, settings, bus_port, azurite_port)
        self._start_and_wait(["bus", "azurite"])
        self._add_hosts(settings, http_port)
        self._start_and_wait(["http", "background"])

    def _add_services(
        self, node: str, azurite: Path, settings: dict[str, str], bus_port: int, azurite_port: int
    ) -> None:
        bus = [sys.executable, "-m", "local.bus", "--port", str(bus_port)]
        bus += ["--management-port", self.service_bus_management_url.rpartition(":")[2]]
        self._add("bus", [*bus, "--data", f"{self.data}/bus"], settings, port=bus_port)
        tables = [
            *(node, "--require", str(ROOT / "local/azurite_start.js"), str(azurite)),
            *("--tableHost", LOOPBACK, "--tablePort", str(azurite_port)),
            *("--location", f"{self.data}/azurite"),
            *("--silent", "--skipApiVersionCheck", "--disableTelemetry"),
        ]
        self._add("azurite", tables, settings, port=azurite_port, stop_signal=signal.SIGINT)

    def _add_hosts(self, settings: dict[str, str], port: int) -> None:
        host = [sys.executable, "-m", "local.host", "--app", str(self._app)]
        host += ["--data", f"{self.data}/timers"]
        self._add("http", [*host, "--role", "http", "--port", str(port)], settings, port=port)
        # host.json's timeout is for Azure's lock; a laptop's lock may be shorter.
        timeout_seconds = int(settings["CALL_ENDED_LOCK_SECONDS"]) - TIMEOUT_MARGIN_SECONDS
        minutes, seconds = divmod(max(timeout_seconds, 1), 60)
        timeout = {"AzureFunctionsJobHost__functionTimeout": f"00:{minutes:02}:{seconds:02}"}
        self._add("background", [*host, "--role", "background"], settings | timeout)

    def _settings(self, keys: dict[str, str]) -> dict[str, str]:
        settings = {**DEFAULT_SETTINGS, **os.environ, **self._extra_settings}
        return settings | {
            "TABLES_CONNECTION_STRING": (
                f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};"
                f"AccountKey={AZURITE_KEY};TableEndpoint={self.azurite_table_url};"
            ),
            "ServiceBus": self.service_bus_connection_string,
            "SERVICE_BUS_MANAGEMENT_ENDPOINT": self.service_bus_management_url,
            "PERMINUTE_BOOTSTRAP_ADMIN_KEY": self.admin_key,
            "PERMINUTE_CHAIN_KEY": keys["chain_key"],
            "PERMINUTE_SECRETS_KEY": keys["secrets_key"],
            "PERMINUTE_PROOF_KEY": keys["proof_key"],
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def _add(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        *,
        port: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        log = self.data / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        self._parts[name] = Part(
            name,
            command,
            environment=environment,
            log=log,
            port=port,
            stop_signal=stop_signal,
            keeps_open=self._lock_file.fileno() if self._lock_file else None,
        )

    def _start_and_wait(self, names: Sequence[str]) -> None:
        parts = [self._parts[name] for name in names]
        for part in parts:
            part.start()

        def are_ready() -> bool:
            for part in parts:
                if part.has_ended:
                    raise StackError(f"{part.name} ended while it started:\n{part.log_tail()}")
            return all(part.check_ready() for part in parts)

        self._wait_for(are_ready)

    def _take_folder(self) -> None:
        """Restrict the folder to its owner. The parts inherit the lock, so it is taken while one
        lives that an earlier owner left behind."""
        try:
            (self.data / "azurite").mkdir(parents=True, exist_ok=True)
            self._lock_file = (self.data / "lock").open("w")
        except OSError as error:
            text = (
                f"the data folder {self.data} cannot be written ({error.strerror}). Choose a folder"
                " with `make run DATA=…`."
            )
            raise StackError(text) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"{self.data} is in use: stop the other stack, or choose a folder with DATA=…"
            raise StackError(text) from None

    def _make_bridge(self) -> None:
        bridge = {
            "dialect": "perminute",
            "auth": {"scheme": "standard-webhooks", "secrets": [self.bridge_secret]},
            "accounts": ["*"],
        }
        headers = {
            "authorization": f"Bearer {self.admin_key}",
            "content-type": "application/json",
        }
        address = self.base_url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=REQUEST_SECONDS_MAX)
        with contextlib.closing(connection):
            connection.request("PUT", f"/api/v1/bridges/{BRIDGE}", json.dumps(bridge), headers)
            response = connection.getresponse()
            body = response.read()
        if response.status not in {201, 428}:  # 428: it is there
            raise StackError(refusal(f"the bridge {BRIDGE}", response.status, parsed(body)))


def parsed(body: bytes) -> object:
    """The JSON of a response; None for another body."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def refusal(subject: str, status: int, body: object) -> str:
    """The sentence about an object that the running stack refused to create; `body` is JSON."""
    problem = body if isinstance(body, dict) else {}
    if problem.get("code") == "schema_unknown":
        return (
            "the data folder was written by a newer version of Perminute. Run that version, or"
            " choose another folder with `make run DATA=…`."
        )
    return f"{subject} was not created (status {status}). {problem.get('detail', 'Read the logs.')}"


def console_address(stack: Stack, account: str | None) -> str:
    """The console with a sign-in, at an account if one is named: the page takes the key from the
    fragment, which no server sees, and removes it from the address."""
    place = f"overview?account={account}" if account else ""
    return f"{stack.base_url}/console/{place}#key={quote(stack.admin_key, safe='')}"


def write_by_rename(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file at once, so that a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{threading.get_ident()}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    os.replace(new, path)


def _kept_keys(path: Path) -> dict[str, str]:
    """The keys of this data folder, made at its first use and the same ever after."""
    try:
        kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        text = f"{path} cannot be read ({error}). Restore the file, or delete the data folder."
        raise StackError(text) from error
    made = {
        "admin_key": secrets.token_urlsafe(32),
        "chain_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "secrets_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "proof_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "bridge_secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    if made.keys() - kept.keys():  # new, or made by an older version
        kept = made | kept
        write_by_rename(path, json.dumps(kept))
    return kept

"""Azurite's table or blob service as a child process, in memory, on a free port."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
BINARIES = ROOT / "local/node_modules/.bin"
ACCOUNT = "devstoreaccount1"
# The emulator's published key, the same on every machine.
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
STARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running service. Leaving the context stops it."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        """Where the tables, or the blobs, are."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """For `AzureTables` and the SDK."""
        return connection_string(self.port)

    def stop(self) -> None:
        """Ends it with SIGINT: after any other signal it would lose what it holds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS_MAX)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def connection_string(port: int) -> str:
    """The connection string of an Azurite, or of a proxy before it, on this port."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"TableEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )


def free_port() -> int:
    """A port that no one listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_azurite(service: str = "table") -> Azurite:
    """Starts one, `table` or `blob`, and returns when it serves. The caller stops it."""
    node = shutil.which("node")
    if node is None or not (BINARIES / f"azurite-{service}").exists():
        raise RuntimeError("Azurite is not installed: run `make setup` (it needs Node.js).")
    for _ in range(STARTS_MAX):
        started = _start(node, service, free_port())
        if started is not None:
            return started
    raise RuntimeError("Azurite does not start.")


def _start(node: str, service: str, port: int) -> Azurite | None:
    """None when it died, for instance because someone else took the port."""
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    address = [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    guard = [
        sys.executable,
        str(ROOT / "local/child.py"),
        str(os.getpid()),
        str(int(signal.SIGINT)),
    ]
    lean = [node, "--require", str(ROOT / "local/azurite_start.js")]
    process = subprocess.Popen(
        [*guard, *lean, str(BINARIES / f"azurite-{service}"), *options, *address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A Ctrl-C in the terminal is for pytest, which then stops this by itself.
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return Azurite(process, port)
    process.send_signal(signal.SIGINT)
    process.wait(STOP_SECONDS_MAX)
    return None

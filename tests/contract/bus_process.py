"""The bus stand-in as a process of its own, for the tests that need one."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 40.0


class BusProcess:
    """A bus on a free port, with its own data; started again on the same port and data."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._folder = folder
        (folder / "config.json").write_text(json.dumps(config))
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            other.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
            self._management_port: int = other.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=local;"
            "SharedAccessKey=local;UseDevelopmentEmulator=true;"
        )

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self._management_port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "local.bus", "--port", str(self.port)]
        command += ["--management-port", str(self._management_port)]
        files = [
            "--data",
            str(self._folder / "data"),
            "--config",
            str(self._folder / "config.json"),
        ]
        self._process = subprocess.Popen(
            command + files, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"bus ready on 127.0.0.1:{self.port}\n"

    def kill(self) -> None:
        """As `kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(WAIT_SECONDS)

    def freeze(self) -> None:
        """Connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> int:
        """As SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(WAIT_SECONDS)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition with a deadline."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)

"""One process of the laptop stack: started, watched, stopped."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
STOP_SECONDS_MAX = 10.0  # what a part gets to end before it is killed
PORT_TRIES_MAX = 100
LOG_TAIL_BYTES = 3_000
READY_LINE = b"ready: "
_CHILD = Path(__file__).with_name("child.py").resolve()
_ROOT = _CHILD.parent.parent


class StackError(Exception):
    """The stack can't carry out the request; the text is the reason, for people."""


class Part:
    """A process in a separate group, ready when its port answers or, without one, when its log
    shows that.

    It must be started by a thread that outlives it: Linux sends the parent-death signal when the
    thread that started the process ends.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        environment: dict[str, str],
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        port: int | None = None,
        keeps_open: int | None = None,
    ) -> None:
        """`keeps_open` is a file descriptor that the process inherits."""
        self.name = name
        self.is_ready = False
        self.started_at = 0.0  # monotonic
        self._command = command
        self._environment = environment
        self._log = log
        self._log_start = 0
        self._stop_signal = stop_signal
        self._port = port
        self._pass_fds = () if keeps_open is None else (keeps_open,)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """True if the process was started and has ended."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start the process; its output is appended to its log."""
        self.is_ready = False
        self.started_at = time.monotonic()
        parent, number = str(os.getpid()), str(int(self._stop_signal))
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-IS", str(_CHILD), parent, number, *self._command],
                cwd=_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                pass_fds=self._pass_fds,
            )

    def check_ready(self) -> bool:
        """Check once whether it is ready by now, without waiting."""
        if not self.is_ready and not self.has_ended:
            if self._port is None:
                self.is_ready = READY_LINE in self._printed()
            else:
                with socket.socket() as probe:
                    self.is_ready = probe.connect_ex((LOOPBACK, self._port)) == 0
        return self.is_ready

    def request_stop(self) -> None:
        """Send the signal that it ends well on."""
        if self._process is not None and not self.has_ended:
            self._process.send_signal(self._stop_signal)

    def wait_stopped(self) -> None:
        """Wait for its end; kill it, and what it started, if that takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.is_ready = False

    def log_tail(self) -> str:
        """The last that it printed."""
        return self._printed()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")

    def _printed(self) -> bytes:
        """Since it was started last."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()


def free_port() -> int:
    """An unused port of the loopback address, below those that clients get.

    So no client can take it while the part that owns it is started again.
    """
    for _ in range(PORT_TRIES_MAX):
        port = random.randrange(20_000, 32_000)  # noqa: S311 (no secret)
        if port_is_free(port):
            return port
    raise StackError("no free port was found: end programs that use ports 20000 to 31999")


def port_is_free(port: int) -> bool:
    """True if a server could bind the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

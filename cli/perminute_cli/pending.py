"""Idempotency keys of requests whose answer is still out: a repeated command uses the same key.

A key is stored before its request is sent and removed when the answer is known. Its file is locked
while its process runs, so that two commands at the same time are two requests, and the key of a
process that was killed is free at once.
"""

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: commands at the same time are one request there
    fcntl = None  # type: ignore[assignment]

KEPT_SECONDS = 24 * 3600


@dataclass
class PendingKey:
    """A key and the file that holds it. `is_repeated`: an earlier run got no answer. `why_lost`:
    why the key could not be stored."""

    key: str
    path: Path | None = None
    is_repeated: bool = False
    why_lost: str = ""

    def settle(self) -> None:
        """The answer is known."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def folder() -> Path:
    """The folder of the keys."""
    place = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(place) / "perminute" / "pending"


@contextlib.contextmanager
def pending_key(base_url: str, path: str, body: object, stated: str | None) -> Iterator[PendingKey]:
    """The key of a request: the stated one, that of an earlier run without an answer, or a new
    one. Call `settle` on it once the answer is known."""
    if stated is not None:
        yield PendingKey(stated)
        return
    content = json.dumps([base_url, path, body], sort_keys=True)
    name = hashlib.sha256(content.encode()).hexdigest()[:32]
    descriptor = None
    try:
        try:
            descriptor, found = _taken_over(name) or _made(name)
        except (OSError, RuntimeError) as error:  # no home, or one that can't be written
            found = PendingKey(f"cli-{uuid.uuid4()}", why_lost=str(error))
        yield found
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _made(name: str) -> tuple[int, PendingKey]:
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    key = f"cli-{uuid.uuid4()}"
    path = folder() / f"{name}.{key}.json"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    _lock(descriptor)
    os.write(descriptor, json.dumps({"key": key, "since": time.time()}).encode())
    os.fsync(descriptor)
    return descriptor, PendingKey(key, path)


def _taken_over(name: str) -> tuple[int, PendingKey] | None:
    """The key of an earlier run of the command that has ended without an answer."""
    for path in sorted(folder().glob("*.json")):
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:  # settled meanwhile
            continue
        key = _key_in(descriptor, path)
        if key is not None and path.name.startswith(f"{name}."):
            return descriptor, PendingKey(key, path, is_repeated=True)
        os.close(descriptor)
    return None


def _key_in(descriptor: int, path: Path) -> str | None:
    """The key in a file whose process has ended; a file that is damaged or too old is removed."""
    try:
        _lock(descriptor)
    except OSError:
        return None
    if os.fstat(descriptor).st_nlink == 0:  # settled meanwhile
        return None
    try:
        stored = json.loads(os.read(descriptor, 4096))
        key, since = str(stored["key"]), float(stored["since"])
    except (ValueError, KeyError, TypeError):
        key, since = "", 0.0
    if time.time() - since > KEPT_SECONDS:
        path.unlink(missing_ok=True)
        return None
    return key


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed. Raises OSError where another process has it."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

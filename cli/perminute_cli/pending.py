"""Idempotency keys of requests whose answer is still out: a repeated command uses the same key.

A key is stored before its request is sent and removed when the answer is known. A process that
still runs waits for its own answer, so that two commands at the same time are two requests.
"""

import hashlib
import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from perminute_cli.connection import write_private

KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class PendingKey:
    """A key and the file that holds it. `is_repeated`: an earlier run got no answer."""

    key: str
    path: Path | None
    is_repeated: bool = False
    since: float = 0.0

    def settle(self) -> None:
        """The answer is known."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def folder() -> Path:
    """The folder of the keys."""
    place = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(place) / "perminute" / "pending"


def key_for(base_url: str, path: str, body: object, stated: str | None) -> PendingKey:
    """The key of a request: the stated one, that of an earlier run without an answer, or a new
    one. Call `settle` on it once the answer is known."""
    if stated is not None:
        return PendingKey(stated, None)
    content = json.dumps([base_url, path, body], sort_keys=True)
    name = hashlib.sha256(content.encode()).hexdigest()[:32]
    for old in sorted(folder().glob(f"{name}.*.json")):
        try:
            said = json.loads(old.read_text("utf-8"))
            key, since, process = str(said["key"]), float(said["since"]), int(said["process"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if time.time() - since > KEPT_SECONDS:
            old.unlink(missing_ok=True)
        elif not _runs(process):
            mine = folder() / f"{name}.{os.getpid()}.json"
            try:
                old.rename(mine)  # of two commands one gets it
            except OSError:
                continue
            _write(mine, key, since)
            return PendingKey(key, mine, True, since)
    key, since = f"cli-{uuid.uuid4()}", time.time()
    mine = folder() / f"{name}.{os.getpid()}.json"
    _write(mine, key, since)
    return PendingKey(key, mine, False, since)


def _write(path: Path, key: str, since: float) -> None:
    write_private(path, json.dumps({"key": key, "since": since, "process": os.getpid()}))


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # an earlier command of this process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

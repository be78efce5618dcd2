#!/usr/bin/env python3
"""Keeps posts for Perminute on disk until Perminute has accepted them.

A program that must not wait, or may be killed, calls `Spool(folder).put(path, body)`: the post is
on disk when `put` returns. `put("dial-outs", request, key)` withdraws a request whose answer was
lost: it is repeated under its key, and its hold is released. One process of

    python3 spool.py FOLDER

posts the files, oldest first, and again after an outage, however long it was. Two processes, or a
crash between a post and its removal, post a file twice; Perminute accepts it once. A file whose
program was killed within `put` is posted a minute later, if the file is whole. A post that
Perminute refuses permanently (400, 404, 409, 413, 415, 422) is moved to FOLDER/refused for a person
to read. With `--once` the program posts once and ends with 0 if no file is left.

The environment names the bridge: PERMINUTE_URL, PERMINUTE_BRIDGE, PERMINUTE_USER and
PERMINUTE_SECRET. Python 3.9 or later.
"""

import contextlib
import json
import os
import sys
import time
import urllib.error
import uuid
from pathlib import Path
from typing import Any

from perminute import Perminute

POLL_SECONDS = 0.2
PAUSE_SECONDS_MAX = 30.0  # between two tries during an outage
UNFINISHED_SECONDS_MAX = 60.0  # no program needs longer to write a file
REFUSALS = (400, 404, 409, 413, 415, 422)


class Spool:
    """A folder with one file per post: a JSON array of path, body and idempotency key."""

    def __init__(self, folder: "str | os.PathLike[str]") -> None:
        """The folder and its two subfolders are made where they are missing."""
        self.folder = Path(folder)
        self.refused = self.folder / "refused"
        self._unfinished = self.folder / "unfinished"
        for each in (self.folder, self.refused, self._unfinished):
            each.mkdir(parents=True, exist_ok=True)

    def put(self, path: str, body: Any, key: str = "") -> None:
        """Keep a post. Raises OSError where the disk does not take it."""
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.json"
        unfinished = self._unfinished / name
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump([path, body, key], file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self.folder / name)  # a reader sees the whole file or none
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def waiting(self) -> "list[Path]":
        """The posts that wait, oldest first."""
        return sorted(self.folder.glob("*.json"))

    def post_all(self, perminute: Perminute) -> float:
        """Post the waiting files. Returns the seconds that Perminute requests to wait, -1 if all
        were posted.

        A post that Perminute can't take now does not keep the others waiting; without a connection
        the round ends.
        """
        self._adopt()
        pause = -1.0
        for file in self.waiting():
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                continue  # another process was faster
            except OSError as error:  # it keeps no other file waiting
                print(f"{file.name} can't be read: {error}", file=sys.stderr, flush=True)
                pause = max(pause, 0.0)
                continue
            try:
                path, body, key = json.loads(content)
                authorization = perminute.post(path, body, key).get("authorization")
                if path == "dial-outs" and authorization:
                    perminute.release(authorization)
            except urllib.error.HTTPError as error:
                if error.code in REFUSALS:
                    self._refuse(file, f"{error.code} {error.read().decode('utf-8', 'replace')}")
                else:
                    pause = max(pause, _seconds(error.headers.get("retry-after")))
                continue
            except (ValueError, TypeError) as error:
                self._refuse(file, f"no post: {error}")
                continue
            except OSError:
                return max(pause, 0.0)
            file.unlink(missing_ok=True)
        return pause

    def _adopt(self) -> None:
        """Take the files of programs that were killed before they renamed them."""
        for file in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):  # the program was only slow
                if time.time() - file.stat().st_mtime > UNFINISHED_SECONDS_MAX:
                    file.rename(self.folder / file.name)

    def _refuse(self, file: Path, reason: str) -> None:
        print(f"{file.name} was refused: {reason}", file=sys.stderr, flush=True)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            file.rename(self.refused / file.name)


def _seconds(text: "str | None") -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0


def main(arguments: "list[str]") -> int:
    """`FOLDER`, or `--once FOLDER`."""
    spool, perminute = Spool(arguments[-1]), Perminute.from_environment()
    if "--once" in arguments:
        spool.post_all(perminute)
        return 1 if spool.waiting() else 0
    pause = POLL_SECONDS
    while True:
        requested = spool.post_all(perminute)
        pause = POLL_SECONDS if requested < 0 else min(PAUSE_SECONDS_MAX, max(requested, 2 * pause))
        time.sleep(pause)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(0)

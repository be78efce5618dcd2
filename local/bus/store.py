"""What the bus must find again after `kill -9`: one SQLite file, one commit per burst of frames."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from local.bus import codec

ACTIVE, DEFERRED, SCHEDULED = 0, 1, 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    sequence_number INTEGER PRIMARY KEY, entity TEXT NOT NULL, state INTEGER NOT NULL,
    attempts INTEGER NOT NULL, enqueued_ms INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
    entity TEXT NOT NULL, message_id TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, message_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, sequence_number INTEGER NOT NULL);
INSERT OR IGNORE INTO counter VALUES (1, 0);
"""


@dataclass(slots=True)
class Stored:
    """A message in the broker. `attempts` counts deliveries; token and lock end are not kept."""

    sequence_number: int
    envelope: codec.Envelope
    enqueued_ms: int
    attempts: int = 0
    state: int = ACTIVE
    token: UUID | None = None
    locked_until_ms: int = 0


class Store:
    """Writes join one transaction until `commit`. Only one process can have the file open."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "bus.sqlite", isolation_level=None)
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL survives the death of the process; only a power cut could lose the end.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._dirty = False
        row = self._database.execute("SELECT sequence_number FROM counter").fetchone()
        self._sequence_number: int = row[0]

    def next_sequence_number(self) -> int:
        """Grows for ever, over restarts too, and is shared by all entities."""
        self._sequence_number += 1
        return self._sequence_number

    def messages(self) -> Iterator[tuple[str, Stored]]:
        """(entity, message) of everything that is kept, in order."""
        for number, entity, state, attempts, enqueued_ms, content in self._database.execute(
            "SELECT sequence_number, entity, state, attempts, enqueued_ms, content FROM messages"
            " ORDER BY sequence_number"
        ):
            yield entity, Stored(number, codec.parse(content), enqueued_ms, attempts, state)

    def seen(self) -> list[tuple[str, str, int]]:
        """(entity, message id, ms until when it counts as seen), the oldest first."""
        return self._database.execute("SELECT * FROM seen ORDER BY until_ms").fetchall()

    def insert(self, entity: str, message: Stored) -> None:
        """Keeps a new message, or an old one under another entity or with other content."""
        content = codec.encode_stored(message.envelope)
        self._write(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
            message.sequence_number,
            entity,
            message.state,
            message.attempts,
            message.enqueued_ms,
            content,
        )

    def update(self, message: Stored) -> None:
        """Keeps the state and attempts of a message."""
        self._write(
            "UPDATE messages SET state = ?, attempts = ? WHERE sequence_number = ?",
            message.state,
            message.attempts,
            message.sequence_number,
        )

    def delete(self, message: Stored) -> None:
        """Forgets a message."""
        self._write(
            "DELETE FROM messages WHERE sequence_number = ?",
            message.sequence_number,
        )

    def remember(self, entity: str, message_id: str, until_ms: int) -> None:
        """Keeps a message id for duplicate detection."""
        self._write("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", entity, message_id, until_ms)

    def forget(self, entity: str, message_id: str) -> None:
        """Drops a message id whose window has passed."""
        self._write("DELETE FROM seen WHERE entity = ? AND message_id = ?", entity, message_id)

    def commit(self) -> None:
        """Makes everything since the last commit durable; does nothing if there is nothing."""
        if self._dirty:
            self._database.execute(
                "UPDATE counter SET sequence_number = ?", [self._sequence_number]
            )
            self._database.execute("COMMIT")
            self._dirty = False

    def close(self) -> None:
        """Commits and closes the file."""
        self.commit()
        self._database.close()

    def _write(self, statement: str, *values: str | int | bytes) -> None:
        if not self._dirty:
            self._database.execute("BEGIN")
            self._dirty = True
        self._database.execute(statement, values)

"""Queues, topics and their messages, all in one SQLite file. Knows nothing of AMQP links.

A message can be taken from its instant `visible_ms` on: its arrival, its scheduled time, the end
of its lock. Writes join one transaction until `commit`, which the server calls once per burst of
frames, before any answer leaves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from local.bus import codec

DEAD_LETTERS = "$deadletterqueue"
MESSAGE_BYTES_MAX = 256 * 1024
ACTIVE, SCHEDULED = 0, 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, origin INTEGER,
    visible_ms INTEGER NOT NULL, enqueued_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    token BLOB, header BLOB NOT NULL, annotations BLOB NOT NULL, annotations_count INTEGER NOT NULL,
    bare BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS in_order ON messages (queue, number, visible_ms);
CREATE INDEX IF NOT EXISTS locked ON messages (token, visible_ms) WHERE token IS NOT NULL;
CREATE INDEX IF NOT EXISTS copies ON messages (origin) WHERE origin IS NOT NULL;
CREATE TABLE IF NOT EXISTS seen (
    entity TEXT NOT NULL, message_id TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, message_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS forgettable ON seen (until_ms);
"""
_COLUMNS = "number, enqueued_ms, attempts, header, annotations, annotations_count, bare"


@dataclass(frozen=True, slots=True)
class Target:
    """What is sent to: a queue, or a topic with the queues of its subscriptions."""

    name: str
    queues: tuple[str, ...]
    duplicate_window_ms: int
    message_bytes_max: int


@dataclass(frozen=True, slots=True)
class Source:
    """What is received from: a queue, a subscription or the dead-letter queue of one."""

    name: str
    lock_ms: int
    deliveries_max: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A message for a receiver, encoded; without a token it is gone from the queue already."""

    number: int
    content: bytes
    token: UUID | None


class Broker:
    """All entities of a configuration. Addresses are in lower case."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.targets: dict[str, Target] = {}
        self.sources: dict[str, Source] = {}
        for queue in config.get("queues", []):
            self._add_target(queue, [self._add_source(queue["name"], queue)])
        for topic in config.get("topics", []):
            inner = topic.get("subscriptions", [])
            names = [f"{topic['name']}/subscriptions/{one['name']}" for one in inner]
            sources = [self._add_source(n, one) for n, one in zip(names, inner, strict=True)]
            self._add_target(topic, sources)
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "bus.sqlite", autocommit=True)
        # In WAL mode NORMAL survives the death of the process; only a power cut can lose the end.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)
        self._database.autocommit = False
        # Whoever held a lock has lost its link with us: its messages come again at once, counted.
        self._database.execute("UPDATE messages SET visible_ms = 0 WHERE token IS NOT NULL")
        self.commit()

    def commit(self) -> None:
        """Makes everything since the last commit durable."""
        self._database.commit()

    def close(self) -> None:
        """Closes the file; what is not committed is forgotten."""
        self._database.close()

    def accept(self, target: Target, envelopes: Sequence[codec.Envelope], now_ms: int) -> list[int]:
        """Takes messages in; their sequence numbers. A duplicate is dropped without a word."""
        numbers = []
        for envelope in envelopes:
            number = 0
            if not self._is_duplicate(target, envelope.message_id, now_ms):
                due_ms = max(envelope.scheduled_ms or 0, now_ms)
                for queue in target.queues:
                    number = self._insert(queue, envelope, due_ms, number or None) or number
            numbers.append(number)
        return numbers

    def cancel(self, number: int, now_ms: int) -> bool:
        """Removes a scheduled message by its number; False if none is waiting under it."""
        cursor = self._database.execute(
            "DELETE FROM messages WHERE (number = ?1 OR origin = ?1) AND visible_ms > ?2"
            " AND token IS NULL",
            (number, now_ms),
        )
        return cursor.rowcount > 0

    def take(self, source: Source, count: int, now_ms: int, *, lock: bool) -> list[Taken]:
        """The next messages in order, locked or removed."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE queue = ? AND visible_ms <= ?"
            " AND token IS NULL ORDER BY number LIMIT ?",
            (source.name, now_ms, count),
        ).fetchall()
        until_ms = now_ms + source.lock_ms if lock else None
        taken = [Taken(r[0], _encoded(r, until_ms), uuid4() if lock else None) for r in rows]
        if until_ms is None:
            done = [(one.number,) for one in taken]
            self._database.executemany("DELETE FROM messages WHERE number = ?", done)
        else:
            locks = [(m.token.bytes, until_ms, m.number) for m in taken if m.token]
            self._database.executemany(
                "UPDATE messages SET token = ?, visible_ms = ?, attempts = attempts + 1"
                " WHERE number = ?",
                locks,
            )
        return taken

    def peek(self, source: Source, first_number: int, count: int, now_ms: int) -> list[bytes]:
        """Messages in order, locked and scheduled ones too, encoded; nothing changes."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS}, token IS NULL AND visible_ms > ? FROM messages"
            " WHERE queue = ? AND number >= ? ORDER BY number LIMIT ?",
            (now_ms, source.name, first_number, count),
        )
        return [_encoded(row[:-1], None, SCHEDULED if row[-1] else ACTIVE) for row in rows]

    def complete(self, token: UUID, now_ms: int) -> bool:
        """Removes a locked message; False if the lock is lost, as for all that follow."""
        return self._change("DELETE FROM messages", token, now_ms)

    def renew(self, source: Source, token: UUID, now_ms: int) -> int | None:
        """When the lock ends now, in ms; None if it is lost."""
        until_ms = now_ms + source.lock_ms
        held = self._change(f"UPDATE messages SET visible_ms = {until_ms}", token, now_ms)
        return until_ms if held else None

    def abandon(self, token: UUID, now_ms: int, *, counted: bool) -> bool:
        """Gives a locked message back; uncounted: as if it had never been delivered."""
        uncounted = 0 if counted else 1
        change = f"UPDATE messages SET visible_ms = 0, attempts = attempts - {uncounted}"
        held = self._change(change, token, now_ms)
        self.end_locks(now_ms)
        return held

    def dead_letter(self, token: UUID, now_ms: int, properties: dict[str, str]) -> bool:
        """Moves a locked message to the dead-letter queue with these properties set."""
        row = self._database.execute(
            "SELECT number, bare FROM messages WHERE token = ? AND visible_ms > ?",
            (token.bytes, now_ms),
        ).fetchone()
        if row is not None:
            self._bury(row[0], row[1], properties)
        return row is not None

    def end_locks(self, now_ms: int) -> None:
        """Offers the messages again whose locks have ended, or buries them after too many."""
        rows = self._database.execute(
            "SELECT number, queue, attempts, bare FROM messages"
            " WHERE token IS NOT NULL AND visible_ms <= ?",
            (now_ms,),
        ).fetchall()
        for number, queue, attempts, bare in rows:
            source = self.sources.get(queue)
            if source and source.deliveries_max and attempts >= source.deliveries_max:
                text = f"{attempts} deliveries without a completion"
                reason = {"DeadLetterReason": "MaxDeliveryCountExceeded"}
                self._bury(number, bare, reason | {"DeadLetterErrorDescription": text})
            else:
                self._database.execute(
                    "UPDATE messages SET token = NULL WHERE number = ?", (number,)
                )

    def forget_seen(self, now_ms: int) -> None:
        """Drops message ids whose duplicate window has passed."""
        self._database.execute("DELETE FROM seen WHERE until_ms <= ?", (now_ms,))

    def _change(self, change: str, token: UUID, now_ms: int) -> bool:
        sql = f"{change} WHERE token = ? AND visible_ms > ?"
        return self._database.execute(sql, (token.bytes, now_ms)).rowcount > 0

    def _bury(self, number: int, bare: bytes, properties: dict[str, str]) -> None:
        self._database.execute(
            "UPDATE messages SET queue = queue || ?, bare = ?, token = NULL, visible_ms = 0"
            " WHERE number = ?",
            (f"/{DEAD_LETTERS}", codec.with_properties(bare, properties), number),
        )

    def _insert(
        self, queue: str, envelope: codec.Envelope, due_ms: int, origin: int | None
    ) -> int | None:
        """The new number, for copies of another message (`origin`) None."""
        cursor = self._database.execute(
            "INSERT INTO messages (queue, origin, visible_ms, enqueued_ms, header, annotations,"
            " annotations_count, bare) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (queue, origin, due_ms, due_ms, envelope.header, envelope.annotations,
             envelope.annotations_count, envelope.bare),
        )  # fmt: skip
        return cursor.lastrowid if origin is None else None

    def _is_duplicate(self, target: Target, message_id: str | None, now_ms: int) -> bool:
        if not target.duplicate_window_ms or message_id is None:
            return False
        cursor = self._database.execute(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
            " SET until_ms = excluded.until_ms WHERE until_ms <= ?",
            (target.name, message_id, now_ms + target.duplicate_window_ms, now_ms),
        )
        return cursor.rowcount == 0

    def _add_source(self, name: str, settings: dict[str, Any]) -> str:
        name, lock_ms = name.lower(), int(float(settings.get("lock_seconds", 60)) * 1000)
        deliveries_max = int(settings.get("max_delivery_count", 10))
        self.sources[name] = Source(name, lock_ms, deliveries_max)
        self.sources[f"{name}/{DEAD_LETTERS}"] = Source(f"{name}/{DEAD_LETTERS}", lock_ms, None)
        return name

    def _add_target(self, settings: dict[str, Any], queues: list[str]) -> None:
        window_ms = int(float(settings.get("duplicate_window_seconds", 0)) * 1000)
        bytes_max = int(settings.get("max_message_bytes", MESSAGE_BYTES_MAX))
        name = settings["name"].lower()
        self.targets[name] = Target(name, tuple(queues), window_ms, bytes_max)


def _encoded(row: Sequence[Any], locked_until_ms: int | None, state: int = ACTIVE) -> bytes:
    number, enqueued_ms, attempts, *envelope = row
    return codec.encode_delivery(
        codec.Envelope(*envelope),
        delivery_count=attempts,
        sequence_number=number,
        enqueued_ms=enqueued_ms,
        locked_until_ms=locked_until_ms,
        state=state,
    )

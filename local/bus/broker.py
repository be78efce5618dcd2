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
    number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL,
    visible_ms INTEGER NOT NULL, enqueued_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    token BLOB, header BLOB NOT NULL, annotations BLOB NOT NULL, annotations_count INTEGER NOT NULL,
    bare BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS in_order ON messages (queue, enqueued_ms, number);
CREATE INDEX IF NOT EXISTS locked ON messages (token, visible_ms) WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS seen (
    entity TEXT NOT NULL, message_id TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (entity, message_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS forgettable ON seen (until_ms);
"""
_SELECT = """SELECT number, enqueued_ms, attempts, header, annotations, annotations_count, bare,
    token IS NULL AND visible_ms > :now FROM messages WHERE queue = :queue"""
_NEXT = (
    _SELECT + " AND visible_ms <= :now AND token IS NULL ORDER BY enqueued_ms, number LIMIT :count"
)
_FROM = _SELECT + " AND number >= :first ORDER BY number LIMIT :count"


@dataclass(frozen=True, slots=True)
class Target:
    """A target of messages: a queue, or a topic with the queues of its subscriptions."""

    name: str
    queues: tuple[str, ...]
    duplicate_window_ms: int
    message_bytes_max: int


@dataclass(frozen=True, slots=True)
class MessageSource:
    """A source of messages: a queue, a subscription or the dead-letter queue of one."""

    name: str
    lock_ms: int
    deliveries_max: int | None


@dataclass(frozen=True, slots=True)
class LockedMessage:
    """A message for a receiver, encoded, and the token of its lock."""

    content: bytes
    token: UUID


class Broker:
    """All entities of a configuration. Addresses are in lower case."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.targets: dict[str, Target] = {}
        self.sources: dict[str, MessageSource] = {}
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
        """Closes the file; uncommitted changes are lost."""
        self._database.close()

    def accept(self, target: Target, envelopes: Sequence[codec.Envelope], now_ms: int) -> list[int]:
        """Takes messages in; their sequence numbers. A duplicate is dropped without a word."""
        numbers = []
        for envelope in envelopes:
            number = 0
            if not self._is_duplicate(target, envelope.message_id, now_ms):
                due_ms = max(envelope.scheduled_ms or 0, now_ms)
                for queue in target.queues:
                    number = self._insert(queue, envelope, due_ms)
            numbers.append(number)
        return numbers

    def take(self, source: MessageSource, count: int, now_ms: int) -> list[LockedMessage]:
        """The next messages, the longest there first, locked."""
        rows = self._database.execute(
            _NEXT, {"queue": source.name, "now": now_ms, "count": count}
        ).fetchall()
        until_ms = now_ms + source.lock_ms
        tokens = [uuid4() for _ in rows]
        self._database.executemany(
            "UPDATE messages SET token = ?, visible_ms = ?, attempts = attempts + 1"
            " WHERE number = ?",
            [(token.bytes, until_ms, row[0]) for token, row in zip(tokens, rows, strict=True)],
        )
        return [
            LockedMessage(_encoded(row, until_ms), token)
            for token, row in zip(tokens, rows, strict=True)
        ]

    def peek(
        self, source: MessageSource, first_number: int, count: int, now_ms: int
    ) -> list[bytes]:
        """Messages in order, locked and scheduled ones too, encoded; nothing changes."""
        rows = self._database.execute(
            _FROM, {"queue": source.name, "first": first_number, "now": now_ms, "count": count}
        )
        return [_encoded(row, None) for row in rows]

    def complete(self, token: UUID, now_ms: int) -> bool:
        """Removes a locked message; False if the lock is lost, as for all that follow."""
        number = self._held(token, now_ms)
        self._database.execute("DELETE FROM messages WHERE number = ?", (number,))
        return number is not None

    def abandon(self, token: UUID, now_ms: int, *, counted: bool) -> bool:
        """Gives a locked message back; uncounted: as if it had never been delivered."""
        number = self._held(token, now_ms)
        self._database.execute(
            "UPDATE messages SET visible_ms = 0, attempts = attempts - ? WHERE number = ?",
            (0 if counted else 1, number),
        )
        self.end_locks(now_ms)
        return number is not None

    def dead_letter(self, token: UUID, now_ms: int, properties: dict[str, str]) -> bool:
        """Moves a locked message to the dead-letter queue with these properties set."""
        number = self._held(token, now_ms)
        if number is not None:
            self._bury(number, properties)
        return number is not None

    def bury(self, name: str, envelope: codec.Envelope, now_ms: int) -> None:
        """Puts a message straight into the dead-letter queue of a queue or subscription."""
        self._insert(f"{name}/{DEAD_LETTERS}", envelope, now_ms)

    def counts(self, name: str, now_ms: int) -> dict[str, int]:
        """The messages of a queue or subscription: active, scheduled, dead-lettered."""
        rows = self._database.execute(
            "SELECT queue <> :queue, token IS NULL AND visible_ms > :now, count(*) FROM messages"
            " WHERE queue IN (:queue, :dead) GROUP BY 1, 2",
            {"queue": name, "dead": f"{name}/{DEAD_LETTERS}", "now": now_ms},
        )
        found = dict.fromkeys(("Active", "Scheduled", "DeadLetter"), 0)
        for is_dead, is_scheduled, count in rows:
            found["DeadLetter" if is_dead else "Scheduled" if is_scheduled else "Active"] += count
        return found

    def end_locks(self, now_ms: int) -> None:
        """Offers the messages again whose locks have ended, or buries them after too many."""
        rows = self._database.execute(
            "SELECT number, queue, attempts FROM messages"
            " WHERE token IS NOT NULL AND visible_ms <= ?",
            (now_ms,),
        ).fetchall()
        for number, queue, attempts in rows:
            source = self.sources.get(queue)
            if source and source.deliveries_max and attempts >= source.deliveries_max:
                text = f"{attempts} deliveries without a completion"
                reason = {"DeadLetterReason": "MaxDeliveryCountExceeded"}
                self._bury(number, reason | {"DeadLetterErrorDescription": text})
            else:
                self._database.execute(
                    "UPDATE messages SET token = NULL WHERE number = ?", (number,)
                )

    def forget_seen(self, now_ms: int) -> None:
        """Drops message ids whose duplicate window has passed."""
        self._database.execute("DELETE FROM seen WHERE until_ms <= ?", (now_ms,))

    def _held(self, token: UUID, now_ms: int) -> int | None:
        row = self._database.execute(
            "SELECT number FROM messages WHERE token = ? AND visible_ms > ?", (token.bytes, now_ms)
        ).fetchone()
        return row[0] if row else None

    def _bury(self, number: int, properties: dict[str, str]) -> None:
        bare = "SELECT bare FROM messages WHERE number = ?"
        changed = codec.with_properties(
            self._database.execute(bare, (number,)).fetchone()[0], properties
        )
        self._database.execute(
            "UPDATE messages SET queue = queue || ?, bare = ?, token = NULL, visible_ms = 0"
            " WHERE number = ?",
            (f"/{DEAD_LETTERS}", changed, number),
        )

    def _insert(self, queue: str, envelope: codec.Envelope, due_ms: int) -> int:
        cursor = self._database.execute(
            "INSERT INTO messages (queue, visible_ms, enqueued_ms, header, annotations,"
            " annotations_count, bare) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (queue, due_ms, due_ms, envelope.header, envelope.annotations,
             envelope.annotations_count, envelope.bare),
        )  # fmt: skip
        return cursor.lastrowid or 0

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
        self.sources[name] = MessageSource(name, lock_ms, deliveries_max)
        self.sources[f"{name}/{DEAD_LETTERS}"] = MessageSource(
            f"{name}/{DEAD_LETTERS}", lock_ms, None
        )
        return name

    def _add_target(self, settings: dict[str, Any], queues: list[str]) -> None:
        window_ms = int(float(settings.get("duplicate_window_seconds", 0)) * 1000)
        bytes_max = int(settings.get("max_message_bytes", MESSAGE_BYTES_MAX))
        name = settings["name"].lower()
        self.targets[name] = Target(name, tuple(queues), window_ms, bytes_max)


def _encoded(row: Sequence[Any], locked_until_ms: int | None) -> bytes:
    number, enqueued_ms, attempts, *envelope, is_scheduled = row
    return codec.encode_delivery(
        codec.Envelope(*envelope),
        delivery_count=attempts,
        sequence_number=number,
        enqueued_ms=enqueued_ms,
        locked_until_ms=locked_until_ms,
        state=SCHEDULED if is_scheduled else ACTIVE,
    )

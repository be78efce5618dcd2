"""The points at which a process may die and someone has to put things right: one list for the
simulator, whose processes end at them, and for the tests that kill real ones.

A point is named by what is being done (`act`), by the call to the outside (`queue`, `topic`, a
receiver, a blob or a table) and by how far that is: `before` it, `landed` (done, but the answer has
not come), `after`.

Other products have points that this one has not:
- a hold that a reaper takes away: it counts for nothing from its instant on, whatever removes it;
- a mark beside an anchored day: the blob's name says which day, and the first blob of a day stays;
- a dead letter that is sent again: what fails is sent again by us (`leg.sent_again`) or parked
  (`parked.charged`), so there are none to drain;
- a half migrated table: rows are never rewritten, each says its schema and is read as that one.
"""

from collections.abc import Sequence

from shared.adapters.delivery import delivery_store
from shared.adapters.ledger import rows
from shared.domain.credits.alerts import RECHARGE_REQUESTED
from shared.domain.ledger.model import Entry, EntryKind
from shared.ports.queues import Message
from shared.ports.tables import Delete, Insert, Operation, Row, Upsert

PUTS_IT_RIGHT = {
    "webhook.verified": "nothing is stored; the bridge had no 2xx and posts again",
    "webhook.sent": "queued without an answer; the bridge posts again, the repetition is absorbed",
    "webhook.spilled": "the leg is in the inbox; a timer forwards it",
    "inbox.sent": "queued, and still in the inbox; sent again under the same message id",
    "event.kept": "kept with its mark, and no leg is sent; a timer assembles the call again",
    "event.sent": "the leg is queued, the mark is still there; the leg is sent again, the guard",
    "batch.received": "the lock ends, the message is delivered again",
    "batch.resolved": "the claim is there; the next delivery uses it",
    "commit.decided": "nothing is written; the next delivery decides again",
    "commit.sent": "written, and no process knows it; the next delivery finds the guard",
    "commit.acked": "written, and the message is not completed; the next delivery finds the guard",
    "leg.sent_again": "queued again, and the first message exists; the guard admits one debit",
    "park.written": "parked, and still queued; the id of a parked leg is derived from its content",
    "outbox.published": "published, and still in the outbox; published again under the same id",
    "outbox.deleted": "nothing is left to do",
    "recharge.requested": "in flight by the commit that has its event; a timer publishes the event",
    "recharge.sent": "the payment side has the request, the outbox too; sent again, same id",
    "recharge.credited": "credited without an answer; a repeated answer changes nothing",
    "topup.acked": "credited without an answer; the same key gives the same answer",
    "hold.placed": "held without an answer; the same key gives the same authorization",
    "hold.extended": "extended without an answer; the target is absolute",
    "lots.expired": "the expiry is booked, its mark is still there; an empty lot does not expire",
    "card.published": "the version is there without an answer; it is put again",
    "parked.charged": "charged, and open among the parked; replayed again, the guard answers",
    "delivery.kept": "kept for its receiver, the topic's message is not completed; kept once",
    "delivery.posted": "received, and the result is not stored; posted again under the same id",
    "checkpoint.written": "a day is anchored, the audit not over; the first anchors of a day stay",
    "restore.half": "some rows are rebuilt, the state is not; the next restore writes all of them",
}
"""Every point, with what makes good what was left undone."""

POINTS = tuple(PUTS_IT_RIGHT)

_BY_QUEUE = {
    ("call_ended", "before"): "webhook.verified",
    ("call_ended", "after"): "webhook.sent",
    ("event_posted", "after"): "event.sent",
    ("forward_inbox", "after"): "inbox.sent",
    ("rate_and_debit", "after"): "leg.sent_again",
}
_COMMIT = {"before": "commit.decided", "landed": "commit.sent", "after": "commit.acked"}
_AFTER_WRITE = {
    ("call_ended", "inbox"): "webhook.spilled",
    ("event_posted", "calls"): "event.kept",
    ("rate_and_debit", "legs"): "batch.resolved",
    ("rate_and_debit", "parked"): "park.written",
    ("dial_out", "holds"): "hold.placed",
    ("extend", "holds"): "hold.extended",
    ("put_rate_card", "ratecards"): "card.published",
}
_AFTER_BOOKING = {
    "top_up": "topup.acked",
    "replay": "parked.charged",
}


def at_queue(act: str, when: str) -> str | None:
    """The point of a message that is sent."""
    return _BY_QUEUE.get((act, when))


def at_topic(messages: Sequence[Message], when: str) -> str | None:
    """The point of events that are published."""
    if when != "after":
        return None
    requested = any(message.properties.get("type") == RECHARGE_REQUESTED for message in messages)
    return "recharge.sent" if requested else "outbox.published"


def at_post(when: str) -> str | None:
    """The point of an event that is posted to a receiver."""
    return "delivery.posted" if when == "after" else None


def at_blob(when: str) -> str | None:
    """The point of a blob that is written."""
    return "checkpoint.written" if when == "after" else None


def at_read(act: str) -> str | None:
    """The point of a read that is about to be made."""
    return "batch.received" if act == "rate_and_debit" else None


def at_write(act: str, table: str, operations: Sequence[Operation], when: str) -> str | None:
    """The point of a transaction."""
    first = operations[0]
    if table == delivery_store.TABLE:
        is_new = when == "after" and isinstance(first, Insert) and first.key.startswith("event|")
        return "delivery.kept" if is_new else None
    if table != rows.TABLE:
        return _AFTER_WRITE.get((act, table)) if when == "after" else None
    if isinstance(first, Delete):
        return "outbox.deleted" if when == "after" else None
    if isinstance(first, Upsert) and first.key.startswith("journal|"):
        return "restore.half" if when == "after" else None
    return _at_commit(act, operations, when) if first.key == rows.STATE else None


def _at_commit(act: str, operations: Sequence[Operation], when: str) -> str | None:
    if when == "after":
        entries = _entries(operations)
        if any(entry.kind is EntryKind.TOP_UP and entry.recharge for entry in entries):
            return "recharge.credited"
        if _requests_recharge(operations):
            return "recharge.requested"
        if act in _AFTER_BOOKING:
            return _AFTER_BOOKING[act]
        if any(entry.kind is EntryKind.EXPIRY for entry in entries):
            return "lots.expired"
    return _COMMIT[when] if act == "rate_and_debit" else None


def _requests_recharge(operations: Sequence[Operation]) -> bool:
    """Whether a commit puts a recharge into the outbox."""
    return any(
        event.type == RECHARGE_REQUESTED
        for each in operations
        if isinstance(each, Insert) and each.key.startswith("event|")
        for event in rows.read_outbox(Row("", each.key, each.values, "")).events
    )


def _entries(operations: Sequence[Operation]) -> list[Entry]:
    """What a commit books."""
    return [
        entry
        for each in operations
        if isinstance(each, Insert) and each.key.startswith("journal|")
        for entry in rows.read_commit(Row("", each.key, each.values, "")).entries
    ]

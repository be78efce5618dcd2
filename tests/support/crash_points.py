"""The points at which a process may die and somebody has to put things right: one list for the
simulator, whose processes end at them, and for the tests that kill real ones.

A point is told by what is being done (`act`), by the call to the outside (`queue`, `topic` or a
table) and by how far that is: `before` it, `landed` (done, but the answer has not come), `after`.
"""

from collections.abc import Sequence

from shared.adapters import ledger_rows as rows
from shared.domain.ledger import EntryKind
from shared.ports.tables import Delete, Insert, Operation, Row

PUTS_IT_RIGHT = {
    "webhook.verified": "nothing is stored; the bridge had no 2xx and posts again",
    "webhook.sent": "queued without an answer; the bridge posts again, the repetition is absorbed",
    "webhook.spilled": "the leg is in the inbox; a timer sends it on",
    "inbox.sent": "queued, and still in the inbox; sent again under the same message id",
    "batch.received": "the lock ends, the message is delivered again",
    "batch.resolved": "the claim is there; the next delivery uses it",
    "commit.decided": "nothing is written; the next delivery decides again",
    "commit.sent": "written, and nobody knows; the next delivery meets the guard",
    "commit.acked": "written, and the message is not completed; the next delivery meets the guard",
    "leg.sent_again": "queued again for later, and the first message is still there; the guard",
    "park.written": "parked, and still queued; a leg is parked under a name that follows from it",
    "outbox.published": "told, and still in the outbox; told again under the same id",
    "outbox.deleted": "nothing is left to do",
    "topup.acked": "credited without an answer; the same key gives the same answer",
    "hold.placed": "held without an answer; the same key gives the same authorisation",
    "hold.extended": "extended without an answer; the target is absolute",
    "lots.expired": "the expiry is booked, its mark is still there; an empty lot does not expire",
    "card.published": "the version is there without an answer; it is put again",
}
"""Every point, with what makes good what was left undone."""

POINTS = tuple(PUTS_IT_RIGHT)

_BY_QUEUE = {
    ("call_ended", "before"): "webhook.verified",
    ("call_ended", "after"): "webhook.sent",
    ("forward_inbox", "after"): "inbox.sent",
    ("rate_and_debit", "after"): "leg.sent_again",
}
_COMMIT = {"before": "commit.decided", "landed": "commit.sent", "after": "commit.acked"}
_AFTER_WRITE = {
    ("call_ended", "inbox"): "webhook.spilled",
    ("rate_and_debit", "legs"): "batch.resolved",
    ("rate_and_debit", "parked"): "park.written",
    ("dial_out", "holds"): "hold.placed",
    ("extend", "holds"): "hold.extended",
    ("put_rate_card", "ratecards"): "card.published",
}


def at_queue(act: str, when: str) -> str | None:
    """The point of a message that is sent."""
    return _BY_QUEUE.get((act, when))


def at_topic(when: str) -> str | None:
    """The point of an event that is published."""
    return "outbox.published" if when == "after" else None


def at_read(act: str) -> str | None:
    """The point of a read that is about to be made."""
    return "batch.received" if act == "rate_and_debit" else None


def at_write(act: str, table: str, operations: Sequence[Operation], when: str) -> str | None:
    """The point of a transaction."""
    if table != rows.TABLE:
        return _AFTER_WRITE.get((act, table)) if when == "after" else None
    if isinstance(operations[0], Delete):
        return "outbox.deleted" if when == "after" else None
    if operations[0].key != rows.STATE:
        return None
    if act == "rate_and_debit":
        return _COMMIT[when]
    if when == "after" and act == "top_up":
        return "topup.acked"
    if when == "after" and act == "watch_balances" and _expires(operations):
        return "lots.expired"
    return None


def _expires(operations: Sequence[Operation]) -> bool:
    """Whether a commit books the expiry of a lot."""
    journals = [
        rows.read_commit(Row("", each.key, each.values, ""))
        for each in operations
        if isinstance(each, Insert) and each.key.startswith("journal|")
    ]
    return any(entry.kind is EntryKind.EXPIRY for each in journals for entry in each.entries)

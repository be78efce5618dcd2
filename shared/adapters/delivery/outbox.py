"""Events that wait to be published: a row `event|{commit}` of each commit with events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from shared.adapters.tables.packing import pack, unpack
from shared.domain.common.canonical import format_time, parse_time
from shared.domain.credits.alerts import Event
from shared.ports.ledger import Outbox
from shared.ports.tables import Insert, Row

FIRST, BEFORE = "event|", "event}"
_NUMBERS = ("alert", "repeat", "recharge")


def event_key(commit: int) -> str:
    """Row key of a commit's events."""
    return f"{FIRST}{commit:020d}"


def event_row(schema: int, commit: int, events: Sequence[Event], at: datetime) -> Insert:
    """The row of a commit's events."""
    data = pack("data", events_document(events))
    return Insert(event_key(commit), {"schema": schema, "at": format_time(at), **data})


def events_document(events: Sequence[Event]) -> list[dict[str, object]]:
    """Events in JSON values, without numbers that they do not have."""
    return [
        {"type": event.type, "data": event.data}
        | {name: number for name in _NUMBERS if (number := getattr(event, name))}
        for event in events
    ]


def outbox_of(row: Row) -> Outbox:
    """The events in a row."""
    data = cast("list[dict[str, Any]]", unpack("data", row.values))
    return Outbox(
        commit=int(row.key.removeprefix(FIRST)),
        at=parse_time(str(row.values["at"])),
        events=tuple(
            Event(**{name: item[name] for name in ("type", "data", *_NUMBERS) if name in item})
            for item in data
        ),
    )

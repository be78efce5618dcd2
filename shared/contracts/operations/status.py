"""The status of the product and its dead letters, as the API shows them."""

import json
from collections.abc import Mapping

from shared.domain.common.canonical import format_time
from shared.domain.legs.dead_letters import DeadLetter, DeadLetterSource
from shared.domain.legs.leg import encode_leg_key
from shared.domain.operations.status import SystemStatus

DEAD_LETTER_COLUMNS = (
    *("id", "source", "leg", "bridge", "received_at", "account", "event", "type"),
    *("enqueued_at", "deliveries", "reason", "detail"),
)


def status_body(status: SystemStatus, version: str) -> dict[str, object]:
    """The status; an unknown figure is null."""
    queue = status.queue
    return {
        "status": status.status.value,
        "reasons": [{"code": each.code, "detail": each.detail} for each in status.reasons],
        "queue": {
            "messages": queue.messages if queue else None,
            "oldest_seconds": status.queue_oldest_seconds,
            "dead_letters": queue.dead_letters if queue else None,
        },
        "inbox": {"messages": status.inbox_messages, "oldest_seconds": status.inbox_oldest_seconds},
        "outbox": {"oldest_seconds": status.outbox_oldest_seconds},
        "parked": {
            "open": sum(status.parked_by_reason.values()),
            "by_reason": dict(status.parked_by_reason),
        },
        "timers": [
            {
                "name": each.name,
                "last_success_at": each.last_success_at and format_time(each.last_success_at),
                "late": each.is_late,
                "late_after_seconds": each.late_after_seconds,
            }
            for each in status.timers
        ],
        "last_charge_at": status.last_charge_at and format_time(status.last_charge_at),
        "webhooks": {"failing": status.webhooks_failing},
        "bridges": [
            {
                "bridge": each.bridge,
                "last_post_at": each.last_post_at and format_time(each.last_post_at),
                "last_leg_at": each.last_leg_at and format_time(each.last_leg_at),
                "legs_24h": each.legs,
                "parked_24h": each.parked,
                "ignored_24h": dict(each.ignored),
            }
            for each in status.bridges
        ],
        "version": version,
    }


def dead_letter_body(letter: DeadLetter) -> dict[str, object]:
    """A dead letter. A message that is no leg has neither `leg` nor `received_at`, one of several
    legs has `legs` too; one of the subscription has the `event`, its `type` and its `account`."""
    body: dict[str, object | None] = {
        "id": letter.id,
        "source": letter.source,
        **(
            _leg_fields(letter)
            if letter.source is DeadLetterSource.QUEUE
            else _event_fields(letter.body)
        ),
        "enqueued_at": format_time(letter.enqueued_at),
        "deliveries": letter.deliveries,
        "reason": letter.reason,
        "detail": letter.detail,
    }
    return {name: value for name, value in body.items() if value is not None}


def _leg_fields(letter: DeadLetter) -> dict[str, object | None]:
    legs = letter.queued
    queued = legs[0] if legs else None
    return {
        "leg": encode_leg_key(queued.leg.key) if queued else None,
        "legs": [encode_leg_key(each.leg.key) for each in legs] if len(legs) > 1 else None,
        "bridge": queued.leg.bridge if queued else letter.properties.get("bridge"),
        "received_at": format_time(queued.received_at) if queued else None,
    }


def _event_fields(body: bytes) -> dict[str, object | None]:
    """The fields of a credit event; empty where the body is none."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(event, Mapping):
        return {}
    texts = {name: text for name, text in event.items() if isinstance(text, str)}
    account = texts.get("source", "").removeprefix("/accounts/")
    return {"account": account or None, "event": texts.get("id"), "type": texts.get("type")}

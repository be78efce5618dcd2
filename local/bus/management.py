"""The request and reply operations of an entity: its `$management` address, and `$cbs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from proton import UNDESCRIBED, Array, Data, Message, int32, symbol, timestamp

from local.bus import codec
from local.bus.broker import Entity, Queue
from local.bus.store import Stored

PEEK_MESSAGES_MAX = 250
type Reply = tuple[int, Any, str]
"""Status, body, error condition ("" without an error)."""

LOCK_LOST: Reply = (410, None, "com.microsoft:message-lock-lost")
NOT_FOUND: Reply = (404, None, "com.microsoft:message-not-found")


def encoded(message: Stored) -> bytes:
    """The message as receivers see it at this moment."""
    return codec.encode_delivery(
        message.envelope,
        delivery_count=max(message.attempts - 1, 0) if message.token else message.attempts,
        sequence_number=message.sequence_number,
        enqueued_ms=message.enqueued_ms,
        locked_until_ms=message.locked_until_ms if message.token else None,
        state=message.state,
    )


def answer(entity: Entity | None, request: Message, now_ms: int) -> Message:
    """The reply to one request. Without an entity it is a token for `$cbs`, always accepted."""
    if entity is None:
        status, body, condition = 200, None, ""
    else:
        operation = str((request.properties or {}).get("operation", ""))
        handler = _OPERATIONS.get(operation.removeprefix("com.microsoft:"))
        if handler is None:
            status, body, condition = 501, None, "amqp:not-implemented"
        else:
            status, body, condition = handler(entity, request.body or {}, now_ms)
    properties: dict[str, Any] = {}
    for code, description in (
        ("status-code", "status-description"),
        ("statusCode", "statusDescription"),
    ):
        properties[code] = int32(status)
        properties[description] = condition or "OK"
    if condition:
        properties["errorCondition"] = symbol(condition)
    return Message(body=body, correlation_id=request.id, properties=properties)


def _schedule(entity: Entity, body: dict[str, Any], now_ms: int) -> Reply:
    envelopes = [codec.parse(bytes(item["message"])) for item in body["messages"]]
    return 200, {"sequence-numbers": _longs(entity.accept(envelopes, now_ms))}, ""


def _cancel(entity: Entity, body: dict[str, Any], _now_ms: int) -> Reply:
    cancelled = [entity.cancel(int(number)) for number in _elements(body["sequence-numbers"])]
    return (200, {}, "") if all(cancelled) else NOT_FOUND


def _peek(entity: Entity, body: dict[str, Any], _now_ms: int) -> Reply:
    count = min(int(body["message-count"]), PEEK_MESSAGES_MAX)
    messages = (
        entity.peek(int(body["from-sequence-number"]), count) if isinstance(entity, Queue) else []
    )
    found = [{"message": encoded(message)} for message in messages]
    return (200, {"messages": found}, "") if found else (204, None, "")


def _renew(entity: Entity, body: dict[str, Any], now_ms: int) -> Reply:
    ends = [_queue(entity).renew(token, now_ms) for token in _tokens(body)]
    if None in ends:
        return LOCK_LOST
    times = (timestamp(end) for end in ends if end is not None)
    return 200, {"expirations": Array(UNDESCRIBED, Data.TIMESTAMP, *times)}, ""


def _receive_deferred(entity: Entity, body: dict[str, Any], now_ms: int) -> Reply:
    locks = int(body.get("receiver-settle-mode", 1)) == 1
    found = []
    for number in _elements(body["sequence-numbers"]):
        message = _queue(entity).take_deferred(int(number), now_ms, locks=locks)
        if message is None:
            return NOT_FOUND
        item: dict[str, Any] = {"message": encoded(message)}
        found.append(item | {"lock-token": message.token} if locks else item)
    return 200, {"messages": found}, ""


def _update_disposition(entity: Entity, body: dict[str, Any], now_ms: int) -> Reply:
    queue, status = _queue(entity), str(body["disposition-status"])
    reasons = {
        "DeadLetterReason": str(body.get("deadletter-reason") or ""),
        "DeadLetterErrorDescription": str(body.get("deadletter-description") or ""),
    }
    settle: dict[str, Callable[[UUID], bool]] = {
        "completed": lambda token: queue.complete(token, now_ms),
        "abandoned": lambda token: queue.abandon(token, now_ms),
        "suspended": lambda token: queue.dead_letter(token, now_ms, reasons),
        "defered": lambda token: queue.defer(token, now_ms),
    }
    return (200, {}, "") if all([settle[status](token) for token in _tokens(body)]) else LOCK_LOST


_OPERATIONS: dict[str, Callable[[Entity, dict[str, Any], int], Reply]] = {
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
    "peek-message": _peek,
    "renew-lock": _renew,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _update_disposition,
}


def _queue(entity: Entity) -> Queue:
    if not isinstance(entity, Queue):
        raise TypeError("a topic is not received from")
    return entity


def _elements(values: Any) -> Iterable[Any]:
    """The elements of an AMQP array or list."""
    return getattr(values, "elements", values)


def _tokens(body: dict[str, Any]) -> list[UUID]:
    return [UUID(str(token)) for token in _elements(body["lock-tokens"])]


def _longs(numbers: Iterable[int]) -> Array:
    return Array(UNDESCRIBED, Data.LONG, *numbers)

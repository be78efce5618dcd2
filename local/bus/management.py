"""The request and reply operations of an entity: its `$management` address, and `$cbs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from proton import UNDESCRIBED, Array, Data, Message, int32, symbol, timestamp

from local.bus import codec
from local.bus.broker import Broker

PEEK_MESSAGES_MAX = 250
type Reply = tuple[int, Any, str]
"""Status, body, error condition ("" without an error)."""


def answer(broker: Broker, address: str, request: Any, now_ms: int) -> Message:
    """The reply to one request to `$cbs` (a token, always accepted) or to an entity."""
    status, body, condition = 200, None, ""
    if address != "$cbs":
        operation = str((request.properties or {}).get("operation", ""))
        handler = _OPERATIONS.get(operation.removeprefix("com.microsoft:"), _unknown)
        status, body, condition = handler(broker, address, request.body or {}, now_ms)
    properties: dict[Any, Any] = {
        "status-code": int32(status),
        "statusCode": int32(status),
        "status-description": condition or "OK",
        "statusDescription": condition or "OK",
    }
    if condition:
        properties["errorCondition"] = symbol(condition)
    return Message(body=body, correlation_id=request.id, properties=properties)


def _schedule(broker: Broker, address: str, body: dict[str, Any], now_ms: int) -> Reply:
    envelopes = [codec.parse(bytes(item["message"])) for item in body["messages"]]
    numbers = broker.accept(broker.targets[address], envelopes, now_ms)
    return 200, {"sequence-numbers": _array(Data.LONG, numbers)}, ""


def _cancel(broker: Broker, _address: str, body: dict[str, Any], now_ms: int) -> Reply:
    found = [broker.cancel(int(number), now_ms) for number in body["sequence-numbers"].elements]
    return (200, {}, "") if all(found) else (404, None, "com.microsoft:message-not-found")


def _peek(broker: Broker, address: str, body: dict[str, Any], now_ms: int) -> Reply:
    first, count = int(body["from-sequence-number"]), int(body["message-count"])
    messages = broker.peek(broker.sources[address], first, min(count, PEEK_MESSAGES_MAX), now_ms)
    found = [{"message": message} for message in messages]
    return (200, {"messages": found}, "") if found else (204, None, "")


def _renew(broker: Broker, address: str, body: dict[str, Any], now_ms: int) -> Reply:
    tokens = [UUID(str(token)) for token in body["lock-tokens"].elements]
    ends = [broker.renew(broker.sources[address], token, now_ms) for token in tokens]
    if None in ends:
        return 410, None, "com.microsoft:message-lock-lost"
    return 200, {"expirations": _array(Data.TIMESTAMP, map(timestamp, filter(None, ends)))}, ""


def _unknown(_broker: Broker, _address: str, _body: dict[str, Any], _now_ms: int) -> Reply:
    return 501, None, "amqp:not-implemented"


_OPERATIONS: dict[str, Callable[[Broker, str, dict[str, Any], int], Reply]] = {
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
    "peek-message": _peek,
    "renew-lock": _renew,
}


def _array(kind: Any, values: Iterable[int]) -> Array:
    described: Any = UNDESCRIBED
    return Array(described, kind, *values)

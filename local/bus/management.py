"""The request and reply operations of an entity: its `$management` address, and `$cbs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proton import UNDESCRIBED, Array, Data, Message, int32, symbol

from local.bus import codec
from local.bus.broker import Broker

PEEK_MESSAGES_MAX = 250
type ManagementReply = tuple[int, Any, str]
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


def _schedule(broker: Broker, address: str, body: dict[str, Any], now_ms: int) -> ManagementReply:
    envelopes = [codec.parse(bytes(item["message"])) for item in body["messages"]]
    described: Any = UNDESCRIBED
    numbers = broker.accept(broker.targets[address], envelopes, now_ms)
    return 200, {"sequence-numbers": Array(described, Data.LONG, *numbers)}, ""


def _peek(broker: Broker, address: str, body: dict[str, Any], now_ms: int) -> ManagementReply:
    first, count = int(body["from-sequence-number"]), int(body["message-count"])
    messages = broker.peek(broker.sources[address], first, min(count, PEEK_MESSAGES_MAX), now_ms)
    found = [{"message": message} for message in messages]
    return (200, {"messages": found}, "") if found else (204, None, "")


def _unknown(
    _broker: Broker, _address: str, _body: dict[str, Any], _now_ms: int
) -> ManagementReply:
    return 501, None, "amqp:not-implemented"


_OPERATIONS: dict[str, Callable[[Broker, str, dict[str, Any], int], ManagementReply]] = {
    "schedule-message": _schedule,
    "peek-message": _peek,
}

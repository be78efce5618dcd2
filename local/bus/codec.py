"""AMQP messages as bytes: taken apart by section, put together again for a delivery.

Only what a broker must change is decoded. Properties, application properties and body keep the
sender's bytes, so nothing is lost by a round trip through another type system.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER, ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = 0x70, 0x72, 0x73, 0x74
DATA, FOOTER = 0x75, 0x78
NULL = b"\x40"
SCHEDULED_TIME = b"x-opt-scheduled-enqueue-time"
BROKER_ANNOTATIONS = {
    b"x-opt-sequence-number",
    b"x-opt-enqueued-time",
    b"x-opt-enqueue-sequence-number",
    b"x-opt-locked-until",
    b"x-opt-message-state",
}
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_NESTING_MAX = 16


class MalformedMessageError(ValueError):
    """The bytes are not a sequence of AMQP message sections."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message. `header`: its first four fields, encoded; `annotations`: the encoded pairs of
    the sender's; `bare`: from the properties section to the end."""

    header: bytes
    annotations: bytes
    annotations_count: int
    bare: bytes
    message_id: str | None = None
    scheduled_ms: int | None = None


def parse_transfer(data: bytes) -> list[Envelope]:
    """The messages of one transfer: a batch is a message whose Data sections are messages.

    The transfer's message-format would show it, but proton's Python API does not expose it.
    """
    body = [(code, value) for code, _, value in _sections(data) if DATA <= code < FOOTER]
    if body and all(code == DATA for code, _ in body):
        try:
            return [parse(_content(data, value)) for _, value in body]
        except MalformedMessageError:
            pass  # the Data sections hold a body of some other kind: a single message
    return [parse(data)]


def parse(data: bytes) -> Envelope:
    """Takes one encoded message apart. Raises MalformedMessageError."""
    header, pairs, bare_start = NULL * 4, [], len(data)
    message_id = scheduled_ms = None
    for code, start, value in _sections(data):
        if code == HEADER:
            fields = [data[first:end] for first, end in _items(data, value)][:4]
            header = b"".join(fields) + NULL * (4 - len(fields))
        elif code == ANNOTATIONS:
            pairs = [pair for pair in _pairs(data, value) if pair[0] not in BROKER_ANNOTATIONS]
        elif code >= PROPERTIES:
            bare_start = min(bare_start, start)
            if code == PROPERTIES:
                message_id = _message_id(data, value)
    for name, pair in pairs:
        if name == SCHEDULED_TIME and pair[-9:-8] == b"\x83":
            scheduled_ms = int.from_bytes(pair[-8:])
    annotations = b"".join(pair for _, pair in pairs)
    return Envelope(header, annotations, len(pairs), data[bare_start:], message_id, scheduled_ms)


def encode_delivery(
    envelope: Envelope,
    *,
    delivery_count: int,
    sequence_number: int,
    enqueued_ms: int,
    locked_until_ms: int | None,
    state: int,
) -> bytes:
    """The message as a receiver gets it, with the broker's header and annotations."""
    own = [
        _symbol(b"x-opt-sequence-number") + struct.pack("!Bq", 0x81, sequence_number),
        _symbol(b"x-opt-enqueue-sequence-number") + struct.pack("!Bq", 0x81, sequence_number),
        _symbol(b"x-opt-enqueued-time") + struct.pack("!Bq", 0x83, enqueued_ms),
        _symbol(b"x-opt-message-state") + struct.pack("!Bi", 0x71, state),
    ]
    if locked_until_ms is not None:
        own.append(_symbol(b"x-opt-locked-until") + struct.pack("!Bq", 0x83, locked_until_ms))
    fields = b"\x05" + envelope.header + struct.pack("!BI", 0x70, delivery_count)
    header = b"\x00\x53\x70\xc0" + bytes([len(fields)]) + fields
    pairs = b"".join(own) + envelope.annotations
    return header + _map(ANNOTATIONS, pairs, len(own) + envelope.annotations_count) + envelope.bare


def with_properties(bare: bytes, properties: dict[str, str]) -> bytes:
    """A bare message with these application properties set, after the others that it has."""
    names = {name.encode() for name in properties}
    before, after, kept = b"", bare, []
    for code, start, value in _sections(bare):
        if code > APPLICATION_PROPERTIES:
            break
        end = _end(bare, value)
        if code == PROPERTIES:
            before = bare[start:end]
        else:
            kept = [pair for name, pair in _pairs(bare, value) if name not in names]
        after = bare[end:]
    pairs = b"".join(kept) + b"".join(_text(k) + _text(v) for k, v in properties.items())
    return before + _map(APPLICATION_PROPERTIES, pairs, len(kept) + len(properties)) + after


def _sections(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(section code, where it starts, where its value starts), until all bytes are used."""
    position = 0
    while position < len(data) or not data:
        if data[position : position + 2] != b"\x00\x53" or position + 3 > len(data):
            raise MalformedMessageError("no message section")
        code = data[position + 2]
        if not HEADER <= code <= FOOTER:
            raise MalformedMessageError("no message section")
        yield code, position, position + 3
        position = _end(data, position + 3)


def _end(data: bytes, position: int, depth: int = 0) -> int:
    """Where the value that starts here ends."""
    try:
        constructor = data[position]
        kind = constructor >> 4
        if constructor == 0x00 and depth < _NESTING_MAX:
            return _end(data, _end(data, position + 1, depth + 1), depth + 1)
        if kind in _FIXED_WIDTHS:
            end = position + 1 + _FIXED_WIDTHS[kind]
        elif kind in {0xA, 0xC, 0xE}:
            end = position + 2 + data[position + 1]
        elif kind in {0xB, 0xD, 0xF}:
            end = position + 5 + int.from_bytes(data[position + 1 : position + 5])
        else:
            raise MalformedMessageError("unknown type")
    except IndexError:
        raise MalformedMessageError("cut short") from None
    if end > len(data):
        raise MalformedMessageError("cut short")
    return end


def _items(data: bytes, position: int) -> Iterator[tuple[int, int]]:
    """Where each item of a list or map starts and ends."""
    constructor = data[position]
    if constructor in {0xC0, 0xC1} and position + 3 <= len(data):
        count, position = data[position + 2], position + 3
    elif constructor in {0xD0, 0xD1} and position + 9 <= len(data):
        count, position = int.from_bytes(data[position + 5 : position + 9]), position + 9
    elif constructor in {0x40, 0x45}:
        return
    else:
        raise MalformedMessageError("neither list nor map")
    for _ in range(count):
        end = _end(data, position)
        yield position, end
        position = end


def _pairs(data: bytes, position: int) -> list[tuple[bytes, bytes]]:
    """(key's content, encoded key and value) of each entry of a map."""
    spans = list(_items(data, position))
    return [
        (_content(data, key[0]), data[key[0] : value[1]])
        for key, value in zip(spans[::2], spans[1::2], strict=False)
    ]


def _content(data: bytes, position: int) -> bytes:
    """The bytes of a binary, string, symbol or fixed-width value."""
    prefix = {0xA: 2, 0xB: 5}.get(data[position] >> 4, 1)
    return data[position + prefix : _end(data, position)]


def _message_id(data: bytes, position: int) -> str | None:
    """The first of the properties in a form that can be compared: text, else hex of all of it."""
    for start, end in _items(data, position):
        if data[start] in {0xA1, 0xB1}:
            return _content(data, start).decode(errors="replace")
        return None if data[start] == 0x40 else data[start:end].hex()
    return None


def _map(code: int, pairs: bytes, count: int) -> bytes:
    return b"\x00\x53" + struct.pack("!BBII", code, 0xD1, len(pairs) + 4, count * 2) + pairs


def _symbol(name: bytes) -> bytes:
    return b"\xa3" + bytes([len(name)]) + name


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"\xb1" + struct.pack("!I", len(encoded)) + encoded

"""AMQP messages as bytes: taken apart by section, put together again for a delivery.

Only what a broker must change is decoded. Properties, application properties and body keep the
sender's bytes, so nothing is lost by a round trip through another type system.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES, DATA, FOOTER = 0x73, 0x74, 0x75, 0x78
SCHEDULED_TIME = b"x-opt-scheduled-enqueue-time"
BROKER_ANNOTATIONS = (
    b"x-opt-sequence-number",
    b"x-opt-enqueued-time",
    b"x-opt-enqueue-sequence-number",
    b"x-opt-locked-until",
    b"x-opt-message-state",
)
_FIXED_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_NESTING_MAX = 16


class MalformedMessage(ValueError):
    """The bytes are not a sequence of AMQP message sections."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message. `annotations` are the sender's (name, encoded pair); `bare` starts at the
    properties section; `header` holds the first four header fields, encoded."""

    header: bytes
    annotations: tuple[tuple[bytes, bytes], ...]
    bare: bytes
    message_id: str | None
    scheduled_ms: int | None


def parse(data: bytes) -> Envelope:
    """Takes one encoded message apart. Raises MalformedMessage."""
    header = b"\x40\x40\x40\x40"
    annotations: tuple[tuple[bytes, bytes], ...] = ()
    bare_start = len(data)
    message_id = None
    for code, start, value in _sections(data):
        if code == HEADER:
            fields = [data[a:b] for a, b in _items(data, value)][:4]
            header = b"".join(fields) + b"\x40" * (4 - len(fields))
        elif code == MESSAGE_ANNOTATIONS:
            pairs = _pairs(data, value)
            annotations = tuple(pair for pair in pairs if pair[0] not in BROKER_ANNOTATIONS)
        elif code >= PROPERTIES:
            bare_start = min(bare_start, start)
            if code == PROPERTIES:
                message_id = _first_as_text(data, value)
    return Envelope(header, annotations, data[bare_start:], message_id, _scheduled(annotations))


def parse_transfer(data: bytes) -> list[Envelope]:
    """The messages of one transfer: a batch is a message whose Data sections are messages.

    The transfer's message-format would tell, but proton's Python API does not show it.
    """
    body = [(code, value) for code, _, value in _sections(data) if DATA <= code < FOOTER]
    if body and all(code == DATA for code, _ in body):
        try:
            return [parse(_content(data, value)) for _, value in body]
        except MalformedMessage:
            pass  # the Data sections hold a body of some other kind: a single message
    return [parse(data)]


def encode_stored(envelope: Envelope) -> bytes:
    """The message as `parse` reads it again, without anything of the broker's."""
    return _header(envelope.header, 0) + _annotations(envelope.annotations) + envelope.bare


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
        (b"x-opt-sequence-number", b"\x81", sequence_number),
        (b"x-opt-enqueue-sequence-number", b"\x81", sequence_number),
        (b"x-opt-enqueued-time", b"\x83", enqueued_ms),
    ]
    if locked_until_ms is not None:
        own.append((b"x-opt-locked-until", b"\x83", locked_until_ms))
    encoded = [(name, _symbol(name) + kind + struct.pack("!q", v)) for name, kind, v in own]
    state_name = b"x-opt-message-state"
    encoded.append((state_name, _symbol(state_name) + b"\x71" + struct.pack("!i", state)))
    annotations = (*encoded, *envelope.annotations)
    return _header(envelope.header, delivery_count) + _annotations(annotations) + envelope.bare


def with_text_properties(envelope: Envelope, properties: dict[str, str]) -> Envelope:
    """A copy with these application properties set, after the ones that it has."""
    names = {name.encode() for name in properties}
    before, after, pairs = b"", envelope.bare, []
    for code, start, value in _sections(envelope.bare):
        if code > APPLICATION_PROPERTIES:
            break
        end = _end(envelope.bare, value)
        if code == PROPERTIES:
            before = envelope.bare[start:end]
        else:
            pairs = [pair for pair in _pairs(envelope.bare, value) if pair[0] not in names]
        after = envelope.bare[end:]
    encoded = b"".join(raw for _, raw in pairs)
    encoded += b"".join(_text(name) + _text(text) for name, text in properties.items())
    section = _map(APPLICATION_PROPERTIES, encoded, len(pairs) + len(properties))
    return replace(envelope, bare=before + section + after)


def _sections(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(section code, where it starts, where its value starts), all of the bytes used."""
    position = 0
    if not data:
        raise MalformedMessage("empty message")
    while position < len(data):
        start = position
        if data[position : position + 2] == b"\x00\x53" and position + 2 < len(data):
            code, value = data[position + 2], position + 3
        elif data[position : position + 2] == b"\x00\x80" and position + 10 <= len(data):
            code, value = int.from_bytes(data[position + 2 : position + 10]), position + 10
        else:
            raise MalformedMessage("no message section")
        if not HEADER <= code <= FOOTER:
            raise MalformedMessage("no message section")
        position = _end(data, value)
        yield code, start, value


def _end(data: bytes, position: int, depth: int = 0) -> int:
    """Where the value that starts here ends."""
    try:
        constructor = data[position]
        kind = constructor >> 4
        if constructor == 0x00:
            if depth > _NESTING_MAX:
                raise MalformedMessage("nested too deeply")
            return _end(data, _end(data, position + 1, depth + 1), depth + 1)
        if kind in _FIXED_WIDTHS:
            end = position + 1 + _FIXED_WIDTHS[kind]
        elif kind in {0xA, 0xC, 0xE}:
            end = position + 2 + data[position + 1]
        elif kind in {0xB, 0xD, 0xF}:
            end = position + 5 + struct.unpack_from("!I", data, position + 1)[0]
        else:
            raise MalformedMessage("unknown type")
    except (IndexError, struct.error):
        raise MalformedMessage("cut short") from None
    if end > len(data):
        raise MalformedMessage("cut short")
    return end


def _items(data: bytes, position: int) -> Iterator[tuple[int, int]]:
    """Where each item of a list or map starts and ends."""
    constructor = data[position]
    if constructor in {0xC0, 0xC1}:
        count, position = data[position + 2], position + 3
    elif constructor in {0xD0, 0xD1}:
        count, position = struct.unpack_from("!I", data, position + 5)[0], position + 9
    elif constructor in {0x40, 0x45}:
        return
    else:
        raise MalformedMessage("neither list nor map")
    for _ in range(count):
        end = _end(data, position)
        yield position, end
        position = end


def _pairs(data: bytes, position: int) -> list[tuple[bytes, bytes]]:
    """(key's content, encoded key and value) of each entry of a map."""
    spans = list(_items(data, position))
    keys, values = spans[::2], spans[1::2]
    return [(_content(data, k[0]), data[k[0] : v[1]]) for k, v in zip(keys, values, strict=True)]


def _content(data: bytes, position: int) -> bytes:
    """The bytes of a binary, string, symbol or fixed-width value."""
    prefix = {0xA: 2, 0xB: 5}.get(data[position] >> 4, 1)
    return data[position + prefix : _end(data, position)]


def _first_as_text(data: bytes, position: int) -> str | None:
    """The first field of a list, a message id, in a form that can be compared."""
    for start, end in _items(data, position):
        constructor = data[start]
        if constructor == 0x40:
            return None
        if constructor in {0xA1, 0xB1}:
            return _content(data, start).decode()
        if constructor == 0x98:
            return str(UUID(bytes=data[start + 1 : end]))
        return data[start:end].hex()
    return None


def _scheduled(annotations: tuple[tuple[bytes, bytes], ...]) -> int | None:
    """When the sender wants the message to appear, in ms since 1970, if it says so."""
    for name, pair in annotations:
        if name == SCHEDULED_TIME and pair[-9] == 0x83:
            return int(struct.unpack("!q", pair[-8:])[0])
    return None


def _header(fields: bytes, delivery_count: int) -> bytes:
    content = b"\x05" + fields + b"\x70" + struct.pack("!I", delivery_count)
    return b"\x00\x53\x70\xc0" + bytes([len(content)]) + content


def _annotations(annotations: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return _map(MESSAGE_ANNOTATIONS, b"".join(raw for _, raw in annotations), len(annotations))


def _map(code: int, pairs: bytes, count: int) -> bytes:
    lengths = struct.pack("!II", len(pairs) + 4, count * 2)
    return b"\x00\x53" + bytes([code]) + b"\xd1" + lengths + pairs


def _symbol(name: bytes) -> bytes:
    return b"\xa3" + bytes([len(name)]) + name


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"\xb1" + struct.pack("!I", len(encoded)) + encoded

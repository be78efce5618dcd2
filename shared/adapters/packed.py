"""Long content in a row: canonical JSON, deflated, in binary properties of at most 60 KiB."""

import json
import zlib
from collections.abc import Mapping

from shared.domain import limits
from shared.domain.legs import canonical_json
from shared.ports import Value


def pack(name: str, content: object) -> dict[str, Value]:
    """Properties `{name}0`, `{name}1`, … that hold the content."""
    return split(name, zlib.compress(canonical_json(content), 6))


def split(name: str, data: bytes) -> dict[str, Value]:
    """Properties `{name}0`, `{name}1`, … that hold the bytes as they are."""
    size = limits.PROPERTY_BINARY_BYTES_MAX
    return {
        f"{name}{index}": data[start : start + size]
        for index, start in enumerate(range(0, len(data) or 1, size))
    }


def joined(name: str, values: Mapping[str, Value]) -> bytes:
    """The bytes that `split` laid out; empty when the property is not there."""
    parts: list[bytes] = []
    while isinstance(part := values.get(f"{name}{len(parts)}"), bytes):
        parts.append(part)
    return b"".join(parts)


def unpack(name: str, values: Mapping[str, Value]) -> object:
    """The content that `pack` stored. Raises zlib.error or ValueError when it was tampered with."""
    return json.loads(zlib.decompress(joined(name, values)))

"""Encoding of the parts of a rate card version as bytes, and decoding."""

import hashlib
import json
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from shared.domain.common import limits
from shared.domain.rating.terms import Band, MaximumStrategy, Slot, Terms

FORMAT = 1

type Header = dict[str, str | int]


class PackedTexts:
    """Many different texts in one piece of bytes, decoded one at a time."""

    __slots__ = ("blob", "ends")

    def __init__(self, blob: bytes, ends: "array[int]") -> None:
        self.blob = blob
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "PackedTexts":
        """The texts in the order given, numbered from 0."""
        pieces = [text.encode() for text in texts]
        return cls(b"".join(pieces), array("I", accumulate(map(len, pieces))))

    def get(self, number: int) -> str:
        """The text with this number."""
        begin = self.ends[number - 1] if number else 0
        return self.blob[begin : self.ends[number]].decode()

    @property
    def held_bytes(self) -> int:
        """Bytes in memory."""
        return len(self.blob) + self.ends.itemsize * len(self.ends)


def pack(sections: Mapping[str, bytes]) -> tuple[Header, list[bytes]]:
    """(header, chunks): one deflate stream over all sections, cut into pieces of a limited size."""
    blob = b"".join(sections.values())
    stream = zlib.compress(blob)
    size = limits.RATE_CARD_CHUNK_BYTES_MAX
    header: Header = {
        "format": FORMAT,
        "packed_bytes": len(blob),
        "sections": ",".join(f"{name}:{len(data)}" for name, data in sections.items()),
        "sha256": hashlib.sha256(blob).hexdigest(),
    }
    return header, [stream[at : at + size] for at in range(0, len(stream), size)]


def unpack(header: Mapping[str, str | int], chunks: Sequence[bytes]) -> dict[str, bytes]:
    """The sections that `pack` was given.

    Raises KeyError, ValueError or zlib.error when the format is newer, or the bytes are not whole.
    """
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']}, this program reads {FORMAT}")
    size = int(header["packed_bytes"])
    if not 0 < size <= limits.RATE_CARD_PACKED_BYTES_MAX:
        raise ValueError("its size is not within its limit")
    blob = zlib.decompressobj().decompress(b"".join(chunks), size)
    if hashlib.sha256(blob).hexdigest() != header["sha256"]:
        raise ValueError("its bytes are not those that were stored")
    sections: dict[str, bytes] = {}
    begin = 0
    for piece in str(header["sections"]).split(","):
        name, _, length = piece.partition(":")
        sections[name] = blob[begin : begin + int(length)]
        begin += int(length)
    return sections


def terms_to_json(terms: Terms) -> str:
    """The terms as a compact list, by position."""
    content = [
        terms.connection_fee_picos,
        _slots_to_list(terms.slots),
        terms.minimum_charge_picos,
        terms.maximum_charge_picos,
        terms.maximum_charge_strategy,
        [_band_to_list(band) for band in terms.bands],
        terms.grace_seconds,
    ]
    return json.dumps(content, separators=(",", ":"))


def terms_from_json(text: str) -> Terms:
    """The terms that `terms_to_json` wrote."""
    fee, slots, minimum, maximum, strategy, bands, grace = json.loads(text)
    return Terms(
        fee,
        tuple(Slot(*slot) for slot in slots),
        minimum,
        maximum,
        MaximumStrategy(strategy) if strategy else None,
        tuple(
            Band(
                weight,
                tuple(Slot(*slot) for slot in band_slots),
                name,
                tuple(weekdays),
                begin,
                end,
                tuple(dates),
                band_fee,
            )
            for weight, band_slots, name, weekdays, begin, end, dates, band_fee in bands
        ),
        grace,
    )


def _band_to_list(band: Band) -> list[object]:
    return [
        band.weight,
        _slots_to_list(band.slots),
        band.name,
        band.weekdays,
        band.from_second_of_day,
        band.until_second_of_day,
        band.dates,
        band.connection_fee_picos,
    ]


def _slots_to_list(slots: tuple[Slot, ...]) -> list[list[int]]:
    return [
        [slot.from_second, slot.price_picos, slot.unit_seconds, slot.increment_seconds]
        for slot in slots
    ]

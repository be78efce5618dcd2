"""Packed versions come back whole, or not at all."""

import random
import zlib
from collections.abc import Sequence

import pytest

from shared.domain.common import limits
from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import (
    Rate,
    RateCardUnreadable,
    RateCardVersion,
    Rounding,
    RoundingMode,
    Slot,
    decode_version,
    encode_chunks,
)
from tests.unit.rating.cases import VERSION_FROM, card, random_call, rate, slot

type Header = dict[str, str | int]


def random_version(seed: int, count: int) -> RateCardVersion:
    rng = random.Random(seed)
    rates: dict[tuple[str, str | None], Rate] = {}
    for _ in range(count):
        call = random_call(rng)
        prefix = str(rng.randrange(10**6))
        origin = rng.choice((None, "US", "GB"))
        facts = {name: getattr(call.rate, name) for name in Rate.__slots__}
        facts |= {"prefix": prefix, "origin": origin, "destination": f"Côte {prefix[:2]}"}
        facts["kind"] = rng.choice((LegKind.DIAL_IN, LegKind.DIAL_OUT))
        rates[prefix, origin] = Rate(**facts)
    return card(
        *rates.values(), rounding=Rounding(RoundingMode.HALF_EVEN, 7), time_zone="Asia/Kathmandu"
    )


def decode(header: Header, chunks: Sequence[bytes]) -> RateCardVersion:
    return decode_version("default", VERSION_FROM, header, chunks)


def test_everything_comes_back() -> None:
    """Rates of every kind, the card's own fields, and where numbers lead."""
    version = random_version(1, 300)
    back = decode(*encode_chunks(version))

    assert list(back.rates()) == list(version.rates())
    assert (back.card, back.effective_from) == (version.card, version.effective_from)
    assert (back.currency, back.time_zone) == ("USD", "Asia/Kathmandu")
    assert back.rounding == Rounding(RoundingMode.HALF_EVEN, 7)
    assert encode_chunks(back) == encode_chunks(version)


def test_nothing_is_decoded_before_it_is_hit() -> None:
    """And what is decoded counts in the bytes held."""
    header, chunks = encode_chunks(random_version(2, 50))
    back = decode(header, chunks)
    before = back.held_bytes
    list(back.rates())

    assert before == header["packed_bytes"]
    assert back.held_bytes > before


def test_decoded_tariffs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card with more different prices than the limit forgets and decodes again."""
    monkeypatch.setattr(limits, "TARIFFS_DECODED_MAX", 3)
    version = card(*(rate(Slot(0, price, 60, 60), prefix=str(price)) for price in range(1, 9)))
    packed_bytes = version.held_bytes
    prices = [each.slots[0].price_picos for each in version.rates()]

    assert prices == list(range(1, 9))
    assert version.held_bytes - packed_bytes == 2 * 1_500  # 3 and 3 were forgotten
    assert [each.slots[0].price_picos for each in version.rates()] == prices


def test_a_version_may_be_as_large_as_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a byte larger."""
    header, chunks = encode_chunks(random_version(5, 3))
    monkeypatch.setattr(limits, "RATE_CARD_PACKED_BYTES_MAX", header["packed_bytes"])
    assert len(decode(header, chunks)) == 3

    monkeypatch.setattr(limits, "RATE_CARD_PACKED_BYTES_MAX", int(header["packed_bytes"]) - 1)
    with pytest.raises(RateCardUnreadable, match="not within its limit"):
        decode(header, chunks)


def test_chunks_are_cut_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last may be shorter; together they are the stream."""
    monkeypatch.setattr(limits, "RATE_CARD_CHUNK_BYTES_MAX", 1_000)
    version = random_version(3, 200)
    header, chunks = encode_chunks(version)

    assert len(chunks) > 2
    assert {len(chunk) for chunk in chunks[:-1]} == {1_000}
    assert list(decode(header, chunks).rates()) == list(version.rates())


def test_a_header_is_flat() -> None:
    """It fits into the properties of one row."""
    header, _ = encode_chunks(card(rate(slot("60", "1"))))

    assert header["rates"] == 1
    assert all(isinstance(value, str | int) for value in header.values())
    assert sum(len(str(value)) for value in header.values()) < 1_000


def header_and_chunks() -> tuple[Header, list[bytes]]:
    header, chunks = encode_chunks(random_version(4, 30))
    stream = b"".join(chunks)
    return header, [stream[:100], stream[100:]]


def broken() -> dict[str, tuple[Header, list[bytes]]]:
    header, chunks = header_and_chunks()
    flipped = bytearray(chunks[1])
    flipped[50] ^= 1
    bomb = zlib.compress(b"x" * 10_000_000)
    return {
        "newer format": (header | {"format": 2}, chunks),
        "no format": ({key: header[key] for key in header if key != "format"}, chunks),
        "no digest": ({key: header[key] for key in header if key != "sha256"}, chunks),
        "a missing chunk": (header, chunks[:1]),
        "no chunk": (header, []),
        "chunks in the wrong order": (header, chunks[::-1]),
        "a flipped bit": (header, [chunks[0], bytes(flipped)]),
        "another stream": (header, [bomb]),
        "absurd size": (header | {"packed_bytes": 10**12}, chunks),
        "no size": (header | {"packed_bytes": 0}, chunks),
        "negative size": (header | {"packed_bytes": -1}, chunks),
        "sections of another length": (header | {"sections": "keys:7"}, chunks),
        "unknown rounding": (header | {"rounding_mode": "sideways"}, chunks),
        "sizes that are none": (header | {"sections": "keys:x"}, chunks),
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_not_whole_is_not_read(name: str) -> None:
    """Damage is named, never guessed around."""
    with pytest.raises(RateCardUnreadable, match="rate card default of 2026-01-01"):
        decode(*broken()[name])


def test_index_arrays_of_different_length_are_not_read() -> None:
    """Even if every byte is what was stored."""
    header, chunks = encode_chunks(card(rate(slot("60", "1"))))
    sections = str(header["sections"]).replace("keys:8,lengths:1", "keys:0,lengths:9")

    with pytest.raises(RateCardUnreadable, match="differ in length"):
        decode(header | {"sections": sections}, chunks)

"""Which rate a number has: the longest prefix, its kind, its origin."""

import random
import sys

import pytest

from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import Rate, Slot, build_version, decode_version, encode_chunks
from tests.unit.rating.cases import HALF_UP_4, VERSION_FROM, card, rate

IN, OUT = LegKind.DIAL_IN, LegKind.DIAL_OUT
SLOTS = (Slot(0, 1, 60, 60),)


def row(text: str) -> Rate:
    """A rate written as "out 44" or "in 18005550100 US"."""
    kind, prefix, *origin = text.split(" ")
    return Rate(
        IN if kind == "in" else OUT,
        prefix,
        text,
        0,
        SLOTS,
        origin=origin[0] if origin else None,
    )


def slow_find(rates: list[Rate], kind: LegKind, digits: str, origin: str | None) -> Rate | None:
    fitting = [
        each
        for each in rates
        if each.kind is kind and digits.startswith(each.prefix) and each.origin in {None, origin}
    ]
    return max(fitting, key=lambda each: (len(each.prefix), each.origin or ""), default=None)


DECK = [
    "out 1", "out 1242", "out 44", "out 447", "out 4477", "out 490", "out 49", "out 4900",
    "in 4420", "in 1800555", "in 1800555 US", "in 1800555 CA", "in 18005550100 CA", "in 4 FR",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "digits", "origin", "expected"),
    [
        (OUT, "442079460000", None, "out 44"),
        (OUT, "447912345678", None, "out 447"),
        (OUT, "447712345678", None, "out 4477"),
        (OUT, "4477", None, "out 4477"),
        (OUT, "447", None, "out 447"),
        (OUT, "4", None, None),
        (OUT, "43", None, None),
        (OUT, "45", None, None),
        (OUT, "0", None, None),
        (OUT, "12425551234", None, "out 1242"),
        (OUT, "12415551234", None, "out 1"),
        (OUT, "12435551234", None, "out 1"),
        (OUT, "49", None, "out 49"),
        (OUT, "490", None, "out 490"),
        (OUT, "4900", None, "out 4900"),
        (OUT, "4901", None, "out 490"),
        (OUT, "491", None, "out 49"),
        (OUT, "9" * 15, None, None),
        (OUT, "44" + "0" * 20, None, "out 44"),
        (IN, "442079460000", None, "in 4420"),
        (IN, "442179460000", None, None),
        (IN, "442179460000", "FR", "in 4 FR"),
        (IN, "442079460000", "FR", "in 4420"),
        (IN, "18005550100", None, "in 1800555"),
        (IN, "18005550100", "US", "in 1800555 US"),
        (IN, "18005550100", "CA", "in 18005550100 CA"),
        (IN, "18005550199", "CA", "in 1800555 CA"),
        (IN, "18005550100", "FR", "in 1800555"),
        (IN, "18005550100", "AA", "in 1800555"),
        (IN, "18005550100", "ZZ", "in 1800555"),
        (LegKind.VOIP, "442079460000", None, None),
    ],
)  # fmt: skip
def test_find(kind: LegKind, digits: str, origin: str | None, expected: str | None) -> None:
    """The longest prefix wins, then the caller's origin; a rate for others is no candidate."""
    found = card(*map(row, DECK)).find(kind, digits, origin)

    assert expected == (found and found.destination)


def test_the_empty_prefix_takes_what_nothing_else_takes() -> None:
    """A catch-all is a rate like any other, the least of them, for its kind alone."""
    version = card(row("out "), row("out 44"))

    assert version.find(OUT, "", None) == row("out ")
    assert version.find(OUT, "33170000000", None) == row("out ")
    assert version.find(OUT, "442079460000", None) == row("out 44")
    assert version.find(IN, "33170000000", None) is None


def test_voip_is_never_rated() -> None:
    """Not even by a catch-all."""
    assert card(row("out "), row("in ")).find(LegKind.VOIP, "", None) is None
    assert card(row("out "), row("in ")).find(LegKind.VOIP, "44", None) is None


def test_many_origins_of_one_prefix_are_searched_not_walked() -> None:
    """A toll-free number with a price for every country is found as fast as any."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    regions = [first + second for first in letters[:13] for second in letters]
    version = card(row("in 1800"), *(row(f"in 1800 {region}") for region in regions))
    steps = 0

    def trace(frame: object, event: str, arg: object) -> object:
        nonlocal steps
        steps += event == "line"
        return trace

    for origin in ("AA", "GG", "MZ", "ZZ"):
        sys.settrace(trace)  # type: ignore[arg-type]
        found = version.index.find(IN, "18005550100", origin)
        sys.settrace(None)
        assert version.index.describe(found)[2] == (origin if origin in regions else None)
    assert steps < 200


def test_leading_zeros_are_digits() -> None:
    """0256 is not 256."""
    version = card(row("out 0256"), row("out 256"), row("out 00"))

    assert version.find(OUT, "0256308200", None) == row("out 0256")
    assert version.find(OUT, "256308200", None) == row("out 256")
    assert version.find(OUT, "00256", None) == row("out 00")
    assert version.find(OUT, "01", None) is None


@pytest.mark.parametrize("seed", range(20))
def test_random_decks_answer_as_a_search_through_all_rates(seed: int) -> None:
    """Before and after they were packed, with few digits so that prefixes nest deeply."""
    rng = random.Random(seed)
    alphabet = rng.choice(("01", "0123", "0123456789"))
    texts = {
        f"{rng.choice(('in', 'out'))} {''.join(rng.choices(alphabet, k=rng.randrange(9)))}"
        + rng.choice(("", "", " US", " FR", " DE"))
        for _ in range(400)
    }
    if seed % 4 == 0:
        texts = {text for text in texts if len(text.split(" ")) == 2}
    rates = [row(text) for text in texts]
    version = card(*rates)
    header, chunks = encode_chunks(version)
    for index in (version, decode_version("default", VERSION_FROM, header, chunks)):
        for _ in range(1_000):
            digits = "".join(rng.choices(alphabet, k=rng.randrange(13)))
            kind, origin = rng.choice((IN, OUT)), rng.choice((None, "US", "FR", "AT"))
            expected = slow_find(rates, kind, digits, origin)
            assert index.find(kind, digits, origin) == expected, (kind, digits, origin)


def test_rates_come_out_in_order() -> None:
    """By kind, prefix and origin, whatever the order in which they came."""
    rates = [row(text) for text in DECK]
    random.Random(1).shuffle(rates)

    assert [each.destination for each in card(*rates).rates()] == [
        "out 1", "out 1242", "out 44", "out 447", "out 4477", "out 49", "out 490", "out 4900",
        "in 1800555", "in 1800555 CA", "in 1800555 US", "in 18005550100 CA", "in 4 FR", "in 4420",
    ]  # fmt: skip


def test_matches_are_all_prefixes_of_a_number_longest_first() -> None:
    """Whatever their origin: what a sentence needs to name those who lost."""
    version = card(*map(row, DECK))
    found = [(prefix, origin) for _, prefix, origin in version.index.matches(IN, "18005550100")]

    assert found == [
        ("18005550100", "CA"), ("1800555", "US"), ("1800555", "CA"), ("1800555", None)
    ]  # fmt: skip
    assert list(version.index.matches(OUT, "777")) == []


def test_a_parent_is_a_shorter_prefix_and_never_another_origin() -> None:
    version = card(*map(row, DECK))
    texts = [rate.destination for rate in version.rates()]
    parents = {text: version.index.parent(at) for at, text in enumerate(texts)}

    assert {text: texts[at] for text, at in parents.items() if at >= 0} == {
        "out 1242": "out 1", "out 447": "out 44", "out 4477": "out 447", "out 490": "out 49",
        "out 4900": "out 490", "in 18005550100 CA": "in 1800555 US", "in 4420": "in 4 FR",
    }  # fmt: skip


def test_fifty_thousand_prefixes_hold_in_two_megabytes() -> None:
    """Packed rows, not objects: a cache can hold many decks."""
    slots = [(Slot(0, price, 60, 60),) for price in range(1000)]
    version = build_version(
        card="big",
        effective_from=VERSION_FROM,
        currency="USD",
        time_zone="UTC",
        rounding=HALF_UP_4,
        rates=(
            Rate(OUT, str(100_000 + number), f"Place {number % 500}", 0, slots[number % 1000])
            for number in range(50_000)
        ),
    )

    assert len(version) == 50_000
    assert version.held_bytes < 2_000_000
    assert version.find(OUT, "1499991234", None) == rate(
        slots[999][0], prefix="149999", destination="Place 499"
    )

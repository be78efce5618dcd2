"""Two versions of a card: which rates differ, by how much, and what legs would have cost."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from shared.domain.common.kinds import LegKind
from shared.domain.rating.diff import ChangeKind, PastLegFacts, RateChange, changes, effect
from shared.domain.rating.rate_card import Rate, decode_version, encode_chunks
from tests.unit.rating.cases import ANSWERED_AT, VERSION_FROM, card, rate, slot

VERSION = ("default", VERSION_FROM)
FRANCE = rate(slot("60", "0.10"), prefix="33")
BRITAIN = rate(slot("60", "0.20"), prefix="44")
SPAIN = rate(slot("60", "0.30"), prefix="34")
TOLL = rate(slot("60", "0.01"), prefix="33", kind=LegKind.DIAL_IN)


def leg(to_digits: str, seconds: int = 60) -> PastLegFacts:
    return PastLegFacts(LegKind.DIAL_OUT, to_digits, None, ANSWERED_AT, seconds)


@pytest.mark.parametrize(
    ("after", "percent"),
    [
        (rate(slot("60", "0.15"), prefix="33"), Fraction(50)),
        (rate(slot("60", "0.05"), prefix="33"), Fraction(-50)),
        (rate(slot("60", "0.13"), slot("60+1", "0.01"), prefix="33"), Fraction(30)),
        (replace(FRANCE, destination="France"), Fraction(0)),
        (replace(FRANCE, grace_seconds=1), Fraction(0)),
        (rate(slot("60", "0"), prefix="33"), Fraction(-100)),
    ],
)
def test_a_changed_rate_states_by_how_much(after: Rate, percent: Fraction) -> None:
    """Per cent of the dearest minute; a change of anything else is one too."""
    (change,) = changes(card(FRANCE, BRITAIN), card(after, BRITAIN))

    assert change == RateChange(ChangeKind.CHANGED, FRANCE, after)
    assert (change.percent, change.rate) == (percent, after)


def test_added_and_removed_rates_have_no_percentage() -> None:
    """Nor has one that was free before."""
    removed, added, dialled_in = changes(card(FRANCE, BRITAIN), card(BRITAIN, SPAIN, TOLL))
    free = rate(slot("60", "0"), prefix="33")
    (priced,) = changes(card(free), card(FRANCE))

    assert removed == RateChange(ChangeKind.REMOVED, FRANCE, None)
    assert added == RateChange(ChangeKind.ADDED, None, SPAIN)
    assert dialled_in.rate == TOLL
    assert removed.rate == FRANCE
    assert removed.percent is added.percent is priced.percent is None


def test_equal_versions_have_no_changes() -> None:
    """Whatever the order in which they were written."""
    assert list(changes(card(FRANCE, BRITAIN, TOLL), card(TOLL, BRITAIN, FRANCE))) == []


def test_what_is_the_same_is_passed_over_without_being_decoded() -> None:
    """A large deck that changes in a few rows is compared as fast as it is read."""
    old = card(*(rate(slot("60", f"0.{number}"), prefix=str(number)) for number in range(100, 200)))
    new = card(*list(old.rates())[1:], FRANCE)
    before, after = (decode_version(*VERSION, *encode_chunks(version)) for version in (old, new))
    held_bytes = before.held_bytes + after.held_bytes

    found = list(changes(before, after))

    assert [change.kind for change in found] == [ChangeKind.REMOVED, ChangeKind.ADDED]
    assert before.held_bytes + after.held_bytes == held_bytes + 2 * 1_500


@pytest.mark.parametrize("seed", range(10))
def test_changes_are_those_of_two_dictionaries(seed: int) -> None:
    """Random decks, merged in one pass."""
    rng = random.Random(seed)

    def deck() -> dict[tuple[str, str | None], Rate]:
        return {
            (prefix, origin): rate(
                slot("60", f"0.{rng.randrange(1, 3)}"), prefix=prefix, origin=origin
            )
            for prefix in ("", "1", "12", "120", "2", "20", "3")
            for origin in (None, "US")
            if rng.random() < 0.7
        } or {("1", None): rate(slot("60", "1"), prefix="1")}

    old, new = deck(), deck()
    found = {
        (change.rate.prefix, change.rate.origin): (change.before, change.after)
        for change in changes(card(*old.values()), card(*new.values()))
    }

    assert found == {
        key: (old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)
    }


def test_the_effect_on_legs_is_summed_by_destination() -> None:
    """The largest difference first; what one version can't rate is counted apart."""
    before = card(FRANCE, BRITAIN)
    after = card(
        rate(slot("60", "0.11"), prefix="33", destination="France"),
        rate(slot("60", "0.10"), prefix="44", destination="UK"),
        SPAIN,
    )
    legs = [leg("33123"), leg("33456", 61), leg("44123"), leg("34123"), leg("99123"), leg("44", 0)]
    found = effect(before, after, legs)

    assert [
        (each.destination, each.legs, each.before_micros, each.after_micros)
        for each in found.destinations
    ] == [("UK", 2, 200_000, 100_000), ("France", 2, 300_000, 330_000)]
    assert (found.legs, found.before_micros, found.after_micros) == (4, 500_000, 430_000)
    assert (found.no_rate_before, found.no_rate_after) == (2, 1)
    assert found.difference_micros == -70_000


def test_no_legs_no_effect() -> None:
    """Zeros all over."""
    found = effect(card(FRANCE), card(BRITAIN), [])

    assert (found.legs, found.difference_micros, found.destinations) == (0, 0, ())

"""Records are assigned to legs by id, then by nearest time, each once; differences are named."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.common.kinds import LegKind
from shared.domain.reconciliation.matching import (
    CarrierRecord,
    ComparedField,
    MaskedDigits,
    Period,
    ProductLeg,
    Reconciliation,
    Tolerance,
    mask,
    reconcile,
)

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
LONDON, PARIS = "+442079460000", "+33170000000"
CENT = 10_000


def leg(key: str = "pbx~a", at: int = 0, **changes: object) -> ProductLeg:
    facts = ProductLeg(
        key, LegKind.DIAL_OUT, LONDON, "", NOON + timedelta(seconds=at), 60, {"USD": CENT}
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def record(line: int = 1, at: int = 0, **changes: object) -> CarrierRecord:
    facts = CarrierRecord(
        line=line,
        answered_at=NOON + timedelta(seconds=at),
        seconds=60,
        kind=LegKind.DIAL_OUT,
        number=LONDON,
        amount_micros=CENT,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def compare(
    records: Sequence[CarrierRecord], legs: Sequence[ProductLeg], seconds: int = 2
) -> Reconciliation:
    return reconcile(records, legs, Tolerance(seconds, 0), NOVEMBER, "USD")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, ()),
        ({"at": 2}, ()),
        ({"at": 3}, (ComparedField.ANSWERED_AT,)),
        ({"at": -3600}, (ComparedField.ANSWERED_AT,)),
        ({"seconds": 62}, ()),
        ({"seconds": 63}, (ComparedField.SECONDS,)),
        ({"amount_micros": CENT + 1}, (ComparedField.AMOUNT,)),
        ({"amount_micros": None}, ()),
        ({"number": mask(LONDON, MaskedDigits(3, 0))}, ()),
        ({"kind": None}, ()),
        ({"id": "a", "number": PARIS}, (ComparedField.NUMBER,)),
        ({"id": "a", "number": mask(PARIS, MaskedDigits(4, 0))}, (ComparedField.NUMBER,)),
        ({"id": "a", "kind": LegKind.DIAL_IN}, (ComparedField.KIND,)),
        ({"id": "a", "at": 86_400 * 3}, (ComparedField.ANSWERED_AT,)),
        ({"id": "another", "at": 1}, ()),
    ],
)
def test_a_record_and_its_leg_differ_in_the_fields_beyond_the_tolerance(
    change: dict[str, object], fields: tuple[ComparedField, ...]
) -> None:
    found = compare([record(**change)], [leg()])  # type: ignore[arg-type]
    assert [each.fields for each in found.different] == ([fields] if fields else [])
    assert (found.matched, found.missing_here, found.missing_there) == (int(not fields), (), ())


def test_an_amount_in_a_currency_that_the_leg_has_not_differs_by_currency() -> None:
    found = reconcile([record()], [leg()], Tolerance(2, 0), NOVEMBER, "EUR")
    assert [each.fields for each in found.different] == [(ComparedField.CURRENCY,)]


def test_a_doubled_record_names_the_record_that_it_repeats() -> None:
    found = compare([record(1), record(2), record(3, at=1)], [leg()])
    assert found.matched == 1
    assert [(each.theirs.line, each.duplicate_of) for each in found.missing_here] == [
        (2, 1),
        (3, 1),
    ]


def test_a_doubled_record_is_not_taken_for_a_shifted_one() -> None:
    found = compare([record(1), record(2)], [leg(), leg("pbx~b", at=7200)])
    assert [each.duplicate_of for each in found.missing_here] == [1]
    assert [each.key for each in found.missing_there] == ["pbx~b"]


def test_records_of_one_id_and_other_row_ids_are_calls_of_their_own() -> None:
    legs = [leg("pbx~a"), leg("pbx~b", at=100)]
    rows = [record(1, id="x", row_id="1"), record(2, at=100, id="x", row_id="2")]
    assert compare(rows, legs).matched == 2


def test_exact_seconds_win_over_a_nearer_time() -> None:
    """Two callers to one number two seconds apart, by a clock that is two seconds ahead."""
    legs = [leg("pbx~a", seconds=300), leg("pbx~b", at=2, seconds=60)]
    rows = [record(1, at=2, seconds=300), record(2, at=4, seconds=60)]
    assert compare(rows, legs).matched == 2


def test_a_shifted_pair_needs_to_be_the_only_one_of_both_sides() -> None:
    rows = [record(1, at=3600)]
    found = compare(rows, [leg("pbx~a"), leg("pbx~b", at=100)])
    assert (len(found.different), len(found.missing_here), len(found.missing_there)) == (0, 1, 2)
    found = compare([*rows, record(2, at=3700)], [leg("pbx~a")])
    assert (len(found.different), len(found.missing_here), len(found.missing_there)) == (0, 2, 1)


@pytest.mark.parametrize("named", [{}, {"id": "a"}])
def test_a_local_time_that_happened_twice_is_the_one_of_a_leg(named: dict[str, object]) -> None:
    twofold = record(at=0, second_at=NOON + timedelta(hours=1), **named)
    other = record(2, at=3600, **({"id": "b"} if named else {}))
    for at in (0, 3600):
        found = compare([twofold], [leg(at=at)])
        assert (found.matched, found.missing_here) == (1, ())
    both = compare([twofold, other], [leg(at=0), leg("pbx~b", at=3600)])
    assert both.matched == 2
    (missing,) = compare([twofold], [leg(at=7200, number=PARIS)]).missing_here or (None,)
    assert missing is None or missing.theirs.answered_at == NOON


@pytest.mark.parametrize("number", ["+44207***0000", "+4420******00", "+************"])
def test_digits_may_be_hidden_anywhere(number: str) -> None:
    assert compare([record(number=number)], [leg()]).matched == 1
    assert compare([record(number=number)], [leg(number="+442089461234567")]).matched == 0


def test_what_lies_outside_the_period_is_counted_only_with_a_leg_inside() -> None:
    edge = int((NOVEMBER.since - NOON).total_seconds())
    rows = [record(1, at=edge - 1), record(2, at=edge - 90)]
    found = compare(rows, [leg("pbx~a", at=edge), leg("pbx~b", at=edge - 5000)])
    assert (found.matched, found.outside, found.missing_here, found.missing_there) == (1, 1, (), ())
    assert (found.theirs_micros, found.ours_micros) == (CENT, CENT)


@given(st.integers(0, 10**6), st.integers(1, 60))
def test_each_is_used_once_and_the_order_of_the_file_changes_nothing(seed: int, count: int) -> None:
    chance = random.Random(seed)
    legs = [
        leg(f"pbx~{number}", at=chance.randrange(200), seconds=chance.choice((30, 60)))
        for number in range(count)
    ]
    rows = [
        record(line, at=chance.randrange(200), seconds=chance.choice((30, 60)))
        for line in range(1, count + chance.randrange(5))
    ]
    found = compare(rows, legs)
    pairs = found.matched + len(found.different)
    assert pairs + len(found.missing_here) == len(rows)
    assert pairs + len(found.missing_there) == len(legs)
    chance.shuffle(rows)
    chance.shuffle(legs)
    assert compare(rows, legs) == found


def test_the_nearest_pair_is_always_assigned_first() -> None:
    """Against a plain search over all pairs, on times that never tie."""
    for seed in range(200):
        chance = random.Random(seed)
        times = chance.sample(range(0, 4000, 3), 24)
        legs = [leg(f"pbx~{at}", at=at) for at in times[:12]]
        rows = [record(line, at=at + 1) for line, at in enumerate(times[12:], start=1)]
        found = compare(rows, legs, seconds=300)
        left_rows, left_legs, pairs = list(rows), list(legs), 0
        while left_rows and left_legs:
            gap, row, nearest = min(
                (
                    (abs((row.answered_at - each.answered_at).total_seconds()), row, each)
                    for row in left_rows
                    for each in left_legs
                ),
                key=lambda found: (found[0], found[1].line),
            )
            if gap > 300:
                break
            left_rows.remove(row)
            left_legs.remove(nearest)
            pairs += 1
        shifted = sum(ComparedField.ANSWERED_AT in each.fields for each in found.different)
        assert found.matched + len(found.different) - shifted == pairs

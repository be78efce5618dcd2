"""What a rate card may say: each rule, with the field that breaks it."""

from dataclasses import replace

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import FieldError, Invalid
from shared.domain.common.formulas import FORMULA_RULE
from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import (
    Band,
    MaximumStrategy,
    Rate,
    Rounding,
    RoundingMode,
    Slot,
    build_version,
    version_in_force,
)
from shared.domain.rating.terms import label_problem, minute_picos
from tests.unit.rating.cases import HALF_UP_4, VERSION_FROM, card, picos, rate, slot

GOOD = rate(slot("60", "1"))
BAND = Band(10, (slot("60", "1"),), name="evening", weekdays=(1, 7), dates=("2028-02-29", "02-29"))


def pointers(*rates: Rate, **card_fields: object) -> list[str]:
    """Where the card of these rates is wrong."""
    facts: dict[str, object] = {
        "card": "default",
        "effective_from": VERSION_FROM,
        "currency": "USD",
        "time_zone": "Europe/Paris",
        "rounding": HALF_UP_4,
        "rates": rates,
        **card_fields,
    }
    try:
        build_version(**facts)  # type: ignore[arg-type]
    except Invalid as error:
        return [each.pointer for each in error.errors]
    return []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"currency": "usd"}, ["/currency"]),
        ({"currency": "USDT"}, ["/currency"]),
        ({"currency": "USD\n"}, ["/currency"]),
        ({"time_zone": "UTC"}, []),
        ({"time_zone": "Etc/GMT+5"}, []),
        ({"time_zone": "America/Argentina/Buenos_Aires"}, []),
        ({"time_zone": ""}, ["/time_zone"]),
        ({"time_zone": "Europe/Atlantis"}, ["/time_zone"]),
        ({"time_zone": "Europe"}, ["/time_zone"]),
        ({"time_zone": "localtime"}, ["/time_zone"]),
        ({"time_zone": "Factory"}, ["/time_zone"]),
        ({"time_zone": "/etc/localtime"}, ["/time_zone"]),
        ({"time_zone": "../UTC"}, ["/time_zone"]),
        ({"rounding": Rounding(RoundingMode.UP, 0)}, []),
        ({"rounding": Rounding(RoundingMode.UP, 30)}, []),
        ({"rounding": Rounding(RoundingMode.UP, 31)}, ["/rounding/decimals"]),
        ({"rounding": Rounding(RoundingMode.UP, -1)}, ["/rounding/decimals"]),
        ({"rates": []}, ["/rates"]),
    ],
)
def test_the_cards_own_fields(fields: dict[str, object], wrong: list[str]) -> None:
    """Currency, zone, rounding, and at least one rate."""
    assert pointers(GOOD, **fields) == wrong


DAY_31 = 31 * 86_400


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (replace(GOOD, kind=LegKind.VOIP), ["/kind"]),
        (replace(GOOD, prefix="1" * 15), []),
        (replace(GOOD, prefix="1" * 16), ["/prefix"]),
        (replace(GOOD, prefix="+44"), ["/prefix"]),
        (replace(GOOD, prefix="44 "), ["/prefix"]),
        (replace(GOOD, prefix="٤٤"), ["/prefix"]),
        (replace(GOOD, destination=""), ["/destination"]),
        (replace(GOOD, destination="x" * 200), []),
        (replace(GOOD, destination="x" * 201), ["/destination"]),
        (replace(GOOD, destination="a\nb"), ["/destination"]),
        (replace(GOOD, destination="a\x85b"), ["/destination"]),
        (replace(GOOD, destination="a\u2028b"), ["/destination"]),
        (replace(GOOD, destination="\ud800"), ["/destination"]),
        (replace(GOOD, destination="Åland, \U0001f1eb \u00a0"), []),
        (replace(GOOD, origin="US"), []),
        (replace(GOOD, origin="us"), ["/origin"]),
        (replace(GOOD, origin="USA"), ["/origin"]),
        (replace(GOOD, origin=""), ["/origin"]),
        (replace(GOOD, connection_fee_picos=10**21), []),
        (replace(GOOD, connection_fee_picos=10**21 + 1), ["/connection_fee"]),
        (replace(GOOD, connection_fee_picos=-1), ["/connection_fee"]),
        (replace(GOOD, minimum_charge_picos=-1), ["/minimum_charge"]),
        (replace(GOOD, minimum_charge_picos=10**21 + 1), ["/minimum_charge"]),
        (replace(GOOD, grace_seconds=DAY_31), []),
        (replace(GOOD, grace_seconds=DAY_31 + 1), ["/grace_seconds"]),
        (replace(GOOD, grace_seconds=-1), ["/grace_seconds"]),
    ],
)
def test_the_fields_of_a_rate(changed: Rate, wrong: list[str]) -> None:
    """Each at both sides of its edge; the pointer names the rate."""
    assert pointers(rate(slot("60", "1"), prefix="33"), changed) == [
        f"/rates/1{pointer}" for pointer in wrong
    ]


CAP = MaximumStrategy.CAP


@pytest.mark.parametrize(
    ("minimum", "maximum", "strategy", "wrong"),
    [
        (0, 1, CAP, []),
        (1, 1, CAP, []),
        (0, 10**21, MaximumStrategy.STOP, []),
        (0, 10**21 + 1, CAP, ["/maximum_charge"]),
        (2, 1, CAP, ["/maximum_charge"]),
        (0, 0, CAP, ["/maximum_charge"]),
        (0, 1, None, ["/maximum_charge"]),
        (0, None, CAP, ["/maximum_charge_strategy"]),
    ],
)
def test_bounds(
    minimum: int, maximum: int | None, strategy: MaximumStrategy | None, wrong: list[str]
) -> None:
    """A maximum has a strategy and is not below the minimum; 0 is not a way to say none."""
    changed = replace(
        GOOD,
        minimum_charge_picos=minimum,
        maximum_charge_picos=maximum,
        maximum_charge_strategy=strategy,
    )

    assert pointers(changed) == [f"/rates/0{pointer}" for pointer in wrong]


SLOTS = [
    ((), [""]),
    ((Slot(0, 0, 1, 1),), []),
    ((Slot(1, 0, 1, 1),), ["/0/from_second"]),
    ((Slot(0, 0, 1, 1), Slot(DAY_31, 0, 1, 1)), []),
    ((Slot(0, 0, 1, 1), Slot(DAY_31 + 1, 0, 1, 1)), ["/1/from_second"]),
    ((Slot(0, 0, 1, 1), Slot(0, 0, 1, 1)), ["/1/from_second"]),
    ((Slot(0, 0, 1, 1), Slot(5, 0, 1, 1), Slot(4, 0, 1, 1)), ["/2/from_second"]),
    ((Slot(0, -1, 1, 1),), ["/0/price"]),
    ((Slot(0, 10**21, 1, 1),), []),
    ((Slot(0, 10**21 + 1, 1, 1),), ["/0/price"]),
    ((Slot(0, 0, 0, 1),), ["/0/unit_seconds"]),
    ((Slot(0, 0, DAY_31, DAY_31),), []),
    ((Slot(0, 0, DAY_31 + 1, 1),), ["/0/unit_seconds"]),
    ((Slot(0, 0, 1, 0),), ["/0/increment_seconds"]),
    ((Slot(0, 0, 1, DAY_31 + 1),), ["/0/increment_seconds"]),
    (tuple(Slot(at, 0, 1, 1) for at in range(20)), []),
    (tuple(Slot(at, 0, 1, 1) for at in range(21)), [""]),
]


@pytest.mark.parametrize(("slots", "wrong"), SLOTS)
def test_slots(slots: tuple[Slot, ...], wrong: list[str]) -> None:
    """They begin at second 0, rise, and have a unit and an increment; in bands too."""
    assert pointers(replace(GOOD, slots=slots)) == [f"/rates/0/slots{each}" for each in wrong]
    banded = replace(GOOD, bands=(BAND, replace(BAND, slots=slots)))
    assert pointers(banded) == [f"/rates/0/bands/1/slots{each}" for each in wrong]


@pytest.mark.parametrize(
    ("band", "wrong"),
    [
        (BAND, []),
        (replace(BAND, name=""), []),
        (replace(BAND, name="a\tb"), ["/name"]),
        (replace(BAND, weight=0), ["/weight"]),
        (replace(BAND, weight=1), []),
        (replace(BAND, weight=1000), []),
        (replace(BAND, weight=1001), ["/weight"]),
        (replace(BAND, weekdays=(0,)), ["/weekdays"]),
        (replace(BAND, weekdays=(8,)), ["/weekdays"]),
        (replace(BAND, weekdays=(1, 1)), ["/weekdays"]),
        (replace(BAND, from_second_of_day=86_399), []),
        (replace(BAND, from_second_of_day=86_400), ["/from", "/until"]),
        (replace(BAND, from_second_of_day=-1), ["/from"]),
        (replace(BAND, from_second_of_day=1, until_second_of_day=0), []),
        (replace(BAND, until_second_of_day=-1), ["/until"]),
        (replace(BAND, until_second_of_day=86_401), ["/until"]),
        (replace(BAND, from_second_of_day=7, until_second_of_day=7), ["/until"]),
        (replace(BAND, dates=("2026-02-29",)), ["/dates/0"]),
        (replace(BAND, dates=("12-25", "02-30")), ["/dates/1"]),
        (replace(BAND, dates=("20261225",)), ["/dates/0"]),
        (replace(BAND, dates=("2026-W52-5",)), ["/dates/0"]),
        (replace(BAND, dates=("12-25\n",)), ["/dates/0"]),
        (replace(BAND, dates=("0000-12-25",)), ["/dates/0"]),
        (replace(BAND, dates=("12-25",) * 400), []),
        (replace(BAND, dates=("12-25",) * 401), ["/dates"]),
        (replace(BAND, connection_fee_picos=0), []),
        (replace(BAND, connection_fee_picos=-1), ["/connection_fee"]),
    ],
)
def test_bands(band: Band, wrong: list[str]) -> None:
    """Days, times, dates, weight and fee of a band."""
    assert pointers(replace(GOOD, bands=(BAND, band))) == [
        f"/rates/0/bands/1{pointer}" for pointer in wrong
    ]


def test_a_rate_has_at_most_twenty_bands() -> None:
    """The limit keeps a charge's lines within theirs."""
    assert pointers(replace(GOOD, bands=(BAND,) * 20)) == []
    assert pointers(replace(GOOD, bands=(BAND,) * 21)) == ["/rates/0/bands"]


@pytest.mark.parametrize("good", [GOOD, replace(GOOD, prefix="")])
def test_no_rate_exists_twice(good: Rate) -> None:
    """The error is at the second one and names the first; another origin or kind is another."""
    same = replace(good, destination="elsewhere")
    others = [replace(good, origin="US"), replace(good, kind=LegKind.DIAL_IN)]

    assert pointers(good, *others) == []
    with pytest.raises(Invalid) as refused:
        card(good, same)
    assert refused.value.errors == (FieldError("/rates/1/prefix", "exists already at /rates/0"),)
    with pytest.raises(Invalid) as refused:
        card(*others, good, same)
    assert refused.value.errors == (FieldError("/rates/3/prefix", "exists already at /rates/2"),)


def test_a_card_has_a_limited_number_of_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named one."""
    monkeypatch.setattr(limits, "RATE_CARD_RATES_MAX", 2)
    rates = [replace(GOOD, prefix=prefix) for prefix in ("1", "2", "3")]

    assert pointers(*rates[:2]) == []
    assert pointers(*rates) == ["/rates"]
    assert pointers(*rates, replace(GOOD, prefix="x")) == ["/rates"]  # not read any more


def test_errors_are_listed_together_up_to_their_limit() -> None:
    """Terms that many rates share are checked once, and reported for each."""
    bad = [replace(GOOD, prefix=str(number), grace_seconds=-1) for number in range(300)]

    assert pointers(*bad, currency="") == [
        "/currency",
        *(f"/rates/{number}/grace_seconds" for number in range(limits.RATE_CARD_ERRORS_MAX - 1)),
    ]


def test_the_version_in_force_is_the_latest_that_has_begun() -> None:
    """At its very instant it holds; before the first there is none."""
    first, second = VERSION_FROM, VERSION_FROM.replace(month=6)
    starts = [second, first]

    assert version_in_force(starts, first) == first
    assert version_in_force(starts, second.replace(month=5)) == first
    assert version_in_force(starts, second) == second
    assert version_in_force(starts, second.replace(year=2030)) == second
    assert version_in_force(starts, first.replace(year=2025)) is None
    assert version_in_force([], first) is None


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ((Slot(0, 10**10, 60, 60),), 10**10),
        ((Slot(0, 10**10, 60, 60), Slot(60, 2 * 10**10, 60, 1)), 2 * 10**10),
        ((Slot(0, 2 * 10**10, 60, 60), Slot(60, 10**10, 60, 1)), 2 * 10**10),
        ((Slot(0, 1, 1, 1),), 60),
        ((Slot(0, 1, 7, 1),), 9),
    ],
)
def test_the_price_of_a_minute_is_that_of_the_dearest_slot(
    slots: tuple[Slot, ...], expected: int
) -> None:
    """In whole picos, rounded up."""
    assert minute_picos(slots) == expected


def test_a_price_may_be_as_high_as_it_is_absurd() -> None:
    """A thousand million a second still adds up."""
    assert pointers(rate(Slot(0, picos("1000000000"), 1, 1))) == []


def test_a_displayed_name_is_a_rule_broken_or_an_empty_text() -> None:
    assert label_problem("London") == ""
    assert label_problem("=1+1") == FORMULA_RULE

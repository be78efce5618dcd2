"""Charges of single legs: each rule of a rate, worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import MaximumStrategy, Rate, Rounding, RoundingMode, Slot
from shared.domain.rating.rating import ChargeLineKind, rate_leg, rate_missing
from tests.unit.rating.cases import ANSWERED_AT, card, charge, picos, rate, slot

CAP, STOP = MaximumStrategy.CAP, MaximumStrategy.STOP


def test_the_contracts_example() -> None:
    """183 s at 60/60 are four minutes: 0.05 + 4 x 0.012 = 0.098."""
    got = charge(card(rate(slot("60", "0.012"), fee="0.05")), 183)

    assert (got.amount_micros, got.billed_seconds, got.talk_seconds) == (98_000, 240, 183)
    fee, usage = got.lines()
    assert (ChargeLineKind.CONNECTION_FEE, Fraction(1, 20)) == (fee.kind, fee.amount)
    assert fee[3:] == (0, 0, 0, 0, 0, 0, None)
    assert (ChargeLineKind.USAGE, Fraction(48, 1000)) == (usage.kind, usage.amount)
    assert (
        usage.from_second,
        usage.seconds,
        usage.increments,
        usage.increment_seconds,
    ) == (0, 240, 4, 60)
    assert (picos("0.012"), 60, None) == (usage.price_picos, usage.unit_seconds, usage.band)


# slots as increments with a price a minute, talk seconds → billed seconds, sum
@pytest.mark.parametrize(
    ("slots", "talk", "billed", "total"),
    [
        (("60 1",), 1, 60, "1"),
        (("60 1",), 60, 60, "1"),
        (("60 1",), 61, 120, "2"),
        (("1 1",), 61, 61, "61/60"),
        (("60 1", "60+1 1"), 61, 61, "61/60"),
        (("30 1", "30+6 1"), 32, 36, "36/60"),
        (("30 1", "30+6 1"), 30, 30, "1/2"),
        # An increment runs into the next slot, whose price counts from where it ends.
        (("45 1", "60+30 2"), 61, 90, "3/2"),
        (("45 1", "60+30 2"), 91, 120, "5/2"),
        # … and over a whole slot.
        (("90 1", "60+1 9", "80+1 2"), 91, 91, "92/60"),
        (("7 1",), 50, 56, "56/60"),
    ],
)
def test_increments(slots: tuple[str, ...], talk: int, billed: int, total: str) -> None:
    """Usage is rounded up to whole increments, which may overrun the slot or the call."""
    priced = rate(*(slot(*text.split()) for text in slots))

    got = charge(card(priced), talk)

    assert (billed, Fraction(total)) == (got.billed_seconds, got.unrounded)


@pytest.mark.parametrize(
    "priced",
    [
        rate(slot("60", "1"), fee="0.5"),
        rate(slot("60", "1"), fee="0.5", minimum_charge_picos=picos("1")),
        rate(slot("60", "1"), fee="0.5", grace_seconds=5),
    ],
)
def test_no_talk_time_costs_nothing(priced: Rate) -> None:
    """Not even the connection fee or the minimum charge, and there are no lines."""
    got = charge(card(priced), 0)

    assert (got.amount_micros, got.billed_seconds, got.numerator) == (0, 0, 0)
    assert got.lines() == ()


@pytest.mark.parametrize(("talk", "total", "billed"), [(5, "0", 0), (6, "3/2", 60)])
def test_grace_is_free_up_to_its_last_second(talk: int, total: str, billed: int) -> None:
    """A leg of up to the grace costs nothing, a longer one is charged from its first second."""
    got = charge(card(rate(slot("60", "1"), fee="0.5", grace_seconds=5)), talk)

    assert (Fraction(total), billed) == (got.unrounded, got.billed_seconds)


@pytest.mark.parametrize(
    ("minimum", "maximum", "strategy", "talk", "total", "line"),
    [
        ("3", None, None, 60, "3", ("minimum_charge", "3/2")),
        ("1.5", None, None, 60, "3/2", None),
        ("0", "2", CAP, 60, "3/2", None),
        ("0", "2.5", CAP, 120, "5/2", None),
        ("0", "2", CAP, 120, "2", ("maximum_charge", "-1/2")),
        ("0", "0.1", CAP, 1, "1/10", ("maximum_charge", "-7/5")),
        ("2", "2", CAP, 600, "2", ("maximum_charge", "-17/2")),
        ("0", "2", STOP, 600, "21/2", None),
    ],
)
def test_bounds_of_a_charge(
    minimum: str,
    maximum: str | None,
    strategy: MaximumStrategy | None,
    talk: int,
    total: str,
    line: tuple[str, str] | None,
) -> None:
    """A minimum fills up, a cap cuts, the connection fee included; a stop never cuts a charge."""
    priced = rate(
        slot("60", "1"),
        fee="0.5",
        minimum_charge_picos=picos(minimum),
        maximum_charge_picos=picos(maximum) if maximum else None,
        maximum_charge_strategy=strategy,
    )

    got = charge(card(priced), talk)

    assert Fraction(total) == got.unrounded
    assert Fraction(total) == sum(each.amount for each in got.lines())
    last = got.lines()[-1]
    expected = (last.kind, last.amount) if last.kind != "usage" else None
    assert (line and (line[0], Fraction(line[1]))) == expected


@pytest.mark.parametrize(
    ("mode", "decimals", "price", "micros"),
    [
        ("half_up", 2, "0.005", 10_000),
        ("half_up", 2, "0.004999999999", 0),
        ("half_even", 2, "0.005", 0),
        ("half_even", 2, "0.015", 20_000),
        ("half_even", 2, "0.005000000001", 10_000),
        ("up", 2, "0.000000000001", 10_000),
        ("up", 2, "0.01", 10_000),
        ("down", 2, "0.019999999999", 10_000),
        ("down", 0, "1.999999999999", 1_000_000),
        ("none", 0, "1.5", 1_500_000),
        ("none", 2, "0.000000000001", 1),
        ("half_up", 9, "0.000000499999", 0),
        ("half_up", 9, "0.0000005", 1),
    ],
)
def test_rounding_once_at_the_end(mode: str, decimals: int, price: str, micros: int) -> None:
    """Each mode at its edge; `none` keeps micros and goes up; decimals above 6 count as 6."""
    version = card(rate(slot("60", price)), rounding=Rounding(RoundingMode(mode), decimals))

    assert micros == charge(version, 60).amount_micros


def test_the_price_of_an_increment_is_never_rounded() -> None:
    """0.1 a minute by the second for three minutes is 0.3, not 180 rounded thirds."""
    assert charge(card(rate(slot("1", "0.1"))), 180).amount_micros == 300_000


def test_twelve_decimals_count() -> None:
    """A price of one pico a second adds up over a day."""
    version = card(rate(Slot(0, 1, 1, 1)), rounding=Rounding(RoundingMode.UP, 6))
    got = charge(version, 86_400)

    assert Fraction(86_400, 10**12) == got.unrounded
    assert got.amount_micros == 1


def test_a_zero_rate_has_lines_and_costs_nothing() -> None:
    """Free is a price: the seconds are counted and shown."""
    got = charge(card(rate(slot("60", "0"))), 61)

    assert (got.amount_micros, got.billed_seconds) == (0, 120)
    assert [Fraction(0)] == [line.amount for line in got.lines()]


def test_without_a_rate_there_is_no_charge() -> None:
    """Never silently zero."""
    version = card(rate(slot("60", "1")))

    def rated(kind: LegKind, to_digits: str) -> object:
        return rate_leg(
            version,
            kind=kind,
            to_digits=to_digits,
            origin=None,
            answered_at=ANSWERED_AT,
            talk_seconds=60,
        )

    assert rated(LegKind.DIAL_OUT, "33170000000") is None
    assert rated(LegKind.DIAL_IN, "442079460000") is None
    assert rated(LegKind.VOIP, "442079460000") is None
    assert rated(LegKind.DIAL_OUT, "") is None


@pytest.mark.parametrize("talk", [-1, 31 * 86_400 + 1])
def test_absurd_talk_times_are_refused(talk: int) -> None:
    """Nothing is rated that can't be a call."""
    with pytest.raises(ValueError, match="talk_seconds"):
        charge(card(rate(slot("60", "1"))), talk)


@pytest.mark.parametrize("talk", [1, 31 * 86_400])
def test_the_longest_and_shortest_talk_times_are_rated(talk: int) -> None:
    """Both ends of what is allowed."""
    assert charge(card(rate(slot("1", "1"))), talk).billed_seconds == talk


@pytest.mark.parametrize("digits", ["+442079460000", "44 20", "٤٤2079", "44x", "-44", "4_4"])
def test_only_ascii_digits_are_rated(digits: str) -> None:
    """Anything else would be looked up as some other number."""
    with pytest.raises(ValueError, match="ASCII digits"):
        charge(card(rate(slot("60", "1"))), 60, to_digits=digits)


def test_a_charge_names_its_rate_and_version() -> None:
    """All that a proof needs."""
    priced = rate(slot("60", "1"), prefix="4420")
    version = card(rate(slot("60", "2")), priced)
    got = charge(version, 60)

    assert (priced, version) == (got.rate, got.version)
    assert got.answered_at == ANSWERED_AT


def test_the_sentence_names_who_won_what_was_counted_and_how_it_was_rounded() -> None:
    """Everything that the charge rests upon, in words."""
    version = card(
        rate(slot("60", "1"), prefix="4"),
        rate(slot("60", "0.012"), prefix="44", fee="0.05", destination="United Kingdom"),
        rate(slot("60", "3"), prefix="44", origin="US"),
        rate(slot("60", "3"), prefix=""),
    )

    assert charge(version, 183).sentence() == (
        "183 s of dial out to United Kingdom, by prefix 44 of rate card default, version "
        "2026-01-01T00:00:00Z, which won over prefix 4, the empty prefix (prefix 44 for callers "
        "from US hold for other callers): connection fee 0.05 + 4 x 60 s from second 0 at 0.012 "
        "per 60 s (0.048) = 0.098, rounded half up to 4 decimals: 0.098 USD."
    )


def test_the_sentence_of_a_leg_that_costs_nothing_states_the_reason() -> None:
    """Not answered, or within the grace."""
    version = card(rate(slot("60", "1"), grace_seconds=5), rounding=Rounding(RoundingMode.NONE, 0))

    assert (
        charge(version, 0)
        .sentence()
        .endswith("Z: no full second of talk time, nothing is charged.")
    )
    assert (
        charge(version, 5).sentence().endswith("within the 5 s that are free, nothing is charged.")
    )
    assert charge(version, 7).sentence().endswith("(1) = 1, rounded up to the micro: 1.00 USD.")


def test_a_sentence_keeps_amounts_that_no_decimal_holds() -> None:
    """A third of a cent is 1/300, before it is rounded."""
    text = charge(card(rate(slot("1", "0.2"), fee="0.5")), 1).sentence()

    assert "connection fee 0.5 + 1 x 1 s from second 0 at 0.2 per 60 s (1/300) = 151/300" in text


def test_the_sentence_distinguishes_losers_from_those_for_other_callers() -> None:
    """For a caller from the US, a shorter prefix for the US lost; one for France never held."""
    version = card(
        rate(slot("60", "1"), prefix="44"),
        rate(slot("60", "1"), prefix="4", origin="US"),
        rate(slot("60", "1"), prefix="4", origin="FR"),
    )
    text = charge(version, 60, origin="US").sentence()

    assert "won over prefix 4 for callers from US (prefix 4 for callers from FR hold for" in text


@pytest.mark.parametrize(
    ("losers", "text"),
    [
        (5, "won over prefix 4420, prefix 442, prefix 44, prefix 4, the empty prefix:"),
        (6, "won over prefix 44207, prefix 4420, prefix 442, prefix 44, prefix 4 and 1 more:"),
        (7, "won over prefix 442079, prefix 44207, prefix 4420, prefix 442, prefix 44 and 2 more:"),
    ],
)
def test_a_sentence_stays_short_when_many_prefixes_lost(losers: int, text: str) -> None:
    """Five are named, the rest counted."""
    prefixes = ["4420794600"[:size] for size in range(losers + 1)]
    version = card(*(rate(slot("60", "1"), prefix=prefix) for prefix in prefixes))

    assert text in charge(version, 60).sentence()


def test_answer_times_in_other_zones_are_the_same_instant() -> None:
    """The offset that an instant is written in says nothing about its price."""
    version = card(rate(slot("60", "1")))
    moved = datetime.fromisoformat("2026-11-23T12:00:07+02:00")

    assert charge(version, 60).amount_micros == charge(version, 60, answered_at=moved).amount_micros
    assert moved.astimezone(UTC) == ANSWERED_AT


def test_lines_and_sentence_come_together_as_they_come_alone() -> None:
    """With both, the parts are counted once."""
    version = card(rate(slot("60", "1"), fee="0.5", minimum_charge_picos=picos("9")))
    got = charge(version, 183)

    assert got.explain() == (got.lines(), got.sentence())
    assert charge(version, 0).explain() == ((), charge(version, 0).sentence())


def _dial_in(prefix: str, origin: str) -> Rate:
    return replace(rate(slot("60", "1"), prefix=prefix), kind=LegKind.DIAL_IN, origin=origin)


NO_RATE = "Rate card default has no dial_in rate for +33170000000"
CALLERS = f"{NO_RATE} without an origin: the card prices callers from"


@pytest.mark.parametrize(
    ("rates", "origin", "sentence"),
    [
        ([rate(slot("60", "1"))], None, f"{NO_RATE}."),
        (
            [_dial_in("33", "FR"), _dial_in("44", "GB")],
            "DE",
            f"{CALLERS} FR only, and the caller is from DE.",
        ),
        (
            [_dial_in("33", "FR"), _dial_in("33", "BE")],
            None,
            f"{CALLERS} BE, FR only, and the caller is unknown or of no single country.",
        ),
    ],
)
def test_a_missing_rate_names_the_callers_that_are_priced(
    rates: list[Rate], origin: str | None, sentence: str
) -> None:
    assert rate_missing(card(*rates), LegKind.DIAL_IN, "+33170000000", origin) == sentence

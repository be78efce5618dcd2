"""Which band is in force when: weekdays, times, dates, midnight, leap days and moved clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.rating.rate_card import Band, Rate, Slot
from shared.domain.rating.tariff import tariff_of
from shared.domain.rating.time_bands import BASE
from tests.unit.rating.cases import HALF_UP_4, card, charge, rate, slot

HOUR = 3600
FREE = (Slot(0, 0, 1, 1),)
XMAS = [(0, BASE), (2, 0)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bands_from(zone: str, start: str, seconds: int, *bands: Band) -> list[tuple[int, int]]:
    """(second, band) changes as the lines of a charge by the second show them."""
    version = card(rate(slot("1", "1"), bands=bands), time_zone=zone)
    numbers = {band.name: index for index, band in enumerate(bands)}
    lines = charge(version, seconds, answered_at=at(start)).lines()
    return [(line.from_second, BASE if line.band is None else numbers[line.band]) for line in lines]


def band(name: str, begin: float = 0, end: float = 24, **more: object) -> Band:
    facts = {"weight": 10, "slots": FREE, **more}
    return Band(
        name=name,
        from_second_of_day=int(begin * HOUR),
        until_second_of_day=int(end * HOUR),
        **facts,  # type: ignore[arg-type]
    )


MONDAY_TO_FRIDAY, WEEKEND = (1, 2, 3, 4, 5), (6, 7)


@pytest.mark.parametrize(
    ("zone", "start", "seconds", "bands", "changes"),
    [
        # One band, at its edges: 18:00:00 is the first second of the evening.
        ("UTC", "2026-06-01T17:59:58", 5, [band("evening", 18)], [(0, BASE), (2, 0)]),
        ("UTC", "2026-06-01T18:00:00", 5, [band("evening", 18)], [(0, 0)]),
        ("UTC", "2026-06-01T23:59:58", 5, [band("evening", 18)], [(0, 0), (2, BASE)]),
        ("UTC", "2026-06-01T11:59:58", 5, [band("morning", 6, 12)], [(0, 0), (2, BASE)]),
        # By the local clock: in June, 18:00 in Paris is 16:00 UTC.
        ("Europe/Paris", "2026-06-01T15:59:58", 5, [band("evening", 18)], [(0, BASE), (2, 0)]),
        ("Europe/Paris", "2026-12-01T16:59:58", 5, [band("evening", 18)], [(0, BASE), (2, 0)]),
        # Weekdays turn at local midnight: Friday to Saturday.
        ("UTC", "2026-06-05T23:59:58", 5, [band("weekend", weekdays=WEEKEND)], [(0, -1), (2, 0)]),
        ("UTC", "2026-06-07T23:59:58", 5, [band("weekend", weekdays=WEEKEND)], [(0, 0), (2, -1)]),
        ("Asia/Tokyo", "2026-06-05T14:59:58", 5, [band("w", weekdays=WEEKEND)], [(0, -1), (2, 0)]),
        # Over midnight: the night of Friday lasts until Saturday 06:00, that of Saturday is none.
        ("UTC", "2026-06-06T05:59:58", 5, [band("n", 22, 6, weekdays=(5,))], [(0, 0), (2, BASE)]),
        ("UTC", "2026-06-05T05:59:58", 5, [band("n", 22, 6, weekdays=(5,))], [(0, BASE)]),
        ("UTC", "2026-06-05T21:59:58", 5, [band("n", 22, 6, weekdays=(5,))], [(0, BASE), (2, 0)]),
        ("UTC", "2026-06-05T23:59:58", 5, [band("n", 22, 6)], [(0, 0)]),
        ("UTC", "2026-06-05T23:59:58", 5, [band("n", 22, 0)], [(0, 0), (2, BASE)]),
        # Dates: one day, every year, the night that begins on it, the leap day.
        ("UTC", "2026-12-24T23:59:58", 5, [band("x", dates=("2026-12-25",))], [(0, BASE), (2, 0)]),
        ("UTC", "2027-12-24T23:59:58", 5, [band("x", dates=("2026-12-25",))], [(0, BASE)]),
        ("UTC", "2027-12-24T23:59:58", 5, [band("x", dates=("12-25",))], [(0, BASE), (2, 0)]),
        ("UTC", "2027-01-01T00:59:58", 5, [band("x", 22, 1, dates=("12-31",))], [(0, 0), (2, -1)]),
        ("UTC", "2028-02-28T23:59:58", 5, [band("x", dates=("02-29",))], [(0, BASE), (2, 0)]),
        ("UTC", "2026-02-28T23:59:58", 5, [band("x", dates=("02-29",))], [(0, BASE)]),
        ("UTC", "2028-02-29T23:59:58", 5, [band("x", dates=("03-01",))], [(0, BASE), (2, 0)]),
        # A date and a weekday must both hold: Christmas 2026 is a Friday.
        ("UTC", "2026-12-24T23:59:58", 5, [band("x", dates=("12-25",), weekdays=(5,))], XMAS),
        ("UTC", "2026-12-24T23:59:58", 5, [band("x", dates=("12-25",), weekdays=(4,))], [(0, -1)]),
        # Weights: the higher wins; at equal weights the later start, then the earlier in the list.
        ("UTC", "2026-06-01T12:00:00", 1, [band("a"), band("b", weight=11)], [(0, 1)]),
        ("UTC", "2026-06-01T12:00:00", 1, [band("a", weight=11), band("b")], [(0, 0)]),
        ("UTC", "2026-06-01T12:00:00", 1, [band("a"), band("b", 8)], [(0, 1)]),
        ("UTC", "2026-06-01T12:00:00", 1, [band("a", 8), band("b")], [(0, 0)]),
        ("UTC", "2026-06-01T12:00:00", 1, [band("a"), band("b")], [(0, 0)]),
        # A holiday over an evening: the evening comes back for no one until the day is over.
        (
            "UTC",
            "2026-12-25T17:59:58",
            21_610,
            [band("evening", 18), band("holiday", dates=("12-25",), weight=20)],
            [(0, 1), (21_602, BASE)],
        ),
    ],
)  # fmt: skip
def test_bands(
    zone: str, start: str, seconds: int, bands: list[Band], changes: list[tuple[int, int]]
) -> None:
    """Where the band changes, by the second."""
    assert changes == bands_from(zone, start, seconds, *bands)


# Paris 2026: the clock goes from 02:00 to 03:00 on 29 March (01:00 UTC), back on 25 October.
@pytest.mark.parametrize(
    ("start", "seconds", "band", "changes"),
    [
        # A band within the hour that is skipped never is; one that ends there ends at 03:00.
        ("2026-03-29T00:59:58", 5, band("b", 2, 3), [(0, BASE)]),
        ("2026-03-29T00:59:58", 5, band("b", 1, 2.5), [(0, 0), (2, BASE)]),
        ("2026-03-29T00:59:58", 5, band("b", 2.5, 4), [(0, BASE), (2, 0)]),
        ("2026-03-29T00:59:58", HOUR + 5, band("b", 2.5, 4), [(0, BASE), (2, 0), (HOUR + 2, BASE)]),
        # A band within the hour that is repeated is twice; 02:00 to 03:00 lasts two hours.
        ("2026-10-24T23:59:58", 3 * HOUR, band("b", 2, 3), [(0, BASE), (2, 0), (7202, BASE)]),
        (
            "2026-10-24T23:59:58",
            3 * HOUR,
            band("b", 2, 2.5),
            [(0, BASE), (2, 0), (1802, BASE), (HOUR + 2, 0), (HOUR + 1802, BASE)],
        ),
    ],
)  # fmt: skip
def test_moved_clocks(start: str, seconds: int, band: Band, changes: list[tuple[int, int]]) -> None:
    """A skipped hour is in no band, a repeated one is in its band twice."""
    assert changes == bands_from("Europe/Paris", start, seconds, band)


@pytest.mark.parametrize("later", [1, 2, 21_598, 21_599, 21_600, 21_601, 43_199, 43_200])
@pytest.mark.parametrize("after", [1, 2, 100])
def test_a_clock_that_moves_is_seen_to_the_second(later: int, after: int) -> None:
    """However long the call has lasted, and however soon after the move it ends."""
    spring = at("2026-03-29T01:00:00") - timedelta(seconds=later)
    found = bands_from(
        "Europe/Paris", spring.isoformat()[:19], later + after, band("b", 3, weekdays=(7,))
    )

    assert found == [(0, BASE), (later, 0)]


def test_a_day_that_a_place_skipped_is_skipped() -> None:
    """Samoa had no 30 December 2011: after Thursday the 29th came Saturday the 31st."""
    friday, saturday = band("friday", weekdays=(5,)), band("saturday", weekdays=(6,))

    assert bands_from("Pacific/Apia", "2011-12-30T09:59:58", 5, friday, saturday) == [
        (0, BASE),
        (2, 1),
    ]


def test_a_fraction_of_a_second_changes_no_band() -> None:
    """A second belongs to the band at its beginning, by clocks that move by whole seconds."""
    evening = band("evening", 18)
    version = card(rate(slot("1", "1"), bands=(evening,)))
    late = at("2026-06-01T17:59:58").replace(microsecond=999_999)
    lines = charge(version, 5, answered_at=late).lines()

    assert [(line.from_second, line.band) for line in lines] == [(0, None), (2, "evening")]


@pytest.mark.parametrize(
    "dates", ["12-24 12-25 12-31 01-01", "2026-12-24 2026-12-25 2026-12-31 2027-01-01"]
)
def test_holidays_a_week_apart_are_not_taken_for_each_other(dates: str) -> None:
    """Christmas and New Year fall on the same weekdays, and have prices of their own."""
    eve, christmas, old_year, new_year = dates.split()
    version = card(
        rate(
            slot("1", "1"),
            bands=(
                band("christmas", dates=(eve, christmas)),
                band("new year", dates=(old_year, new_year)),
            ),
        )
    )
    found = [
        charge(version, 1, answered_at=at(f"{day}T12:00:00")).lines()[0].band
        for day in ("2026-12-25", "2027-01-01", "2026-12-18", "2027-01-08", "2026-12-24")
    ]

    assert found == ["christmas", "new year", None, None, "christmas"]


def test_slots_count_from_the_start_of_the_call_in_every_band() -> None:
    """After 18:00 the call is in its third minute, so the evening's second slot counts."""
    evening = Band(10, (slot("60", "9"), slot("120+60", "0.5")), from_second_of_day=18 * HOUR)
    version = card(rate(slot("60", "1"), bands=(evening,)))
    got = charge(version, 240, answered_at=at("2026-06-01T17:58:00"))

    assert [
        (line.from_second, line.increments, line.increment_seconds) for line in got.lines()
    ] == [(0, 2, 60), (120, 2, 60)]
    assert got.amount_micros == 3_000_000


def test_an_increment_that_began_before_the_band_runs_into_it() -> None:
    """It has the price of its first second; the band counts from where it ends."""
    evening = Band(10, (slot("1", "0.6"),), from_second_of_day=18 * HOUR)
    version = card(rate(slot("60", "1"), bands=(evening,)))
    got = charge(version, 90, answered_at=at("2026-06-01T17:59:50"))

    assert [(line.from_second, line.seconds, line.band) for line in got.lines()] == [
        (0, 60, None),
        (60, 30, "band 1"),
    ]


@pytest.mark.parametrize(("start", "fee"), [("17:59:59", "0.5"), ("18:00:00", "0.2")])
def test_the_connection_fee_is_that_of_the_band_at_the_answer(start: str, fee: str) -> None:
    """Once, whatever bands follow."""
    evening = Band(10, FREE, from_second_of_day=18 * HOUR, connection_fee_picos=2 * 10**11)
    version = card(rate(slot("1", "0"), fee="0.5", bands=(evening,)))
    got = charge(version, 60, answered_at=at(f"2026-06-01T{start}"))

    assert fee == f"{got.amount_micros / 10**6:g}"


def test_a_band_without_a_fee_takes_the_rates() -> None:
    """None is not zero."""
    version = card(rate(slot("1", "0"), fee="0.5", bands=(Band(10, FREE),)))

    assert charge(version, 60).amount_micros == 500_000


def test_a_band_without_times_is_the_whole_day() -> None:
    """From midnight to midnight, to the second."""
    sunday = Band(10, FREE, name="s", weekdays=(7,))

    assert bands_from("UTC", "2026-06-06T23:59:59", 86_402, sunday) == [
        (0, -1),
        (1, 0),
        (86_401, -1),
    ]


def test_bands_touched_are_named_once_each() -> None:
    """In the order in which the span meets them."""
    priced: Rate = rate(slot("1", "0"), bands=(band("evening", 18), band("night", 22, 6)))
    tariff = tariff_of(priced.terms, HALF_UP_4, "UTC")

    assert tariff.bands_touched(at("2026-06-01T17:00:00"), 86_400) == [BASE, 0, 1]
    assert tariff.bands_touched(at("2026-06-01T12:00:00"), 6 * HOUR) == [BASE]
    assert tariff.bands_touched(at("2026-06-01T12:00:00"), 6 * HOUR + 1) == [BASE, 0]
    assert (
        tariff.band_at(at("2026-06-01T17:00:00")),
        tariff.band_at(at("2026-06-01T01:00:00")),
    ) == (BASE, 1)


def test_the_morning_after_a_special_night_is_no_ordinary_morning() -> None:
    """One card, the same weekday: what is remembered of a plain one holds for plain ones only."""
    night = Band(1, (slot("60", "2"),), "", (), 79_200, 21_600, ("2026-12-24",))
    version = card(rate(slot("60", "1"), bands=(night,)))

    costs = [
        charge(version, 60, answered_at=datetime(2026, 12, day, 3, tzinfo=UTC)).amount_micros
        for day in (18, 25, 18, 24, 26)
    ]

    assert costs == [1_000_000, 2_000_000, 1_000_000, 1_000_000, 1_000_000]

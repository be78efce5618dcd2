"""Rates and calls for tests: short ways to write them, and random ones of every kind."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import (
    Band,
    MaximumStrategy,
    Rate,
    RateCardVersion,
    Rounding,
    RoundingMode,
    Slot,
    build_version,
)
from shared.domain.rating.rating import Charge, rate_leg

VERSION_FROM = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERED_AT = datetime(2026, 11, 23, 10, 0, 7, tzinfo=UTC)
HALF_UP_4 = Rounding(RoundingMode.HALF_UP, 4)

# Places whose clocks move in every way: by an hour, by half an hour, at midnight, not at all, and
# once by a whole day.
CLOCKS = {
    "UTC": date(2026, 3, 1),
    "Europe/Paris": date(2026, 3, 29),
    "America/New_York": date(2026, 11, 1),
    "Australia/Lord_Howe": date(2026, 4, 5),
    "America/Santiago": date(2026, 9, 6),
    "Asia/Kathmandu": date(2028, 2, 29),
    "Africa/Casablanca": date(2026, 2, 15),
    "Pacific/Apia": date(2011, 12, 30),
    "America/St_Johns": date(2010, 11, 7),
}


def picos(text: str) -> int:
    """A decimal price in picos."""
    return int(Decimal(text) * 10**12)


def slot(text: str, price: str) -> Slot:
    """A slot from "60/6" (increment 6 from second 60 on is `slot("60+6", …)`), price a minute."""
    begin, _, increment = text.rpartition("+")
    return Slot(int(begin or 0), picos(price), 60, int(increment))


def rate(*slots: Slot, prefix: str = "44", fee: str = "0", **more: object) -> Rate:
    """A dial-out rate; everything else by name."""
    facts = {"kind": LegKind.DIAL_OUT, "destination": f"+{prefix}" if prefix else "any", **more}
    return Rate(prefix=prefix, connection_fee_picos=picos(fee), slots=slots, **facts)  # type: ignore[arg-type]


def card(*rates: Rate, rounding: Rounding = HALF_UP_4, time_zone: str = "UTC") -> RateCardVersion:
    """A version of these rates."""
    return build_version(
        card="default",
        effective_from=VERSION_FROM,
        currency="USD",
        time_zone=time_zone,
        rounding=rounding,
        rates=rates,
    )


def charge(
    version: RateCardVersion,
    talk_seconds: int,
    *,
    to_digits: str = "442079460000",
    answered_at: datetime = ANSWERED_AT,
    kind: LegKind = LegKind.DIAL_OUT,
    origin: str | None = None,
) -> Charge:
    """The charge of a leg that has a rate."""
    found = rate_leg(
        version,
        kind=kind,
        to_digits=to_digits,
        origin=origin,
        answered_at=answered_at,
        talk_seconds=talk_seconds,
    )
    assert found is not None
    return found


@dataclass(frozen=True, slots=True)
class Call:
    """A random rate and a call that it prices."""

    rate: Rate
    rounding: Rounding
    time_zone: str
    answered_at: datetime
    talk_seconds: int

    @property
    def version(self) -> RateCardVersion:
        """The card that has the rate alone."""
        return card(self.rate, rounding=self.rounding, time_zone=self.time_zone)


def random_call(rng: random.Random) -> Call:
    """A call near a day on which the clock of its zone moves, at a random rate."""
    zone = rng.choice(list(CLOCKS))
    day = CLOCKS[zone]
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    answered_at = midnight + timedelta(
        seconds=rng.randrange(-36 * 3600, 36 * 3600), microseconds=rng.choice((0, 1, 999_999))
    )
    return Call(
        random_rate(rng, day),
        Rounding(rng.choice(list(RoundingMode)), rng.choice((0, 2, 4, 6, 9))),
        zone,
        answered_at,
        _talk_seconds(rng),
    )


def random_rate(rng: random.Random, day: date) -> Rate:
    """Slots, fees, bounds and bands of every kind."""
    maximum = rng.random() < 0.2
    minimum = _price(rng) if rng.random() < 0.2 else 0
    return Rate(
        LegKind.DIAL_OUT,
        "44",
        "United Kingdom",
        _price(rng) if rng.random() < 0.5 else 0,
        _slots(rng),
        minimum,
        minimum + _price(rng) + 1 if maximum else None,
        rng.choice(list(MaximumStrategy)) if maximum else None,
        tuple(_band(rng, day) for _ in range(rng.choice((0, 1, 1, 2, 3)))),
        None,
        rng.choice((0, 0, 0, 5, 30)),
    )


def _talk_seconds(rng: random.Random) -> int:
    return int(2 ** rng.uniform(0, 11)) - 1 if rng.random() < 0.97 else rng.randrange(30_000)


def _price(rng: random.Random) -> int:
    return rng.choice((0, 10**12, 2 * 10**10, rng.randrange(10**12), rng.randrange(10**9)))


def _slots(rng: random.Random) -> tuple[Slot, ...]:
    begins: Sequence[int] = [0, *sorted(rng.sample(range(1, 300), rng.choice((0, 0, 1, 2))))]
    return tuple(
        Slot(begin, _price(rng), rng.choice((1, 60, 60, 60, 7)), rng.choice((1, 6, 30, 60, 60, 90)))
        for begin in begins
    )


def _band(rng: random.Random, day: date) -> Band:
    begin, end = rng.sample(range(0, 86_400, rng.choice((1, 1800))), 2)
    dates = [(day + timedelta(days=rng.randrange(-2, 3))).isoformat() for _ in range(2)]
    return Band(
        rng.choice((1, 5, 5, 9)),
        _slots(rng),
        weekdays=tuple(sorted(rng.sample(range(1, 8), rng.choice((0, 0, 2, 5))))),
        from_second_of_day=rng.choice((0, begin)),
        until_second_of_day=rng.choice((86_400, end)) or 86_400,
        dates=tuple(rng.choice(((), (), dates, [dates[0][5:]]))),
        connection_fee_picos=rng.choice((None, None, _price(rng))),
    )

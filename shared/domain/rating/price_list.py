"""Prices that an administrator can read: by country, and for a number by the length of the call."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.common.kinds import LegKind
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import PlanNumber
from shared.domain.numbers.regions import INTERNATIONAL, NAMES
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.rating import Charge, rate_leg

QUOTED_MINUTES = (1, 5, 15, 30, 60)
_NETWORK = "+{} network"


@dataclass(frozen=True, slots=True)
class CountryPrices:
    """The price of calls to typical numbers of a country; None where no rate exists for such a
    number.

    A class of number that the country does not have is missing from `rates`.
    """

    region: str
    name: str
    calling_code: str
    rates: dict[NumberClass, Rate | None]


def price_list(version: RateCardVersion, plan: Sequence[PlanNumber]) -> tuple[CountryPrices, ...]:
    """Dial-out prices by country in the order of their names, international networks last.

    `plan` are typical numbers of all countries.
    """
    prices: dict[tuple[str, str], CountryPrices] = {}
    for number in plan:
        network = number.calling_code if number.region == INTERNATIONAL else ""
        name = _NETWORK.format(network) if network else NAMES[number.region]
        entry = prices.setdefault(
            (number.region, network), CountryPrices(number.region, name, number.calling_code, {})
        )
        rate = version.find(LegKind.DIAL_OUT, number.digits, None)
        entry.rates[number.number_class] = rate
    return tuple(sorted(prices.values(), key=_alphabetical))


def dial_in_rates(version: RateCardVersion) -> tuple[Rate, ...]:
    """The rates of callers, by service number and origin."""
    rates: list[Rate] = []
    for row in reversed(range(len(version))):
        if version.index.describe(row)[0] is not LegKind.DIAL_IN:
            break  # dial-out rows stand first
        rates.append(version.rate(row))
    return tuple(reversed(rates))


def quote_table(
    version: RateCardVersion,
    *,
    kind: LegKind,
    to_digits: str,
    origin: str | None,
    answered_at: datetime,
    minutes: Sequence[int] = QUOTED_MINUTES,
) -> tuple[Charge, ...] | None:
    """The charges of calls of these minutes, or None if the version has no rate."""
    charges = [
        rate_leg(
            version,
            kind=kind,
            to_digits=to_digits,
            origin=origin,
            answered_at=answered_at,
            talk_seconds=60 * length,
        )
        for length in minutes
    ]
    rated = tuple(charge for charge in charges if charge is not None)
    return rated or None


def _alphabetical(prices: CountryPrices) -> tuple[bool, str]:
    """Networks after countries, accents ignored: Åland sorts under A."""
    letters = unicodedata.normalize("NFKD", prices.name).encode("ascii", "ignore").decode()
    return prices.region == INTERNATIONAL, letters.casefold()

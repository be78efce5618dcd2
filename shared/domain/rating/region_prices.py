"""The lowest and the highest price a minute of a card, by region and class of number."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from shared.domain.common.kinds import LegKind
from shared.domain.common.money import ceil_div
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import PlanNumber
from shared.domain.numbers.numbers import numbers_beginning_with
from shared.domain.rating.prefix_index import NO_ROW
from shared.domain.rating.rate_card import RateCardVersion


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Prices a minute in picos of the currency; a rate counts with its most expensive slot."""

    cheapest_picos: int
    dearest_picos: int

    def with_price(self, picos: int) -> "PriceRange":
        """The range that includes a price."""
        return PriceRange(min(self.cheapest_picos, picos), max(self.dearest_picos, picos))


type RegionPrices = dict[str, dict[NumberClass, PriceRange]]


def region_prices(
    version: RateCardVersion, plan: Sequence[PlanNumber], *, rows_max: int
) -> RegionPrices:
    """Dial-out prices by region and class: of the rates for typical numbers (`plan`), and of every
    rate with a longer prefix whose numbers are of one class, of at most `rows_max` rates."""
    prices_by_region: RegionPrices = {}
    prices: dict[int, int] = {}

    def add(region: str | None, number_class: NumberClass, row: int) -> None:
        if region is None or row == NO_ROW:
            return
        terms = version.terms_number(row)
        if terms not in prices:
            prices[terms] = _price_picos(version, row)
        classes = prices_by_region.setdefault(region, {})
        price_range = classes.get(number_class, PriceRange(prices[terms], prices[terms]))
        classes[number_class] = price_range.with_price(prices[terms])

    for number in plan:
        row = version.index.find(LegKind.DIAL_OUT, number.digits, None)
        add(number.region, number.number_class, row)
    for row in range(min(len(version), rows_max)):
        kind, prefix, _ = version.index.describe(row)
        if kind is not LegKind.DIAL_OUT:
            break  # dial-out rows stand first
        for sample in numbers_beginning_with(prefix):
            # What begins so may have a rate of its own under a longer prefix.
            if version.index.find(LegKind.DIAL_OUT, sample.digits, None) == row:
                add(sample.region, sample.number_class, row)
                break
    return prices_by_region


def _price_picos(version: RateCardVersion, row: int) -> int:
    rate = version.rate(row)
    slots = [*rate.slots, *(slot for band in rate.bands for slot in band.slots)]
    dearest = max(Fraction(60 * slot.price_picos, slot.unit_seconds) for slot in slots)
    return ceil_div(dearest.numerator, dearest.denominator)

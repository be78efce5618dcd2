"""Documents of regions."""

from collections.abc import Mapping

from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_price
from shared.domain.dial_out.facts import Denial
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.regions import ZONE_A, availability, country_name
from shared.domain.rating.rate_card import RateCardVersion
from shared.domain.rating.region_prices import PriceRange

REGION_COLUMNS = (
    *("region", "name", "calling_codes", "zone_a", "pay_per_minute", "dial_out"),
    *("currency", "card", "version", "prices"),
)


def region_body(region: str, calling_codes: tuple[str, ...]) -> dict[str, object]:
    """A region as a JSON object; `pay_per_minute` is null where Teams has no page of it."""
    available = availability(region)
    offered = available and {
        "conferencing": available.conferencing,
        "toll": available.conferencing == "yes",
        "toll_free": available.conferencing == "yes" and available.toll_free_numbers,
        "dial_out": available.meeting_dial_out.value,
        "credits_sold": available.credits_sold,
        "premium_numbers": available.premium_numbers.value,
    }
    return {
        "region": region,
        "name": country_name(region),
        "calling_codes": list(calling_codes),
        "zone_a": region in ZONE_A,
        "pay_per_minute": offered,
    }


def region_of_account_body(
    denial: Denial | None,
    version: RateCardVersion | None,
    prices: Mapping[NumberClass, PriceRange],
) -> dict[str, object]:
    """The fields of a region as an account has it."""
    priced = version and {
        "currency": version.currency,
        "card": version.card,
        "version": format_time(version.effective_from),
    }
    return {
        "dial_out": {
            "allowed": denial is None,
            "reason": denial and denial.reason.value,
            "message": denial and denial.message,
        },
        **(priced or {}),
        "prices": [
            {
                "number_class": number_class.value,
                "cheapest": format_price(each.cheapest_picos),
                "dearest": format_price(each.dearest_picos),
            }
            for number_class, each in sorted(prices.items())
        ],
    }

"""Reports on rate cards as JSON: findings, differences, effects on legs, price lists."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from shared.contracts.rate_cards.json_format import JsonObject, render_card_fields, render_rate
from shared.domain.common.money import format_amount, format_fraction, format_price
from shared.domain.rating.diff import Effect, RateChange
from shared.domain.rating.lint import Finding
from shared.domain.rating.price_list import CountryPrices
from shared.domain.rating.rate_card import Rate, RateCardVersion
from shared.domain.rating.terms import minute_picos

_PERCENT_DECIMALS = 2


def render_findings(findings: Iterable[Finding]) -> list[JsonObject]:
    """Lint, warnings first."""
    return [
        {
            "code": finding.code.value,
            "severity": finding.severity,
            "detail": finding.detail,
            "count": finding.count,
            "examples": list(finding.examples),
        }
        for finding in findings
    ]


def render_changed_fields(before: RateCardVersion, after: RateCardVersion) -> JsonObject:
    """The differences between the cards' own fields: the same prices result in other charges
    then."""
    old, new = render_card_fields(before), render_card_fields(after)
    return {
        name: {"before": old[name], "after": new[name]} for name in old if old[name] != new[name]
    }


def render_change(change: RateChange) -> JsonObject:
    """A rate that differs: `before` and `after` are whole rates, or null; `percent` may be null."""
    return {
        "change": change.kind.value,
        "before": None if change.before is None else render_rate(change.before),
        "after": None if change.after is None else render_rate(change.after),
        "percent": None if change.percent is None else _percent(change.percent),
    }


def render_effect(effect: Effect, currency: str) -> JsonObject:
    """The cost of legs under both versions, in total and by destination."""
    return {
        "currency": currency,
        "legs": effect.legs,
        "before": format_amount(effect.before_micros),
        "after": format_amount(effect.after_micros),
        "difference": format_amount(effect.difference_micros),
        "no_rate_before": effect.no_rate_before,
        "no_rate_after": effect.no_rate_after,
        "destinations": [
            {
                "destination": each.destination,
                "legs": each.legs,
                "before": format_amount(each.before_micros),
                "after": format_amount(each.after_micros),
                "difference": format_amount(each.after_micros - each.before_micros),
            }
            for each in effect.destinations
        ],
    }


def render_price_list(countries: Sequence[CountryPrices]) -> list[JsonObject]:
    """A row per country or network; by class of number the price of a minute, or null."""
    return [
        {
            "region": country.region,
            "name": country.name,
            "calling_code": f"+{country.calling_code}",
            "prices": {
                number_class.value: None if rate is None else _price(rate)
                for number_class, rate in country.rates.items()
            },
        }
        for country in countries
    ]


def render_dial_in_prices(rates: Sequence[Rate]) -> list[JsonObject]:
    """A row per service number, or prefix of service numbers, and origin of the caller."""
    return [
        {**_price(rate), "destination": rate.destination, "origin": rate.origin} for rate in rates
    ]


def _price(rate: Rate) -> JsonObject:
    return {
        "prefix": rate.prefix,
        "price_per_minute": format_price(minute_picos(rate.slots)),
        "connection_fee": format_price(rate.connection_fee_picos),
    }


def _percent(value: Fraction) -> str:
    """A figure for display: two decimals, halves to the even one."""
    return format_fraction(round(value, _PERCENT_DECIMALS))

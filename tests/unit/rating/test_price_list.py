"""Prices for people: by country, and by the length of a call."""

from shared.domain.common.kinds import LegKind
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.example_numbers import typical_numbers
from shared.domain.rating.price_list import price_list, quote_table
from tests.unit.rating.cases import ANSWERED_AT, card, rate, slot

FIXED, MOBILE, PREMIUM = (
    NumberClass.FIXED_LINE,
    NumberClass.MOBILE,
    NumberClass.PREMIUM_RATE,
)
US = rate(slot("60", "0.01"), prefix="1")
JAMAICA = rate(slot("60", "0.30"), prefix="1876")
BRITAIN = rate(slot("60", "0.02"), prefix="44")
BRITAIN_MOBILE = rate(slot("60", "0.05"), prefix="447")
SATELLITE = rate(slot("60", "6"), prefix="881")


def test_every_country_is_listed_with_the_rates_of_its_kinds_of_number() -> None:
    """Countries that share a code have their own rows; what has no rate says so."""
    listed = price_list(card(US, JAMAICA, BRITAIN, BRITAIN_MOBILE, SATELLITE), typical_numbers())
    by_name = {each.name: each for each in listed}

    assert by_name["United States"].rates[FIXED] == US
    assert by_name["Canada"].rates[FIXED] == US
    assert by_name["Jamaica"].rates[FIXED] == JAMAICA
    assert by_name["United Kingdom"].rates[FIXED] == BRITAIN
    assert by_name["United Kingdom"].rates[MOBILE] == BRITAIN_MOBILE
    assert by_name["Guernsey"].rates[MOBILE] == BRITAIN_MOBILE
    assert by_name["France"].rates[PREMIUM] is None
    assert by_name["+881 network"].rates == {NumberClass.SATELLITE: SATELLITE}
    assert by_name["+870 network"].rates == {NumberClass.SATELLITE: None}


def test_the_list_is_in_the_order_of_names_with_networks_last() -> None:
    """As a person searches a country."""
    names = [each.name for each in price_list(card(US), typical_numbers())]
    countries = [name for name in names if not name.startswith("+")]

    assert countries[:3] == ["Afghanistan", "Åland Islands", "Albania"]
    assert countries[-1] == "Zimbabwe"
    assert names[: len(countries)] == countries
    assert len(names) == len(set(names)) > 240


def test_a_quote_table_has_the_usual_lengths() -> None:
    """1, 5, 15, 30 and 60 minutes, or those that are requested."""
    version = card(rate(slot("60", "0.01"), prefix="1", fee="0.5"))

    def amounts(**more: tuple[int, ...]) -> list[int] | None:
        table = quote_table(
            version,
            kind=LegKind.DIAL_OUT,
            to_digits="12125550100",
            origin=None,
            answered_at=ANSWERED_AT,
            **more,
        )
        return table and [charge.amount_micros for charge in table]  # type: ignore[return-value]

    assert amounts() == [510_000, 550_000, 650_000, 800_000, 1_100_000]
    assert amounts(minutes=(2,)) == [520_000]


def test_without_a_rate_there_is_no_table() -> None:
    """None, not a row of zeros."""
    table = quote_table(
        card(BRITAIN),
        kind=LegKind.DIAL_OUT,
        to_digits="12125550100",
        origin=None,
        answered_at=ANSWERED_AT,
    )

    assert table is None

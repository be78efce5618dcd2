# ruff: noqa: E501 - a table is read by its columns
"""A cell of a deck has one reading, or its line is refused."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.contracts.rate_cards.deck_cells import (
    PrefixReader,
    cell_factor,
    cell_price,
    cell_seconds,
)
from shared.domain.common.errors import BadRequest
from shared.domain.numbers.prefixes import calling_code
from tests.unit.rate_cards.test_deck_import import SIMPLE, errors, imported, rates

IN_TWO_COLUMNS: dict[str, Any] = {
    "columns": {"country_code": "cc", "prefix": "area", "price": "price"},
    "defaults": {"destination": "there"},
}


def cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def prefixes(text: str, **fields: Any) -> list[str]:
    deck = f"prefix,name,price\n{cell(text)},a,1\n"
    return [each.prefix for each in rates(deck, **SIMPLE, **fields)]


def with_code(code: str, area: str, **fields: Any) -> list[str]:
    deck = f"cc,area,price\n{cell(code)},{cell(area)},1\n"
    return [each.prefix for each in rates(deck, **IN_TWO_COLUMNS, **fields)]


@pytest.mark.parametrize(
    "text",
    [
        # a country code and an area, or two prefixes
        "33 6", "33\xa06", "33\u202f6", "33\t6", "33,6", "33;6", "33/6", "33|6", "33\n6", "44 20", "7 701", "7, 701",
        "7;701", "43 431", "+44 20", "+1 264", "4420 7946 0123", "44,20,7",
        # a range of several countries, or no range
        "81-90", "20-29", "2-9", "44-49", "44–49", "44—49", "44 − 49", "212-213", "1-7", "1-264", "449-441", "44-44",
        "8190-92", "+44-20", "431-439-441",
        # thousands, and other numbers of a spreadsheet
        "1,876", "1,264", "447,400", "447,447", "7,701", "431,432", "1,876,555", "1.876", "1 876", "1'876", "4.47E+11",
        "4,47E+11", "4E11", "44.0", "44,0", "447400.00", "1.876.555", "-44", "(44)", "44%", "1_876",
        # dates
        "7/7/2026", "1/12/1990", "01/10/26", "1-12-1990", "1.11.99", "2044-03-01", "Mar-44", "44-Mar", "1-Mar-44",
        # the same twice, or several countries
        "43, 43", "431-439, 435", "44, 1", "33, 336, 34", "44; 6", "6; 60", "0", "044", "0044", "+0044", "00 44",
        # no digits of ours
        "٤٤", "４４", "44\u200b", "44x20", "44&33", "44\\33", "44 or 33", '=""', "'", "", " ", "-", "n/a", "+", "++44",
        "1" * 16, "44" + " " * 30_000 + "x", "-" * 5_000, "1," * 9_000, "X" * 10_000 + "y",
    ],
)  # fmt: skip
def test_a_prefix_that_has_two_readings_or_none_is_refused(text: str) -> None:
    """With its line and the deck's own column."""
    deck = f"prefix,name,price\n49,b,1\n{cell(text)},a,1\n"
    found = errors(deck, **SIMPLE)

    assert {place for place, _ in found} == {f"/lines/{3}/prefix"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("44", ["44"]), ("+44", ["44"]), ("'44", ["44"]), ('="44"', ["44"]), ("^44.*", ["44"]), ("44XXX", ["44"]),
        ("43, 431", ["43", "431"]), ("43,\xa0431", ["43", "431"]), ("43;431", ["43", "431"]), ("43/431", ["43", "431"]),
        ("43|431", ["43", "431"]), ("43\n431", ["43", "431"]), ("+43 +431", ["43", "431"]), ("43, 431,", ["43", "431"]),
        ("4420,4421", ["4420", "4421"]), ("1, 1876", ["1", "1876"]), ("1787/1939", ["1787", "1939"]),
        ("431-433", ["431", "432", "433"]), ("431 – 433", ["431", "432", "433"]), ("431‑432", ["431", "432"]),
        ("1876-1877", ["1876", "1877"]), ("447, 4470-4471", ["447", "4470", "4471"]), ("7701-7702", ["7701", "7702"]),
        ("^\\+44", ["44"]), ("\xa044\u2007", ["44"]),
    ],
)  # fmt: skip
def test_prefixes_of_one_reading(text: str, expected: list[str]) -> None:
    """Lists and ranges within one country, and what marks a text, a pattern, an international number."""
    assert prefixes(text) == expected


@pytest.mark.parametrize(
    ("separator", "text", "expected"),
    [
        (" ", "43 431", ["43", "431"]),
        (" ", "43\xa0431", ["43", "431"]),
        (",", "431,432", ["431", "432"]),
        ("/", "1/1876", ["1", "1876"]),
        (" ", "33 6", None),
        (" ", "43, 431", None),
        (",", "1,876", None),
        (";", "431,432", None),
    ],
)  # fmt: skip
def test_the_mapping_can_state_what_separates_prefixes(
    separator: str, text: str, expected: list[str] | None
) -> None:
    """Then nothing else does, and they still share a country."""
    if expected is None:
        with pytest.raises(Exception, match="not valid"):
            prefixes(text, list_separator=separator)
    else:
        assert prefixes(text, list_separator=separator) == expected


@pytest.mark.parametrize(
    ("code", "area", "expected"),
    [
        ("44", "20", ["4420"]), ("44", "020", ["4420"]), ("44", "0207", ["44207"]), ("44", "+4420", ["4420"]),
        ("44", "447", ["447"]), ("44", "+447", ["447"]), ("+44", "20/161", ["44161", "4420"]), ("93", "", ["93"]),
        ("93", " ", ["93"]), ("93", '=""', ["93"]), ("39", "06", ["3906"]), ("39", "039", ["39039"]), ("225", "07", ["22507"]),
        ("7", "701", ["7701"]), ("7", "800", ["7800"]), ("7", "8495", ["7495"]), ("7", "7495", ["7495"]), ("36", "061", ["361"]),
        ("1", "876", ["1876"]), ("1", "1876", ["1876"]), ("1876", "", ["1876"]), ("1", "212,876", None),
        ("44", "023-024", ["4423", "4424"]), ("33", "6,7", ["336", "337"]), ("49", "0151", ["49151"]),
    ],
)  # fmt: skip
def test_an_area_after_a_country_code(code: str, area: str, expected: list[str] | None) -> None:
    """The trunk prefix and a country code that stands there again are left out; Italy's 0 stays."""
    if expected is None:
        with pytest.raises(Exception, match="not valid"):
            with_code(code, area)
    else:
        assert with_code(code, area) == expected


@pytest.mark.parametrize(
    ("code", "area", "column"),
    [
        ("", "7", "cc"), (" ", "121", "cc"), ("\xa0", "121", "cc"), ("44, 1", "20", "cc"), ("44.0", "20", "cc"), ("0044", "20", "cc"), ("4", "20", "cc"),
        ("UK", "20", "cc"), ("1-876", "", "cc"), ("4.4E+01", "20", "cc"), ("44", "0", "area"), ("44", "00", "area"), ("44", "0044207", "area"),
        ("44", "+337", "area"), ("44", "+020", "area"), ("44", "20 161", "area"), ("44", "20,7,x", "area"), ("44", "2.0E+01", "area"),
        ("44", "20-7", "area"), ("1", "212-555", "area"), ("1876", "8765", "area"), ("44", "1" * 14, "area"), ("7", "7", "area"), ("44", "(0)20", "area"),
        ("44", "207,208", "area"), ("44", "01/02/26", "area"),
    ],
)  # fmt: skip
def test_an_area_that_has_two_readings_is_refused(code: str, area: str, column: str) -> None:
    """Never a guess: neither of an empty country code nor of what a zero means."""
    deck = f"cc,area,price\n49,30,1\n{cell(code)},{cell(area)},1\n"

    assert [place for place, _ in errors(deck, **IN_TWO_COLUMNS)] == [f"/lines/3/{column}"]


def test_a_country_code_is_not_carried_down_a_group() -> None:
    """The rows below would be prefixes of other countries."""
    found = errors("cc,area,price\n44,20,1\n,7,1\n,121,1\n", **IN_TWO_COLUMNS)

    assert [place for place, _ in found] == ["/lines/3/cc", "/lines/4/cc"]
    assert "country_code" in found[0][1]


def test_an_international_prefix_is_taken_off_an_area_too() -> None:
    """It marks the whole number."""
    fields = {**IN_TWO_COLUMNS, "international_prefix": "00"}
    deck = "cc,area,price\n0044,004420,1\n"

    assert [each.prefix for each in rates(deck, **fields)] == ["4420"]
    assert errors("cc,area,price\n44,00337,1\n", **fields)[0][0] == "/lines/2/area"


# An independent reader: every way in which a person may read a cell of digits and separators.
_CODES = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}


def share_a_country(found: list[str]) -> bool:
    """By libphonenumber's own list of codes, and its lengths for those that no one has."""
    codes = set()
    for digits in found:
        known = [digits[:size] for size in (1, 2, 3) if digits[:size] in _CODES]
        codes.add(known[0] if known else calling_code(digits))
    return len(codes) == 1 and None not in codes


def readings(pieces: list[str], separator: str) -> Iterator[list[str]]:
    """As a list; as one number in groups; as a country code with areas."""
    if len(pieces) == 1:
        yield pieces
        return
    if share_a_country(pieces):
        yield pieces
    joined = "".join(pieces)
    in_thousands = all(len(piece) == 3 for piece in pieces[1:]) and len(pieces[0]) <= 3
    grouped = separator in {" ", "\xa0", "\u202f"} or (separator == "," and in_thousands)
    if grouped and len(joined) <= 15:
        yield [joined]


digits = st.text("0123456789", min_size=1, max_size=6).filter(lambda text: text[0] != "0")


@given(
    st.lists(digits, min_size=1, max_size=4),
    st.sampled_from([",", ", ", ";", "; ", "/", "|", "\n", " ", "\xa0", "\u202f"]),
)
@example(["7", "701"], " ")
@example(["33", "6"], "\xa0")
@example(["1", "876"], ",")
@example(["431", "432"], ",")
def test_a_cell_is_read_in_its_one_reading_or_refused(pieces: list[str], separator: str) -> None:
    """By a reader that knows all of them."""
    possible = list(readings(pieces, separator))
    try:
        spans = PrefixReader().spans(separator.join(pieces))
    except ValueError:
        return
    found = [prefix for span in spans for prefix in span.prefixes()]

    assert [found] == possible


@given(digits, digits, st.sampled_from("-‐‑‒–—―−"), st.sampled_from(["", " "]))
@example("81", "90", "–", " ")
def test_a_range_stays_within_one_country(first: str, last: str, dash: str, space: str) -> None:
    """And has the length of its ends."""
    try:
        spans = PrefixReader().spans(f"{first}{space}{dash}{space}{last}")
    except ValueError:
        return
    found = [prefix for span in spans for prefix in span.prefixes()]

    assert share_a_country(found)
    assert (found[0], found[-1], len(found)) == (first, last, int(last) - int(first) + 1)


@given(st.text(max_size=40))
@example('="\'44"')
@example("'+44")
def test_whatever_a_cell_is_its_prefixes_share_a_country_or_it_is_refused(text: str) -> None:
    """Also with a country code in another cell; the digits are those of the cell."""
    for code in ("", "44", "7", "39", "1"):
        try:
            spans = PrefixReader().spans(text, code)
        except ValueError:
            continue
        found = [prefix for span in spans for prefix in span.prefixes()]
        assert found
        assert len(found) == 1 or share_a_country(found)
        assert all(each.isascii() and each.isdigit() and each.startswith(code) for each in found)


@given(st.sampled_from(["44", "49", "7", "36", "39", "1", "33"]), digits, st.booleans())
def test_a_trunk_zero_never_becomes_a_digit_where_a_country_has_one(
    code: str, area: str, zero: bool
) -> None:
    """And stays one where it has none."""
    try:
        spans = PrefixReader().spans(f"0{area}" if zero else area, code)
    except ValueError:
        return
    if zero:
        assert spans[0].first.startswith(f"{code}0") == (code == "39")


@pytest.mark.parametrize(
    ("currency", "price"),
    [
        *(("USD", mark) for mark in ("€0.010", "0.010€", "0.010 €", "£0.010", "¥0.010", "0.010 EUR", "EUR 0.010", "eur0.010", "CA$0.01", "R$0.01")),
        *(("USD", mark) for mark in ("0.010 p", "1.0¢", "1.0 ct", "₹0.01", "0.01 kr", "0.010x", "x0.010", "0.010 USDT", "₿1", "0.010 per min")),
        *(("EUR", mark) for mark in ("$0.010", "0.010 $", "US$0.010", "USD 0.010", "＄0.01", "€0.010 USD", "$€0.01")),
        ("GBP", "€1"), ("CHF", "€1"), ("SEK", "€1"), ("USD", "-0.01"), ("USD", "$-0.01"), ("USD", "(0.01)"), ("USD", "0,010"), ("USD", "1,000"),
    ],
)  # fmt: skip
def test_a_price_of_another_currency_is_refused(currency: str, price: str) -> None:
    """By sign or code, before or after it."""
    with pytest.raises(ValueError, match=r"currency|price|comma"):
        cell_price(price, currency, decimal_comma=False)


@pytest.mark.parametrize(
    ("currency", "price"),
    [
        ("USD", "$0.010"), ("USD", "0.010 $"), ("USD", "US$0.010"), ("USD", "USD 0.010"), ("USD", "0.010usd"), ("USD", "$0.010 USD"),
        ("EUR", "€0.010"), ("EUR", "0.010\xa0€"), ("EUR", "0.010 EUR"), ("GBP", "£0.010"), ("JPY", "￥0.010"), ("CAD", "CA$0.010"),
        ("CAD", "$0.010"), ("SEK", "0.010 kr"), ("CHF", "CHF 0.010"), ("PLN", "0.010 zł"), ("XYZ", "XYZ 0.010"), ("USD", "'0.010"),
        ("USD", '="0.010"'),
    ],
)  # fmt: skip
def test_a_price_of_the_cards_currency(currency: str, price: str) -> None:
    """With its sign or code on either side."""
    assert cell_price(price, currency, decimal_comma=False) == 10_000_000_000


@given(st.text(max_size=12), st.sampled_from(["USD", "EUR", "SEK"]), st.booleans())
def test_a_price_is_its_number_whatever_stands_around_it(
    mark: str, currency: str, before: bool
) -> None:
    """Or it is refused: nothing else is ever read out of it."""
    try:
        found = cell_price(
            f"{mark} 0.25" if before else f"0.25 {mark}", currency, decimal_comma=False
        )
    except ValueError:
        return
    assert found == 250_000_000_000


@pytest.mark.parametrize(
    "status",
    ["active", "active ", "\xa0active", "ACTIVE", "Active\u2003", "\u200bactive", "aCtive\t"],
)
def test_conditions_ignore_case_and_space(status: str) -> None:
    """A row that a person sees as active is never dropped, nor one kept that is deleted."""
    deck = f"prefix,name,price,status\n44,UK,1,active\n449,UK premium,2.5,{status}\n"

    assert len(rates(deck, **SIMPLE, only_where={"status": ["Active "]})) == 2
    assert errors(deck, **SIMPLE, skip_where={"status": [" active"]})[0][0] == "/rates"


@pytest.mark.parametrize(
    ("rule", "kept"), [("dearest", "with a fee"), ("cheapest", "without"), ("first", "with a fee"), ("last", "without")]
)  # fmt: skip
def test_the_dearest_of_two_rates_is_the_one_by_which_calls_cost_more(rule: str, kept: str) -> None:
    """Fee and increments count, not the price of a minute alone."""
    columns = {
        "prefix": "p",
        "destination": ["n"],
        "price": "x",
        "connection_fee": "fee",
        "increment": "inc",
    }
    deck = "p,n,x,fee,inc\n44,with a fee,0.010,0.50,60\n44,without,0.020,0,60\n"
    dear_increments = "p,n,x,fee,inc\n44,with a fee,0.010,0,600\n44,without,0.015,0,1\n"

    for each in (deck, dear_increments):
        assert [rate.destination for rate in rates(each, columns=columns, duplicates=rule)] == [
            kept
        ]


@pytest.mark.parametrize(
    "value", ["4.47E+11", "4.47E2", "44.0", "44e0", "true", "[44]", '"4.47E+11"', '"44.0"', "-44", "44.5", '{"x": 44}']
)  # fmt: skip
def test_a_json_prefix_is_a_text_or_a_whole_number(value: str) -> None:
    """As in CSV: what passed through a float has lost digits."""
    fields = {"format": "json", "columns": {"prefix": "p", "price": "x"}}
    deck = f'[{{"p": 49, "x": "1"}}, {{"p": {value}, "x": "1"}}]'

    assert [place for place, _ in errors(deck, **fields)] == ["/1/p"]
    with_code = {"format": "json", "columns": {"country_code": "p", "prefix": "a", "price": "x"}}
    deck = f'[{{"p": 49, "a": 30, "x": "1"}}, {{"p": {value}, "a": 20, "x": "1"}}]'
    assert [place for place, _ in errors(deck, **with_code)] == ["/1/p"]


def test_json_conditions_read_true_and_false() -> None:
    """As the words."""
    deck = json.dumps([{"p": 44, "x": "1", "on": True}, {"p": 49, "x": "1", "on": False}])
    fields = {
        "format": "json",
        "columns": {"prefix": "p", "price": "x"},
        "only_where": {"on": ["TRUE"]},
    }

    assert [each.prefix for each in rates(deck, **fields)] == ["44"]


def test_a_column_that_is_missing_is_answered_with_those_that_are_there() -> None:
    """Most often it differs in a letter."""
    assert errors("Code,Rate\n44,1\n", columns={"prefix": "code", "price": "Rate"}) == [
        ("/lines/1", "has no column 'code'; there are 'Code', 'Rate'")
    ]


def test_slots_of_another_origin_are_not_added_to_a_rate() -> None:
    """They would price callers of another country."""
    columns = {"prefix": "p", "price": "x", "origin": "o", "slot_start": "s"}
    found = errors("p,o,x,s\n1800,US,1,0\n1800,CA,2,60\n", columns=columns)

    assert [place for place, _ in found] == ["/lines/3/s"]


def test_a_column_with_a_slash_is_escaped_in_its_pointer() -> None:
    """RFC 6901."""
    columns = {"prefix": "p", "price": "Price / min"}

    assert errors("p,Price / min\n44,x\n", columns=columns)[0][0] == "/lines/2/Price ~1 min"


def test_prefixes_of_a_table_of_names_are_read_as_strictly() -> None:
    """Its cells may hold several, too."""
    from shared.contracts.rate_cards.deck_import import read_names
    from shared.contracts.rate_cards.deck_rows import DeckRow
    from shared.domain.common.errors import Invalid

    def row(line: int, prefix: str) -> DeckRow:
        return DeckRow(f"/lines/{line}", {"prefix": prefix, "destination": "There"})

    names = read_names([row(2, "43, 431")], PrefixReader())
    version, _ = imported("n,x\nthere,1\n", names, columns={"destination": ["n"], "price": "x"})
    with pytest.raises(Invalid) as refused:
        read_names(
            [row(2, "44"), row(3, "33 6"), DeckRow("/lines/4", {}, "has 1 field")], PrefixReader()
        )

    assert [rate.prefix for rate in version.rates()] == ["43", "431"]
    assert [each.pointer for each in refused.value.errors] == ["/lines/3/prefix", "/lines/4"]


def test_a_deck_that_cannot_be_read_names_the_option_of_the_mapping_that_would_help() -> None:
    deck = "prefix,name,price\n33,Côte,1\n"
    for encoding in ("utf-16", "cp1252", "latin-1", "utf-32"):
        with pytest.raises(BadRequest, match="encoding, utf-8, can be 'utf-8' or 'utf-16' or"):
            imported(deck.encode(encoding), **SIMPLE)
    for delimiter in (";", "\t", "|"):
        text = deck.replace(",", delimiter)
        (_, detail), *_ = errors(text, **SIMPLE)
        assert detail.endswith(f"the mapping's delimiter can be {delimiter!r}")
        assert rates(text, **SIMPLE, delimiter=delimiter)
    ((_, detail),) = errors("cc,area,price\n36,06,1\n", **IN_TWO_COLUMNS)
    assert detail == "'06' begins no number after the country code 36"


@given(st.text("0123456789.,smin ec\u0661\uff11-+eE", max_size=9))
@example("60.000")
@example("1.000 s")
@example("1,5")
def test_a_duration_is_its_whole_number_or_refused(text: str) -> None:
    """Three zeros after a dot may be thousands."""
    try:
        found = cell_seconds(text)
    except ValueError:
        return
    number = re.fullmatch(r"\s*([0-9]+)(\.0{1,2})?\s*(s|sec|m|min)?\s*", text, re.ASCII | re.I)
    assert number is not None
    assert found == int(number[1]) * (60 if (number[3] or "").lower().startswith("m") else 1)


@given(st.text("0123456789.,% \u0661\uff11-+eE", max_size=9), st.booleans())
@example("1.000", True)
@example("1,000", False)
def test_a_factor_is_read_by_one_decimal_sign_or_refused(text: str, decimal_comma: bool) -> None:
    try:
        found = cell_factor(text, decimal_comma=decimal_comma)
    except ValueError:
        return
    sign = "," if decimal_comma else "."
    assert set(text.strip()) <= {*"0123456789", sign}
    assert found == int(Decimal(text.strip().replace(sign, ".")) * 10**12)


def test_a_prefix_with_a_comma_names_both_readings() -> None:
    ((_, detail),) = errors('prefix,name,price\n"1,876",Jamaica,1\n', **SIMPLE)
    assert detail.startswith("'1,876' may have a thousands separator, and is ambiguous:")
    assert "list_separator" in detail

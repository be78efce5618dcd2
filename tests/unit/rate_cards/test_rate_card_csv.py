# ruff: noqa: E501 - a table is read by its columns
"""Rate cards as CSV: lossless, all or nothing, a line for every error, never a traceback."""

import random
from collections.abc import Iterable

import pytest

from shared.contracts.rate_cards.csv_format import (
    COLUMNS,
    parse_rate_card_csv,
    render_rate_card_csv,
)
from shared.contracts.rate_cards.json_format import render_rate_card_json
from shared.domain.common.errors import BadRequest, Invalid
from shared.domain.rating.rate_card import RateCardVersion
from tests.unit.rate_cards.test_rate_card_json import CONTRACT, changed, parse
from tests.unit.rating.cases import VERSION_FROM, card, rate, slot
from tests.unit.rating.test_packing import random_version

MINIMAL = """\
currency,time_zone,mode,decimals,kind,prefix,destination,connection_fee,from_second,price,unit_seconds,increment_seconds
USD,UTC,half_up,4,dial_out,33,France,0.05,0,0.012,60,60
"""
FULL = "".join(render_rate_card_csv(parse(changed("currency", to="EUR"))))


def read(text: str) -> RateCardVersion:
    return parse_rate_card_csv(text.encode(), "default", VERSION_FROM)


def errors(text: str) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        read(text)
    return {each.pointer: each.detail for each in refused.value.errors}


def table(*rows: dict[str, str]) -> str:
    """A CSV of rows that say what the given ones say and nothing else."""
    lines = [",".join(COLUMNS)]
    lines += [",".join(row.get(name, DEFAULTS.get(name, "")) for name in COLUMNS) for row in rows]
    return "\n".join(lines) + "\n"


DEFAULTS = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding_mode": "up",
    "rounding_decimals": "4",
    "kind": "dial_out",
    "prefix": "44",
    "destination": "United Kingdom",
    "from_second": "0",
    "price": "1",
    "unit_seconds": "60",
    "increment_seconds": "60",
}
BAND = {"band": "1", "weight": "10", "price": "2"}


def test_the_contracts_card_as_a_table() -> None:
    """A row per slot, the same names as columns, the card's own fields on every row."""
    assert render_rate_card_json(read(MINIMAL)) == CONTRACT


def test_what_goes_out_comes_in_again() -> None:
    """Quotes, commas, accents, bands, origins and all."""
    assert render_rate_card_json(read(FULL)) == changed("currency", to="EUR")
    assert "".join(render_rate_card_csv(read(FULL))) == FULL


@pytest.mark.parametrize("seed", range(3))
def test_random_cards_come_back(seed: int) -> None:
    """JSON and CSV say the same."""
    version = random_version(seed, 200)
    back = read("".join(render_rate_card_csv(version)))

    assert list(back.rates()) == list(version.rates())
    assert (back.rounding, back.time_zone) == (version.rounding, version.time_zone)


@pytest.mark.parametrize(
    "name", ['a "b", c', " edge ", "1=1+1", "+44", "é; \u00a0", "'", '"', ",", "NULL", "\ufeff"]
)
def test_names_are_kept_to_the_letter(name: str) -> None:
    """Whatever a spreadsheet would make of them."""
    version = card(rate(slot("60", "1"), destination=name))

    assert [each.destination for each in read("".join(render_rate_card_csv(version))).rates()] == [
        name
    ]


def test_tables_of_other_programs_are_read() -> None:
    """A byte order mark, CR LF or LF, blank lines, columns in any order, all quoted."""
    lines = MINIMAL.splitlines()
    quoted = "\r\n\r\n".join(
        ",".join(f'"{field}"' for field in reversed(line.split(","))) for line in lines
    )

    assert render_rate_card_json(read("\ufeff" + quoted)) == CONTRACT


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([{}, {"prefix": "33", "price": "x"}], {"/lines/3/price": "decimal string"}),
        ([{}, {"prefix": "33", "price": ""}], {"/lines/3/price": "decimal string"}),
        ([{}, {"prefix": "3x"}], {"/lines/3/prefix": "digits"}),
        ([{}, {"prefix": "33", "from_second": "1"}], {"/lines/3/from_second": "second 0"}),
        ([{}, {"prefix": "33", "from_second": "-1"}], {"/lines/3/from_second": "whole number"}),
        ([{}, {"prefix": "33", "unit_seconds": "60.0"}], {"/lines/3/unit_seconds": "whole number"}),
        ([{}, {"prefix": "33", "unit_seconds": "٣"}], {"/lines/3/unit_seconds": "whole number"}),
        ([{}, {"prefix": "33", "increment_seconds": "0"}], {"/lines/3/increment_seconds": "1 to"}),
        ([{}, {"prefix": "33", "kind": "voip"}], {"/lines/3/kind": "dial_in"}),
        ([{}, {"prefix": "33", "origin": "usa"}], {"/lines/3/origin": "ISO"}),
        ([{}, {"prefix": "33", "currency": "EUR"}], {"/lines/3/currency": "first row"}),
        ([{}, {"prefix": "33", "grace_seconds": "x"}], {"/lines/3/grace_seconds": "whole number"}),
        ([{}, {"prefix": "33", "maximum_charge": "0"}], {"/lines/3/maximum_charge": "more than 0"}),
        ([{}, {"prefix": "33", "maximum_charge_strategy": "x"}], {"/lines/3/maximum_charge_strategy": "cap"}),
        ([{}, {"prefix": "33", "maximum_charge_strategy": "cap"}], {"/lines/3/maximum_charge_strategy": "needs"}),
        ([{}, {"destination": "elsewhere"}], {"/lines/3/prefix": "exists already at line 2"}),
        ([{}, {}], {"/lines/3/from_second": "after the slot before"}),
        ([{}, {"from_second": "60"}, {"from_second": "120", "price": "-1"}], {"/lines/4/price": "not negative"}),
        ([{}, {"from_second": "60", "connection_fee": "1"}], {"/lines/3/connection_fee": "the same on every row"}),
        ([{}, {"from_second": "60", "increment_seconds": "99999999"}], {"/lines/3/increment_seconds": "1 to"}),
        ([{}, BAND | {"price": "x"}], {"/lines/3/price": "decimal string"}),
        ([{}, BAND | {"weight": "0"}], {"/lines/3/weight": "1 to 1000"}),
        ([{}, BAND | {"weight": ""}], {"/lines/3/weight": "whole number"}),
        ([{}, BAND | {"weekdays": "1 8"}], {"/lines/3/weekdays": "Monday"}),
        ([{}, BAND | {"weekdays": "Mon"}], {"/lines/3/weekdays": "whole number"}),
        ([{}, BAND | {"dates": "2026-13-01"}], {"/lines/3/dates": "must be"}),
        ([{}, BAND | {"from": "25:00"}], {"/lines/3/from": "time of day"}),
        ([{}, BAND | {"band_name": "\x07"}], {"/lines/3/band_name": "controls"}),
        ([{}, BAND | {"band_connection_fee": "x"}], {"/lines/3/band_connection_fee": "decimal string"}),
        ([{}, BAND | {"band_connection_fee": "9999999999"}], {"/lines/3/band_connection_fee": "must be"}),
        ([{}, BAND, BAND | {"from_second": "60", "weight": "9"}], {"/lines/4/weight": "the same on every row"}),
        ([{}, BAND, BAND | {"from_second": "60", "unit_seconds": "0"}], {"/lines/4/unit_seconds": "1 to"}),
        ([{}, BAND, BAND | {"band": "2", "increment_seconds": "0"}], {"/lines/4/increment_seconds": "1 to"}),
        ([{}, BAND | {"band": "2"}], {"/lines/3/band": "come first"}),
        ([{}, BAND, {"from_second": "60"}], {"/lines/4/band": "come first"}),
        ([{"rounding_mode": "x"}], {"/lines/2/rounding_mode": "one of half_up"}),
        ([{"rounding_decimals": "x"}], {"/lines/2/rounding_decimals": "whole number"}),
        ([{"rounding_decimals": "31"}], {"/lines/2/rounding_decimals": "0 to 30"}),
        ([{"currency": "usd"}], {"/lines/2/currency": "capital"}),
        ([{"time_zone": "Mars"}], {"/lines/2/time_zone": "IANA"}),
        ([{"price": "x"}, {"prefix": "33", "kind": ""}], {"/lines/2/price": "", "/lines/3/kind": ""}),
        ([], {"/lines/1": "no rates"}),
    ],
)  # fmt: skip
def test_wrong_fields_are_named_by_line_and_column(
    rows: list[dict[str, str]], wrong: dict[str, str]
) -> None:
    """Line 1 is the header."""
    found = errors(table(*rows))

    assert set(found) == set(wrong)
    assert all(detail in found[pointer] for pointer, detail in wrong.items())


def test_lines_are_those_of_the_file_even_after_blank_ones() -> None:
    """What an editor shows."""
    text = table({}, {"prefix": "33", "price": "x"}).replace("\nUSD", "\n\n\nUSD")

    assert set(errors(text)) == {"/lines/7/price"}


def test_every_wrong_row_is_named_in_the_order_of_the_lines() -> None:
    """A row of another width hides none of the others."""
    rows = ({"prefix": "33", "price": "x"}, {"prefix": "34"}, {"prefix": "39", "price": "y"})
    lines = table(*rows).splitlines()
    lines[2] += ",more"
    lines.append("a,b")

    assert list(errors("\n".join(lines))) == [
        "/lines/2/price",
        "/lines/3",
        "/lines/4/price",
        "/lines/5",
    ]


@pytest.mark.parametrize(
    ("text", "pointer", "detail"),
    [
        ("", "/lines/1", "has no column currency"),
        ("a,b\n", "/lines/1", "has an unknown column 'a'"),
        (
            MINIMAL.replace("price", "rate"),
            "/lines/1",
            "has no column price; there are currency, time_zone, mode, decimals, kind, prefix, destination, connection_fee, from_second, rate, unit_seconds, increment_seconds",
        ),
        (MINIMAL.replace("time_zone", "currency"), "/lines/1", "has the column 'currency' twice"),
        (MINIMAL.replace(",60,60", ",60"), "/lines/2", "has 11 fields, the header has 12"),
        (MINIMAL.replace(",60,60", ",60,60,"), "/lines/2", "has 13 fields, the header has 12"),
    ],
)
def test_a_wrong_header_or_width_is_named(text: str, pointer: str, detail: str) -> None:
    """Before anything is read."""
    with pytest.raises(Invalid) as refused:
        read(text)

    assert (pointer, detail) in [(each.pointer, each.detail) for each in refused.value.errors]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"\xff" + MINIMAL.encode(), "not UTF-8. Save it as UTF-8; the fault is after line 0"),
        (MINIMAL.encode("utf-16"), "not UTF-8"),
        (MINIMAL.replace("France", '"France').encode(), "is not valid CSV at line"),
        (MINIMAL.replace("France", '"Fra"nce').encode(), "is not valid CSV at line 2"),
        (MINIMAL.replace("France", "F" * 200_000).encode(), "is not valid CSV at line 2"),
    ],
)
def test_what_is_no_table_is_a_bad_request(body: bytes, detail: str) -> None:
    """400, with the line."""
    with pytest.raises(BadRequest, match=detail):
        parse_rate_card_csv(body, "default", VERSION_FROM)


def test_errors_are_limited() -> None:
    """A deck that is wrong on every line names a hundred of them."""
    rows = [{"prefix": str(number), "price": "x"} for number in range(1000)]

    assert len(errors(table(*rows))) == 100


def mangle(rng: random.Random, text: str) -> bytes:
    """The table after a few accidents."""
    body = bytearray(text.encode())
    junk: Iterable[bytes] = (
        b'"',
        b",",
        b"\n",
        b"\r",
        b"\x00",
        b"\xff",
        b";",
        b"-",
        b"9" * 20,
        b"7",
        b"",
    )
    for _ in range(rng.choice((1, 1, 2, 5))):
        begin = rng.randrange(len(body))
        end = min(len(body), begin + rng.choice((0, 1, 1, 5, 200)))
        body[begin:end] = rng.choice([*junk, bytes(body[end : end + 40])])
    return bytes(body)


@pytest.mark.parametrize("part", range(10))
def test_fuzzed_tables_are_refused_or_read_but_never_a_crash(part: int) -> None:
    """Two thousand mangled tables: an error of ours, or a version that goes out and in again."""
    rng = random.Random(f"csv {part}")
    wide = "".join(render_rate_card_csv(random_version(part, 5)))
    seen: set[type] = set()
    for _ in range(200):
        body = mangle(rng, rng.choice((MINIMAL, FULL, wide)))
        try:
            version = parse_rate_card_csv(body, "default", VERSION_FROM)
        except (BadRequest, Invalid) as refused:
            seen.add(type(refused))
            continue
        seen.add(RateCardVersion)
        again = read("".join(render_rate_card_csv(version)))
        assert list(again.rates()) == list(version.rates())
    assert seen == {BadRequest, Invalid, RateCardVersion}


@pytest.mark.parametrize(
    "name",
    ["=HYPERLINK(1)", "+cmd", "-1+1", "@SUM(A1)", "\u200b=1+1", " =1+1", "＝1+1", "x;=cmd|'/c calc'!A0", "x; +y", "+44 20"],
)  # fmt: skip
def test_a_name_that_a_spreadsheet_takes_for_a_formula_is_refused(name: str) -> None:
    """Of a rate and of a band, so that CSV out is the same card as CSV in."""
    quoted = '"' + name.replace('"', '""') + '"'

    assert "/lines/2/destination" in errors(MINIMAL.replace("France", quoted))
    banded = (
        MINIMAL.replace("destination", "destination,band,band_name,weight").replace(
            "France", "France,,,"
        )
        + f"USD,UTC,half_up,4,dial_out,33,France,1,{quoted},10,0.05,0,0.012,60,60\n"
    )
    assert list(errors(banded)) == ["/lines/3/band_name"]


@pytest.mark.parametrize(
    "name", ["+442079460123", "-3", "A=B", "x; y", "a-b", "(+44)", "Åland", "'=1"]
)
def test_numbers_and_signs_within_a_name_are_kept(name: str) -> None:
    """They are no formulas."""
    version = read(MINIMAL.replace("France", f'"{name}"'))

    assert [rate.destination for rate in version.rates()] == [name]
    assert list(read("".join(render_rate_card_csv(version))).rates()) == list(version.rates())

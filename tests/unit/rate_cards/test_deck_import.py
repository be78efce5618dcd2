# ruff: noqa: E501 - a table is read by its columns
"""Decks of other programs, each with its quirks: invented rows in the shapes that are met."""

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.contracts.common.validation import parse_body
from shared.contracts.rate_cards.deck_cells import PrefixRange, PrefixReader
from shared.contracts.rate_cards.deck_import import DeckMapping, DeckReport, import_deck, read_names
from shared.contracts.rate_cards.deck_rows import csv_rows
from shared.domain.common import limits
from shared.domain.common.errors import BadRequest, Invalid
from shared.domain.common.kinds import LegKind
from shared.domain.rating.rate_card import Rate, RateCardVersion, Slot
from tests.unit.rating.cases import VERSION_FROM, picos, rate, slot

CARD = {"currency": "EUR", "rounding": {"mode": "up", "decimals": 6}}
SIMPLE: dict[str, Any] = {
    "columns": {"prefix": "prefix", "destination": ["name"], "price": "price"}
}


def mapping(**fields: Any) -> DeckMapping:
    return parse_body(DeckMapping, {**CARD, **fields})


def imported(
    deck: str | bytes, names: Mapping[str, Sequence[PrefixRange]] | None = None, **fields: Any
) -> tuple[RateCardVersion, DeckReport]:
    body = deck.encode() if isinstance(deck, str) else deck
    return import_deck(body, mapping(**fields), "carrier", VERSION_FROM, names)


def rates(deck: str | bytes, **fields: Any) -> list[Rate]:
    return list(imported(deck, **fields)[0].rates())


def errors(deck: str, **fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        imported(deck, **fields)
    return [(each.pointer, each.detail) for each in refused.value.errors]


def test_patterns_instead_of_prefixes() -> None:
    """A route table: a regular expression for a prefix, a cost a minute, one increment."""
    deck = """id,pattern,comment,connectcost,includedseconds,cost,trunk_id,inc
1,^93.*,Afghanistan,0.00000,0,0.21000,1,6
2,^9375.*,"Afghanistan Cellular-XX",0.01000,0,0.22000,1,6
"""
    found = rates(
        deck,
        columns={
            "prefix": "pattern",
            "destination": ["comment"],
            "price": "cost",
            "connection_fee": "connectcost",
            "increment": "inc",
        },
    )

    assert found == [
        rate(Slot(0, picos("0.21"), 60, 6), prefix="93", destination="Afghanistan"),
        rate(
            Slot(0, picos("0.22"), 60, 6),
            prefix="9375",
            fee="0.01",
            destination="Afghanistan Cellular-XX",
        ),
    ]


def test_several_prefixes_in_one_cell() -> None:
    """With a country and a description as the name; priced by origin, so only some rows count."""
    deck = """ISO,Country,Description,Price / min,Origination Prefixes,Destination Prefixes
AT,Austria,Outbound - Austria,0.15500,,"43, 431"
AT,Austria,Outbound - Austria,0.99000,"43, 49","43, 431"
JP,Japan,Outbound - Mobile,0.18500,,8190-8192
"""
    version, report = imported(
        deck,
        columns={
            "prefix": "Destination Prefixes",
            "destination": ["Country", "Description"],
            "price": "Price / min",
        },
        only_where={"Origination Prefixes": [""]},
    )

    assert [(each.prefix, each.destination) for each in version.rates()] == [
        ("43", "Austria, Outbound - Austria"),
        ("431", "Austria, Outbound - Austria"),
        ("8190", "Japan, Outbound - Mobile"),
        ("8191", "Japan, Outbound - Mobile"),
        ("8192", "Japan, Outbound - Mobile"),
    ]
    assert report == DeckReport(rows=3, rates=5, left_out=1, duplicates=0, unknown_names=())


def test_first_and_next_increments_and_a_price_per_call() -> None:
    """30/6, by two columns."""
    deck = "Destination Prefixes,Interval 1,Interval N,Rate,Price Per Call\n+44,30,6,0.0042,0.001\n"
    found = rates(
        deck,
        columns={
            "prefix": "Destination Prefixes",
            "price": "Rate",
            "connection_fee": "Price Per Call",
            "first_increment": "Interval 1",
            "increment": "Interval N",
        },
    )

    assert found == [rate(slot("30", "0.0042"), slot("30+6", "0.0042"), prefix="44", fee="0.001")]


def test_slots_on_rows_of_their_own() -> None:
    """Durations as 60s, several rows a rate, a header that begins like a comment, tags for digits."""
    deck = """#Id,ConnectFee,Rate,RateUnit,RateIncrement,GroupIntervalStart
#a remark
RT_100,0.82,0.96,60s,60s,0s
RT_100,0,0.48,60s,1s,60s
RT_101,0.13,0.0061,1s,1s,0s

"""
    found = rates(
        deck,
        comment="#",
        strip="RT_",
        columns={
            "prefix": "Id",
            "price": "Rate",
            "connection_fee": "ConnectFee",
            "unit": "RateUnit",
            "increment": "RateIncrement",
            "slot_start": "GroupIntervalStart",
        },
    )

    assert found == [
        rate(slot("60", "0.96"), slot("60+1", "0.48"), prefix="100", fee="0.82"),
        rate(Slot(0, picos("0.0061"), 1, 1), prefix="101", fee="0.13"),
    ]


def test_multipliers_additions_grace_and_rows_that_are_off() -> None:
    """The price is what the carrier's program would charge."""
    deck = """Prefix,Destination,ppm,ppc,minimal,resolution,grace,multiplier,addition,status
93,Afghanistan,0.1232,0,30,1,5,1.5,0.01,1
94,Sri Lanka,0.057757,0.1,1,1,0,1,0,1
95,Myanmar,0.2,0,1,1,0,1,0,0
"""
    fields: dict[str, Any] = {
        "columns": {
            "prefix": "Prefix",
            "destination": ["Destination"],
            "price": "ppm",
            "connection_fee": "ppc",
            "first_increment": "minimal",
            "increment": "resolution",
            "grace_seconds": "grace",
            "multiplier": "multiplier",
            "addition": "addition",
        },
        "skip_where": {"status": ["0"]},
    }

    assert rates(deck, **fields) == [
        rate(
            slot("30", "0.1948"),
            slot("30+1", "0.1948"),
            prefix="93",
            destination="Afghanistan",
            grace_seconds=5,
        ),
        rate(slot("1", "0.057757"), prefix="94", fee="0.1", destination="Sri Lanka"),
    ]
    assert errors(
        deck.replace("0.057757,0.1,1,1,0,1", "0.057757,0.1,1,1,0,0.00000001"), **fields
    ) == [("/lines/3/ppm", "times its multiplier has more than 12 decimals")]


def test_other_delimiters_encodings_and_decimal_commas() -> None:
    """As spreadsheets in many countries write them."""
    deck = "dialprefix;destination;rate initial;initblock\r\n0041;Genève;1.000,25;60\r\n"
    found = rates(
        deck.encode("cp1252"),
        encoding="cp1252",
        delimiter=";",
        decimal_comma=True,
        international_prefix="00",
        columns={
            "prefix": "dialprefix",
            "destination": ["destination"],
            "price": "rate initial",
            "increment": "initblock",
        },
    )

    assert found == [rate(slot("60", "1000.25"), prefix="41", destination="Genève")]
    assert rates(
        "\ufeffp\tx\n41\t1\n".encode(), delimiter="\t", columns={"prefix": "p", "price": "x"}
    )
    utf16 = "p|x\n41|1\n".encode("utf-16")
    assert rates(utf16, encoding="utf-16", delimiter="|", columns={"prefix": "p", "price": "x"})


def test_decks_in_json() -> None:
    """Fields within fields; numbers as numbers, since that is how they come."""
    deck = json.dumps(
        [
            {"pk": 1, "fields": {"prefix": 34, "carrier_rate": "0.0290", "note": None}},
            {"pk": 2, "fields": {"prefix": "32", "carrier_rate": 0.062}},
        ]
    )
    fields: dict[str, Any] = {
        "format": "json",
        "columns": {"prefix": "fields.prefix", "price": "fields.carrier_rate"},
    }

    assert rates(deck, **fields) == [
        rate(slot("60", "0.062"), prefix="32"),
        rate(slot("60", "0.029"), prefix="34"),
    ]
    assert [
        each[0] for each in errors('[{"fields": {"prefix": 1, "carrier_rate": "x"}}, 1]', **fields)
    ] == ["/0/fields.carrier_rate", "/1"]
    assert errors('[{"fields": {"prefix": 1, "carrier_price": "1"}}]', **fields)[0][1] == (
        "has no column 'fields.carrier_rate'; there are 'fields.prefix', 'fields.carrier_price'"
    )
    assert errors('[{"fields": {"prefix": 1, "carrier_rate": "x"}}]', **fields)[0][0] == (
        "/0/fields.carrier_rate"
    )
    with pytest.raises(BadRequest, match="must be a list"):
        imported("{}", **fields)


def test_names_without_prefixes() -> None:
    """A table of names and prefixes serves; punctuation, case and order of words don't count."""
    table = "prefix,destination\n93,Afghanistan\n9370,Afghanistan Mobile\n9375,Afghanistan Mobile\n"
    names = read_names(csv_rows(table.encode(), mapping(**SIMPLE), {"prefix"}), PrefixReader())
    deck = 'id,who,rate\n1,AFGHANISTAN,0.31\n2,"Afghanistan, mobile",0.28\n3,Atlantis,9\n'
    fields: dict[str, Any] = {"columns": {"destination": ["who"], "price": "rate"}}
    version, report = imported(deck, names, unknown_names="skip", **fields)

    assert [(each.prefix, each.slots[0].price_picos) for each in version.rates()] == [
        ("93", picos("0.31")),
        ("9370", picos("0.28")),
        ("9375", picos("0.28")),
    ]
    assert report == DeckReport(3, 3, 1, 0, ("Atlantis",))
    with pytest.raises(Invalid) as refused:
        imported(deck, names, **fields)
    assert [(each.pointer, each.detail) for each in refused.value.errors] == [
        (
            "/lines/4/who",
            "no prefix is known for 'Atlantis': the mapping's unknown_names can be skip",
        )
    ]


TWICE = "prefix,name,price\n1808,first,2\n44,UK,1\n1808,second,3\n1808,third,1\n"


@pytest.mark.parametrize(
    ("duplicates", "kept"), [("first", "first"), ("last", "third"), ("dearest", "second")]
)
def test_prefixes_that_come_twice(duplicates: str, kept: str) -> None:
    """One is kept, by rule; the report counts the others."""
    version, report = imported(TWICE, duplicates=duplicates, **SIMPLE)
    found = version.find(LegKind.DIAL_OUT, "18085551234", None)

    assert found is not None
    assert (found.destination, report.duplicates, report.rates) == (kept, 2, 2)


def test_prefixes_that_come_twice_are_refused_by_default() -> None:
    """With the line of the other one."""
    twice = "exists already at /lines/2:"

    assert errors(TWICE, **SIMPLE) == [
        (
            f"/lines/{line}/prefix",
            f"'1808' {twice} the mapping's duplicates can be 'first', 'last', 'dearest' or 'cheapest'",
        )
        for line in (4, 5)
    ]


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        ("x,a,1", "/lines/3/prefix"),
        (",a,1", "/lines/3/prefix"),
        ("44-49x,a,1", "/lines/3/prefix"),
        ("449-441,a,1", "/lines/3/prefix"),
        ("44-441,a,1", "/lines/3/prefix"),
        ("10000-99999,a,1", "/lines/3/prefix"),
        ("^4[45].*,a,1", "/lines/3/prefix"),
        ("1" * 16 + ",a,1", "/lines/3/prefix"),
        ("44,a,", "/lines/3/price"),
        ("44,a,-1", "/lines/3/price"),
        ("44,a,.", "/lines/3/price"),
        ("44,a,1e-3", "/lines/3/price"),
        ("44,a,n/a", "/lines/3/price"),
        ("44,a,0.0000000000001", "/lines/3/price"),
        ("44,a,1" + "0" * 10, "/lines/3/price"),
        ("44,\x07,1", "/lines/3/name"),
        ("44,a", "/lines/3"),
        ("44,a,1,2", "/lines/3"),
    ],
)
def test_wrong_rows_are_named(row: str, pointer: str) -> None:
    """By line and the deck's own column."""
    assert [place for place, _ in errors(f"prefix,name,price\n49,b,1\n{row}\n", **SIMPLE)] == [
        pointer
    ]


@pytest.mark.parametrize(
    ("price", "expected"), [("€0.5", "0.5"), (".5", "0.5"), ("5.", "5"), ("007", "7"), ("€ 1.50", "1.5"),
                            ("0.1000000000000000", "0.1"), (" 2 ", "2")]
)  # fmt: skip
def test_prices_as_people_write_them(price: str, expected: str) -> None:
    """A currency sign, missing and needless zeros."""
    assert rates(f"prefix,name,price\n44,a,{price}\n", **SIMPLE)[0].slots[0].price_picos == picos(
        expected
    )


@pytest.mark.parametrize(
    ("duration", "seconds"), [("6", 6), ("6s", 6), ("60.0", 60), ("1m", 60), ("2 min", 120)]
)
def test_durations_as_people_write_them(duration: str, seconds: int) -> None:
    """Seconds or minutes."""
    columns = {"prefix": "prefix", "price": "price", "increment": "inc"}
    found = rates(f"prefix,price,inc\n44,1,{duration}\n", columns=columns)

    assert found[0].slots == (Slot(0, picos("1"), 60, seconds),)
    assert errors("prefix,price,inc\n44,1,6x\n", columns=columns) == [
        ("/lines/2/inc", "'6x' must be whole seconds")
    ]
    assert errors("prefix,price,inc\n44,1,0\n", columns=columns) == [
        ("/lines/2/inc", "'0' must be 1 to 2678400 seconds")
    ]


def test_prefixes_in_two_columns_and_defaults() -> None:
    """A country code and the codes within; what the deck does not say, the mapping does."""
    found = rates(
        "cc,codes\n+44,20/161\n",
        columns={"prefix": "codes", "country_code": "cc"},
        defaults={"price": "0.5", "destination": "UK", "connection_fee": "0.1", "increment": 1,
                  "first_increment": 30, "grace_seconds": 3, "kind": "dial_in"},
    )  # fmt: skip

    assert [each.prefix for each in found] == ["44161", "4420"]
    assert found[0].slots == (slot("30", "0.5"), slot("30+1", "0.5"))
    assert (found[0].kind, found[0].destination, found[0].grace_seconds) == ("dial_in", "UK", 3)


def test_origins() -> None:
    """Toll-free numbers priced by the caller's country."""
    found = rates(
        "number,from,price\n+18005550100,US,0.02\n+18005550100,CA,0.03\n+18005550100,,0.2\n",
        columns={"prefix": "number", "origin": "from", "price": "price"},
        defaults={"kind": "dial_in"},
    )

    assert [(each.origin, each.slots[0].price_picos) for each in found] == [
        (None, picos("0.2")),
        ("CA", picos("0.03")),
        ("US", picos("0.02")),
    ]


def test_a_cell_has_a_limited_number_of_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are written."""
    monkeypatch.setattr(limits, "DECK_PREFIXES_PER_CELL_MAX", 3)

    assert len(rates('prefix,name,price\n"441,442,443",a,1\n', list_separator=",", **SIMPLE)) == 3
    for cell in ("441;442;443;444", "441-444", "441-442;443-444"):
        assert (
            errors(f"prefix,name,price\n{cell},a,1\n", **SIMPLE)[0][1]
            == f"{cell!r} has more than 3 prefixes"
        )


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"columns": {"prefix": "p"}}, ""),
        ({"columns": {"price": "p"}}, ""),
        ({"columns": {"prefix": "p", "price": "x"}, "delimiter": "::"}, "/delimiter"),
        ({"columns": {"prefix": "p", "price": "x", "prize": "x"}}, "/columns/prize"),
        ({"columns": {"prefix": "p"}, "defaults": {"price": 0.5}}, "/defaults/price"),
        ({"columns": {"prefix": "p", "price": "x"}, "international_prefix": "+"}, "/international_prefix"),
    ],
)  # fmt: skip
def test_a_mapping_must_make_sense(fields: dict[str, Any], pointer: str) -> None:
    """A price and a prefix from somewhere, and no unknown names."""
    with pytest.raises(Invalid) as refused:
        mapping(**fields)

    assert [each.pointer for each in refused.value.errors] == [pointer]


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"\xff\xfe\xff", b'prefix,name,price\n"' + b"x" * 200_000]
)
def test_what_is_no_table_is_a_bad_request(body: bytes) -> None:
    """Never a traceback."""
    with pytest.raises((BadRequest, Invalid)):
        imported(body, **SIMPLE)


def test_a_deck_without_rows_is_refused() -> None:
    """An empty card helps no one."""
    assert errors("prefix,name,price\n", **SIMPLE) == [("/rates", "must have 1 to 500000 rates")]


def test_errors_are_limited() -> None:
    """A wrong mapping fails on every row."""
    rows = "".join(f"{number},a,x\n" for number in range(500))

    assert len(errors(f"prefix,name,price\n{rows}", **SIMPLE)) == limits.RATE_CARD_ERRORS_MAX


@pytest.mark.parametrize("part", range(4))
def test_fuzzed_decks_are_refused_or_read_but_never_a_crash(part: int) -> None:
    """Mangled bytes of a plain deck."""
    rng = random.Random(f"deck {part}")
    plain = (TWICE + '"43, 431",Austria,0.155\n8190-8193,Japan,€0.2\n^93.*,x,1\n').encode()
    outcomes = set()
    for _ in range(150):
        body = bytearray(plain)
        for _ in range(rng.choice((1, 1, 3))):
            at = rng.randrange(len(body))
            junk = rng.choice(
                (b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"-", b"9" * 30, b"", b"7")
            )
            body[at : at + rng.choice((0, 1, 1, 30))] = junk
        try:
            version, _ = imported(bytes(body), duplicates="first", **SIMPLE)
            outcomes.add(len(version) > 0)
        except (BadRequest, Invalid):
            outcomes.add(False)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "columns",
    [
        {"prefix": "prefix", "price": "Price"},
        {"prefix": "prefix", "price": "price", "connection_fee": "fee"},
        {"prefix": "prefix", "price": "price", "destination": ["name", "network"]},
    ],
)
def test_a_column_that_the_deck_lacks_is_never_a_default(columns: dict[str, Any]) -> None:
    """A wrong name would make every connection fee free."""
    with pytest.raises(Invalid) as refused:
        imported("prefix,name,price\n44,UK,1\n", columns=columns)

    assert [each.pointer for each in refused.value.errors] == ["/lines/1"]
    assert "has no column" in refused.value.errors[0].detail


def test_the_columns_of_conditions_must_be_there_too() -> None:
    """Else every row would be left out, or none."""
    deck = "prefix,name,price\n44,UK,1\n"

    assert errors(deck, **SIMPLE, only_where={"status": ["1"]})[0][0] == "/lines/1"
    assert errors(deck, **SIMPLE, skip_where={"status": ["0"]})[0][0] == "/lines/1"


def test_a_column_that_comes_twice_is_refused_where_it_counts() -> None:
    """Which of two prices holds, no one can know; two notes may be there."""
    assert errors("prefix,name,price,price\n44,UK,1,2\n", **SIMPLE) == [
        ("/lines/1", "has the column 'price' twice")
    ]
    assert rates("prefix,name,price,note,note\n44,UK,1,a,b\n", **SIMPLE)


def test_every_wrong_row_is_named_whatever_is_wrong_with_it() -> None:
    """A row of another width hides none of the others."""
    deck = "prefix,name,price\n44,UK,x\n49,Germany\n33,France,1\n34,Spain,1,1\n7,Russia,y\n"

    assert [place for place, _ in errors(deck, **SIMPLE)] == [
        "/lines/2/price",
        "/lines/3",
        "/lines/5",
        "/lines/6/price",
    ]


def test_a_missing_quote_never_swallows_a_row() -> None:
    """Between two unpaired quotes a row would vanish, and its neighbour have its price."""
    swallowed = 'prefix,name,price\n33,France,1\n44,"UK,0.5\n49,Germany",0.6\n34,Spain,1\n'

    assert errors(swallowed, **SIMPLE) == [
        (
            "/lines/3/name",
            "'UK,0.5\\n49,Germany' runs over the end of the line: is a quote missing?",
        )
    ]
    with pytest.raises(BadRequest, match="after line"):
        imported('prefix,name,price\n44,"UK,0.5\n49,Germany,1\n', **SIMPLE)
    assert [each.prefix for each in rates('prefix,name,price\n"43\n431",a,1\n', **SIMPLE)] == [
        "43",
        "431",
    ]


@pytest.mark.parametrize(
    ("cell", "prefixes"),
    [
        ("4420 - 4422", ["4420", "4421", "4422"]),
        ("4420–4422", ["4420", "4421", "4422"]),
        ('"43, 431,"', ["43", "431"]),
        ("43;\xa0431", ["43", "431"]),
        ("+43 +431", ["43", "431"]),
        ('"=""43"""', ["43"]),
        ("'43", ["43"]),
    ],
)
def test_prefixes_as_spreadsheets_leave_them(cell: str, prefixes: list[str]) -> None:
    """Ranges with spaces and long dashes, a comma too many, text marks of a spreadsheet."""
    assert [each.prefix for each in rates(f"prefix,name,price\n{cell},a,1\n", **SIMPLE)] == prefixes


@pytest.mark.parametrize(
    "cell", ["4.42E+11", "0043", "43\xa0431", "44.0", "+44 20", "+1 264", '=""', "'", "1-264", "٤٤"]
)
def test_damaged_prefixes_are_refused(cell: str) -> None:
    """What a spreadsheet rounded, and what may be one prefix or two."""
    assert [place for place, _ in errors(f"prefix,name,price\n{cell},a,1\n", **SIMPLE)] == [
        "/lines/2/prefix"
    ]


@pytest.mark.parametrize(
    ("price", "expected"),
    [("0,5", "0.5"), ("1.000,25", "1000.25"), ("12", "12"), ("0,5 €", "0.5"), (",05", "0.05")],
)
def test_prices_with_a_decimal_comma(price: str, expected: str) -> None:
    """Dots stand between thousands."""
    deck = f"prefix;name;price\n44;a;{price}\n"
    found = rates(deck, delimiter=";", decimal_comma=True, **SIMPLE)

    assert found[0].slots[0].price_picos == picos(expected)


@pytest.mark.parametrize("price", ["0.5", "0.500", "1.000", "1.00,5", "1,000.5", "0,5,5"])
def test_a_dot_where_the_comma_is_the_decimal_sign_is_refused(price: str) -> None:
    """0.5 is not 5, and whether 1.000 is a thousand, no one can know."""
    deck = f"prefix;name;price\n44;a;{price}\n"

    assert errors(deck, delimiter=";", decimal_comma=True, **SIMPLE)[0][0] == "/lines/2/price"


SLOTTED: dict[str, Any] = {
    "columns": {"prefix": "id", "price": "rate", "slot_start": "start", "increment": "inc"}
}


def test_later_slots_of_a_rate_that_is_left_out_are_left_out_too() -> None:
    """The first of two is kept whole, and so is the dearest with all its slots."""
    deck = "id,rate,inc,start\n44,2,60,0\n44,1,1,60\n44,1,60,0\n44,9,1,60\n"
    kept = [rate(slot("60", "2"), slot("60+1", "1"))]

    other = [rate(slot("60", "1"), slot("60+1", "9"))]

    assert rates(deck, duplicates="first", **SLOTTED) == kept
    assert rates(deck, duplicates="cheapest", **SLOTTED) == kept
    assert rates(deck, duplicates="last", **SLOTTED) == other
    assert rates(deck, duplicates="dearest", **SLOTTED) == other


def test_later_slots_go_to_the_rate_of_their_own_name() -> None:
    """Where names stand for prefixes, a slot of another name belongs to no rate before it."""
    deck = "who,rate,inc,start\nFrance,1,60,0\nSpain,2,1,60\n"
    columns = {"destination": ["who"], "price": "rate", "slot_start": "start", "increment": "inc"}
    with pytest.raises(Invalid) as refused:
        imported(
            deck,
            {"france": [PrefixRange("33", "33")], "spain": [PrefixRange("34", "34")]},
            columns=columns,
        )

    assert refused.value.errors[0].pointer.startswith("/lines/3")


def test_a_deck_of_too_many_prefixes_is_refused_before_they_are_all_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ranges make many of a few bytes."""
    monkeypatch.setattr(limits, "RATE_CARD_RATES_MAX", 2_000)
    ranges = "".join(f"{start}000-{start}999,a,1\n" for start in range(10, 60))

    assert errors(f"prefix,name,price\n{ranges}", **SIMPLE) == [
        ("/lines/4", "is where the deck has more than 2000 prefixes")
    ]

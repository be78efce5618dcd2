"""A carrier's deck comes in over HTTP: by a mapping of columns, all of it or nothing."""

import gzip
import json
import random
from typing import Any

import pytest

from shared.contracts.common.multipart import parse_form
from shared.domain.common.errors import BadRequest
from tests.support.product import Answer, Product
from tests.unit.rate_cards.test_rate_cards import CARD, IN_FORCE, card

BOUNDARY = "a-boundary-of-ours"
IMPORT = f"{CARD}/import?effective_from=2026-01-01T00:00:00Z"
MAPPING: dict[str, Any] = {
    "currency": "USD",
    "rounding": {"mode": "half_up", "decimals": 4},
    "columns": {
        "prefix": "Code",
        "destination": ["Where"],
        "price": "Per minute",
        "first_increment": "First",
        "increment": "Next",
    },
}
DECK = """Where,Code,Per minute,First,Next
France,33,0.012,60,60
"Austria, Vienna","43, 431",0.155,60,1
"""


def form(**parts: object) -> tuple[bytes, str]:
    """(body, content type) of a form; what is no bytes is sent as JSON."""
    body = b""
    for name, value in parts.items():
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"; filename="x"\r\n'
        body += head.encode() + b"content-type: text/csv\r\n\r\n" + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def send(app: Product, path: str = IMPORT, **parts: object) -> Answer:
    body, content_type = form(**parts)
    return app.post(path, body, headers={"content-type": content_type})


def test_a_deck_becomes_a_version_and_states_what_became_of_its_rows(app: Product) -> None:
    answer = send(app, mapping=MAPPING, deck=DECK.encode())

    assert (answer.status, answer.json["rate_count"]) == (201, 3)
    assert answer.json["deck"] == {
        "rows": 2,
        "rates": 3,
        "left_out": 0,
        "duplicates": 0,
        "unknown_names": [],
    }
    assert "duplicate_of_parent" in {each["code"] for each in answer.json["findings"]}
    rates = app.get(IN_FORCE).json["rates"]
    assert [(rate["prefix"], rate["destination"]) for rate in rates] == [
        ("33", "France"),
        ("43", "Austria, Vienna"),
        ("431", "Austria, Vienna"),
    ]
    assert [slot["increment_seconds"] for slot in rates[1]["slots"]] == [60, 1]


def test_a_wrong_row_is_named_by_its_line_and_nothing_is_taken(app: Product) -> None:
    wrong = DECK + "Nowhere,abc,0.1,60,60\nSpain,34,cheap,60,60\n"

    answer = send(app, mapping=MAPPING, deck=wrong.encode())

    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.pointers() == ["/lines/4/Code", "/lines/5/Per minute"]
    assert app.get(CARD).status == 404


PLAIN: dict[str, Any] = {
    "currency": "USD",
    "rounding": {"mode": "half_up", "decimals": 4},
    "columns": {"prefix": "Code", "destination": ["Destination"], "price": "Price"},
}
TWO_COLUMNS = {**PLAIN, "columns": {"country_code": "CC", "prefix": "Area", "price": "Price"}}


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("France mobile,33 6,0.031", "Code"),
        ("France mobile,33\xa06,0.031", "Code"),
        ("Japan mobile,81-90,0.130", "Code"),
        ('Jamaica,"1,876",0.210', "Code"),
        ("UK mobile,4.47E+11,0.010", "Code"),
        ("United Kingdom,44,€0.010", "Price"),
        ("United Kingdom,44,0.010 EUR", "Price"),
        ("=HYPERLINK(1),44,0.010", "Destination"),
    ],
)
def test_a_cell_of_two_readings_is_refused_with_its_line(
    app: Product, row: str, column: str
) -> None:
    deck = f"Destination,Code,Price\nGermany,49,0.1\n{row}\n"

    answer = send(app, mapping=PLAIN, deck=deck.encode())

    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.pointers() == [f"/lines/3/{column}"]
    assert app.get(CARD).status == 404


def test_areas_come_without_trunk_prefix_and_country_code(app: Product) -> None:
    deck = "CC,Area,Price\n44,020,1\n44,+447,2\n93,,3\n"
    mapping = {**TWO_COLUMNS, "defaults": {"destination": "There"}}

    assert send(app, mapping=mapping, deck=deck.encode()).status == 201
    rates = app.get(IN_FORCE).json["rates"]
    assert [rate["prefix"] for rate in rates] == ["4420", "447", "93"]


def test_a_country_code_on_the_first_row_only_names_the_rows_below(app: Product) -> None:
    deck = "CC,Area,Price\n44,20,1\n,7,2\n,121,3\n"

    answer = send(app, mapping=TWO_COLUMNS, deck=deck.encode())

    assert (answer.status, answer.pointers()) == (422, ["/lines/3/CC", "/lines/4/CC"])


def test_a_duplicate_names_the_option_that_would_help(app: Product) -> None:
    deck = "Destination,Code,Price\nA,44,1\nB,44,2\n"

    answer = send(app, mapping=PLAIN, deck=deck.encode())

    assert (answer.status, answer.pointers()) == (422, ["/lines/3/Code"])
    assert "duplicates can be 'first', 'last', 'dearest'" in str(answer.json["errors"])


def test_a_dry_run_imports_nothing(app: Product) -> None:
    answer = send(app, IMPORT + "&dry_run=true", mapping=MAPPING, deck=DECK.encode())

    assert (answer.status, answer.json["dry_run"], answer.json["deck"]["rows"]) == (200, True, 2)
    assert app.get(CARD).status == 404


def test_a_deck_may_be_packed(app: Product) -> None:
    packed = gzip.compress(DECK.encode())

    assert send(app, mapping=MAPPING, deck=packed).json["rate_count"] == 3
    cut = send(app, IMPORT + "&dry_run=true&backdate=true", mapping=MAPPING, deck=packed[:-9])
    assert (cut.status, cut.code) == (428, "if_match_missing")
    elsewhere = "/api/v1/rate-cards/other/import?effective_from=2026-01-01T00:00:00Z"
    assert send(app, elsewhere, mapping=MAPPING, deck=packed[:-9]).code == "bad_request"
    assert send(app, elsewhere, mapping=MAPPING, deck=b"\x1f\x8bno").code == "bad_request"


def test_a_deck_that_names_its_destinations_takes_prefixes_from_a_table(app: Product) -> None:
    mapping = {**MAPPING, "columns": {"destination": ["rate"], "price": "price"}}
    deck = b'rate,price\n"Austria, mobile",0.2\n'

    answer = send(
        app, mapping=mapping, deck=deck, names=b"prefix,destination\n43660,Austria Mobile\n"
    )
    odd = send(
        app,
        "/api/v1/rate-cards/other/import?effective_from=2026-01-01T00:00:00Z",
        mapping=mapping,
        deck=deck,
        names=b"digits,name\n43,Austria\n",
    )

    assert answer.status == 201, answer.body
    assert app.get(IN_FORCE).json["rates"][0]["prefix"] == "43660"
    assert (odd.status, odd.pointers()) == (422, ["/lines/1", "/lines/1"])


def test_an_import_keeps_the_rules_of_a_put(app: Product) -> None:
    """Frozen, too soon, backdated: as for JSON and CSV."""
    app.put(IN_FORCE, card())
    at_once = f"{CARD}/import?effective_from=2026-11-23T10:00:00Z"

    assert send(app, mapping=MAPPING, deck=DECK.encode()).code == "if_match_missing"
    soon = send(app, at_once, mapping=MAPPING, deck=DECK.encode())
    assert soon.code == "effective_from_too_soon"
    backdated = send(app, f"{at_once}&backdate=true", mapping=MAPPING, deck=DECK.encode())
    assert backdated.status == 201


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ({"mapping": MAPPING}, 400, "form_invalid"),
        ({"deck": b"x"}, 400, "form_invalid"),
        ({"mapping": MAPPING, "deck": b"x", "more": b"y"}, 400, "form_invalid"),
        ({"mapping": b"{", "deck": b"x"}, 400, "json_invalid"),
        ({"mapping": {}, "deck": b"x"}, 422, "invalid"),
        ({"mapping": {**MAPPING, "colour": 1}, "deck": DECK.encode()}, 422, "invalid"),
        ({"mapping": MAPPING, "deck": b""}, 400, "bad_request"),
        ({"mapping": MAPPING, "deck": DECK.splitlines()[0].encode()}, 422, "invalid"),
        ({"mapping": MAPPING, "deck": b"\xff\xfe"}, 400, "bad_request"),
    ],
)
def test_what_is_no_deck_states_the_reason(
    app: Product, parts: dict[str, object], status: int, code: str
) -> None:
    answer = send(app, **parts)

    assert (answer.status, answer.code) == (status, code)
    assert app.get(CARD).status == 404


def test_an_import_needs_a_form_and_a_time(app: Product) -> None:
    body, content_type = form(mapping=MAPPING, deck=DECK.encode())

    plain = app.post(IMPORT, body, headers={"content-type": "text/csv"})
    timeless = app.post(f"{CARD}/import", body, headers={"content-type": content_type})

    assert (plain.status, timeless.code) == (415, "query_invalid")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\ncontent-disposition: form-data\r\n\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\na: b\r\n\r\nc\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' * 2 + b"--x--",
        ),
    ],
)
def test_a_broken_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_form(content_type, body)

    assert refused.value.code == "form_invalid"


def test_a_form_is_read_as_curl_sends_it() -> None:
    """Quoted boundary, a file's name before or after the part's, line ends inside the file."""
    body = (
        b'--b-1\r\nContent-Disposition: form-data; filename="a;b.csv"; name="deck"\r\n'
        b"Content-Type: text/csv\r\n\r\none\r\ntwo\r\n\r\n--b-1\r\n"
        b"content-disposition: form-data; name=mapping\r\n\r\n{}\r\n--b-1--\r\n"
    )

    assert parse_form('multipart/form-data; boundary="b-1"', body) == {
        "deck": b"one\r\ntwo\r\n",
        "mapping": b"{}",
    }


def test_whatever_is_posted_there_is_never_a_traceback(app: Product) -> None:
    """A deck with random bytes changed, cut or doubled: a card, or a sentence; never a 500."""
    rng = random.Random(7)
    for number in range(150):
        deck = bytearray(DECK.encode())
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(deck))
            what = rng.randrange(3)
            if what == 0:
                deck[at] = rng.randrange(256)
            elif what == 1:
                del deck[at : at + rng.randrange(1, 9)]
            else:
                deck[at:at] = bytes(rng.choices(b'",;\r\n\x000123456789.-+\xe9', k=5))
        path = f"/api/v1/rate-cards/fuzz-{number}/import?effective_from=2026-01-01T00:00:00Z"
        answer = send(app, path, mapping=MAPPING, deck=bytes(deck))

        assert answer.status in {201, 400, 422}, (answer.body, deck)
        assert (app.get(f"/api/v1/rate-cards/fuzz-{number}").status == 200) is (
            answer.status == 201
        )

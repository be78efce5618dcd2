"""Every error states the problem and the way out; docs/errors.md has each code once, and no other.

The cases post a request for each code that one process can answer at once.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import pytest

from functions.http import ROUTES
from shared.contracts.common.problems import problem
from shared.domain.common import errors
from shared.domain.legs.parking import ParkReason
from tests.docs.http_api import EVERYWHERE, codes_of, observed_codes
from tests.docs.reference import ROOT
from tests.support.product import Product

PAGE = (ROOT / "docs" / "errors.md").read_text("utf-8")
REGISTERED = {"service_number"}  # a code that is made of a kind's name
PARKING = "Reasons for parking"
IN_LOGS = "Codes in logs only"
INTERNAL = {"LedgerCorrupt", "StoreError", "PerminuteError"}
HOMELY = re.compile(r"\b(?:asked?|tells?|told|says?|stands?|lies|look|nobody|somebody|mend|anew)\b")
# Details that are made elsewhere: the rule of a field, of a rate card, of a query.
MADE_ELSEWHERE = {"detail", "sentences[0]", "after.detail or ''", "str(error)"}


class Raised(NamedTuple):
    """A construction of an error in the source."""

    place: str
    kind: str
    code: str
    detail: str


def rows() -> dict[str, dict[str, tuple[str, str]]]:
    """(meaning, way out) by code by section of the page."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for section in re.split(r"(?m)^## ", PAGE)[1:]:
        title, _, text = section.partition("\n")
        for line in text.splitlines():
            if line.startswith("| `"):
                code, meaning, way_out = re.split(r"(?<!\\) \| ", line.strip("| "))
                found.setdefault(title, {})[code.strip("`")] = (meaning, way_out)
    return found


ROWS = rows()
STATUSES = {title: codes for title, codes in ROWS.items() if title not in {PARKING, IN_LOGS}}


def _kinds() -> dict[str, type[errors.PerminuteError]]:
    found = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    return {name: value for name, value in found.items() if issubclass(value, Exception)}


KINDS = _kinds()


def _text(node: ast.expr) -> str:
    """The literal parts of a text, with … for each other part."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(each) for each in values)
        case ast.FormattedValue():
            return "…"
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
    return f"={ast.unparse(node)}"


@cache
def raised() -> tuple[Raised, ...]:
    """Every construction of an error that a caller may see."""
    return tuple(_raised())


def _raised() -> Iterator[Raised]:
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call):
                    continue
                kind = ast.unparse(node.func)
                if kind in KINDS and kind not in INTERNAL and node.args:
                    codes = [each.value for each in node.keywords if each.arg == "code"]
                    code = _text(codes[0]) if codes else KINDS[kind].code
                    place = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Raised(place, kind, code, _text(node.args[0]))


def _status(kind: str) -> str:
    made = KINDS[kind].__new__(KINDS[kind])
    Exception.__init__(made, "x")
    made.detail = "x"
    for name in ("errors", "allowed", "accepted", "etag", "retry_after_seconds"):
        if not hasattr(made, name):
            setattr(made, name, None if name in {"accepted", "etag"} else ())
    status = HTTPStatus(problem(made, "/").status)
    return f"{int(status)} {status.phrase}"


def test_the_page_has_every_code_under_its_status() -> None:
    for each in raised():
        if (
            each.code in ROWS[IN_LOGS]
            or each.kind in {"StoreError"}
            or each.code.startswith(("=", "…"))
        ):
            continue
        if issubclass(KINDS[each.kind], errors.StoreError):
            continue
        assert each.code in STATUSES.get(_status(each.kind), {}), each


def test_no_code_is_documented_that_nothing_raises() -> None:
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("shared", "functions")
        for path in (ROOT / folder).rglob("*.py")
    )
    for codes in (*STATUSES.values(), ROWS[IN_LOGS]):
        for code in codes:
            assert f'"{code}"' in sources or code.removesuffix("_unknown") in REGISTERED, code


def test_no_code_has_two_rows() -> None:
    codes = [code for rows in STATUSES.values() for code in rows]

    assert len(codes) == len(set(codes))


def test_every_row_has_a_meaning_and_a_way_out() -> None:
    for codes in ROWS.values():
        for code, (meaning, way_out) in codes.items():
            assert meaning.endswith("."), code
            assert way_out.endswith("."), code


def test_every_reason_for_parking_has_its_row() -> None:
    assert ROWS[PARKING].keys() == {reason.value for reason in ParkReason}


def test_every_code_belongs_to_a_route_or_to_all_of_them() -> None:
    of_routes = {code for route in ROUTES for code in codes_of(route)}
    of_routes |= {code for codes in observed_codes().values() for code in codes}
    documented = {code for codes in STATUSES.values() for code in codes}

    assert sorted(of_routes - documented) == []


@pytest.mark.parametrize("each", raised(), ids=lambda each: f"{each.code}-{each.place}")
def test_a_detail_is_two_sentences_at_least(each: Raised) -> None:
    """The problem, and the way out; the rule of a field ("must be above zero") has both."""
    unfinished = errors.StoreError | errors.Unavailable | errors.RateLimited
    if each.detail.startswith("=") or issubclass(KINDS[each.kind], unfinished):
        return  # an answer of the storage; the edge adds the time of Retry-After
    if each.kind.startswith("Invalid") and each.code == errors.Invalid.code:
        return  # the edge adds the sentence about the fields
    assert not HOMELY.search(each.detail), each
    assert each.detail.endswith((".", "…")), each
    assert re.search(r"[.;:…] \w", each.detail), each


class Case(NamedTuple):
    """A request, and the code that it is answered with."""

    code: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    key: str | None = "admin"


ACCOUNT = "/api/v1/accounts/contoso"
LEG = f"{ACCOUNT}/legs/studio~no"
KEYED = {"idempotency-key": "k"}
RATES: dict[str, Any] = {
    "currency": "USD",
    "rounding": {"mode": "up", "decimals": 4},
    "rates": [],
}
CASES = [
    Case("not_authenticated", "GET", ACCOUNT, key=None),
    Case("role_missing", "PUT", ACCOUNT, {"currency": "USD"}, key="reader"),
    Case("account_not_allowed", "GET", "/api/v1/accounts/other", key="reader"),
    Case("rate_card_not_allowed", "GET", "/api/v1/rate-cards/other", key="reader"),
    Case("account_unknown", "GET", "/api/v1/accounts/other"),
    Case("alert_unknown", "POST", f"{ACCOUNT}/alerts/7/acknowledge", {}),
    Case("api_key_unknown", "DELETE", "/api/v1/api-keys/0000000000000000"),
    Case("bridge_unknown", "GET", "/api/v1/bridges/none"),
    Case("conference_unknown", "GET", f"{ACCOUNT}/conferences/none/cost"),
    Case("delivery_unknown", "POST", f"{ACCOUNT}/webhooks/w/deliveries/event|1/replay", {}),
    Case("entry_unknown", "GET", f"{ACCOUNT}/entries/99/receipt"),
    Case("leg_unknown", "GET", LEG),
    Case("leg_unknown", "POST", f"{LEG}/reversal", {"reason": "x"}),
    Case("organizer_unknown", "GET", f"{ACCOUNT}/organizers/none"),
    Case("parked_leg_unknown", "POST", "/api/v1/parked-legs/00.0/replay", {}),
    Case("day_open", "GET", f"{ACCOUNT}/proofs/2026-11-01"),
    Case("date_invalid", "GET", f"{ACCOUNT}/proofs/yesterday"),
    Case("rate_card_unknown", "GET", "/api/v1/rate-cards/none"),
    Case("rate_card_version_unknown", "GET",
         "/api/v1/rate-cards/default/versions/2026-01-01T00:00:00Z"),
    Case("recharge_unknown", "POST", "/api/v1/recharges/contoso~9/result",
         {"status": "declined", "amount": "5.00", "currency": "USD"}),
    Case("region_unknown", "GET", "/api/v1/regions/ZZ"),
    Case("webhook_unknown", "GET", f"{ACCOUNT}/webhooks/none"),
    Case("path_unknown", "GET", "/api/v1/nothing"),
    Case("method_not_allowed", "DELETE", ACCOUNT),
    Case("body_missing", "PUT", ACCOUNT),
    Case("json_invalid", "PUT", ACCOUNT, b"{"),
    Case("invalid", "PUT", "/api/v1/accounts/new", {"currency": "dollars", "colour": 1}),
    Case("id_invalid", "PUT", "/api/v1/accounts/A%20b", {"currency": "USD"}),
    Case("currency_fixed", "PUT", ACCOUNT, {"currency": "EUR"}, {"if-match": "etag"}),
    Case("if_match_missing", "PUT", ACCOUNT, {"currency": "USD"}),
    Case("etag_mismatch", "PUT", ACCOUNT, {"currency": "USD"}, {"if-match": '"99"'}),
    Case("idempotency_key_missing", "POST", f"{ACCOUNT}/top-ups", {"amount": "1"}),
    Case("idempotency_key_invalid", "POST", f"{ACCOUNT}/top-ups", {"amount": "1"},
         {"idempotency-key": "a b"}),
    Case("idempotency_key_reused", "POST", f"{ACCOUNT}/top-ups", {"amount": "2"}, KEYED),
    Case("amount_not_positive", "POST", f"{ACCOUNT}/top-ups", {"amount": "0"},
         {"idempotency-key": "zero"}),
    Case("amount_zero", "POST", f"{ACCOUNT}/adjustments", {"amount": "0", "reason": "x"},
         {"idempotency-key": "none"}),
    Case("overdraft_not_allowed", "POST", f"{ACCOUNT}/adjustments",
         {"amount": "-9", "reason": "x"}, {"idempotency-key": "over"}),
    Case("cursor_invalid", "GET", f"{ACCOUNT}/entries?cursor=abc"),
    Case("query_invalid", "GET", f"{ACCOUNT}/entries?month=May"),
    Case("month_invalid", "GET", f"{ACCOUNT}/statements/May"),
    Case("number_invalid", "PUT", f"{ACCOUNT}/service-numbers/12", {"kind": "toll"}),
    Case("unsupported_media_type", "PUT", ACCOUNT, b"x", {"content-type": "text/html"}),
    Case("encoding_unsupported", "PUT", ACCOUNT, b"x", {"content-encoding": "gzip"}),
    Case("too_large", "PUT", ACCOUNT, b" " * 300_000),
    Case("form_invalid", "POST", "/api/v1/rate-cards/c/import?effective_from=2030-01-01T00:00:00Z",
         b"x", {"content-type": "multipart/form-data; boundary=b"}),
    Case("effective_from_invalid", "PUT", "/api/v1/rate-cards/c/versions/soon", RATES),
    Case("rate_missing", "POST", "/api/v1/quotes",
         {"account": "contoso", "kind": "dial_out", "to": "+442079460123", "talk_seconds": 60}),
    Case("anchors_off", "GET", f"{ACCOUNT}/verify?anchors=true"),
]  # fmt: skip


@pytest.fixture(scope="module")
def app() -> Iterator[Product]:
    with Product() as product:
        product.account()
        product.clock.advance(days=40)
        product.post(f"{ACCOUNT}/top-ups", {"amount": "1"}, headers=KEYED)
        product.put(f"{ACCOUNT}/webhooks/w", {"url": "https://w.example.com/", "events": ["*"]})
        yield product


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_an_error_names_the_problem_and_the_way_out(app: Product, case: Case) -> None:
    headers = dict(case.headers)
    if headers.get("if-match") == "etag":
        headers["if-match"] = app.get(ACCOUNT).etag
    more: dict[str, Any] = {"headers": headers}
    if case.key != "admin":
        more["key"] = case.key and app.api_key(case.key, accounts=("contoso",))

    answer = app.call(case.method, case.path, case.body, **more)

    assert answer.code == case.code, answer.json
    body = answer.json
    assert case.code in STATUSES[f"{body['status']} {body['title']}"]
    assert body["title"] == HTTPStatus(answer.status).phrase
    assert body["request_id"]
    assert "Traceback" not in answer.body.decode()
    assert not HOMELY.search(body["detail"])
    assert re.search(r"[.;:] \w| must ", body["detail"]), body["detail"]
    if "errors" in body:
        assert all(each["detail"] for each in body["errors"])


def test_the_cases_are_of_most_codes() -> None:
    codes = {code for rows in STATUSES.values() for code in rows}

    assert {case.code for case in CASES} <= codes
    assert len({case.code for case in CASES}) > len(codes) / 2
    assert EVERYWHERE.keys() <= codes

"""Every error states the problem and the way out; docs/errors.md has each code once, and no other.

The cases post a request for each code that one process can answer at once.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import NamedTuple

import pytest

from functions.http import ROUTES
from shared.contracts.common.problems import problem
from shared.domain.common import errors
from shared.domain.legs.parking import ParkReason
from tests.docs import probes
from tests.docs.error_routes import EVERYWHERE, codes_of, is_listed, observed_codes
from tests.docs.error_scenes import example
from tests.docs.errors import (
    ELSEWHERE,
    PARKING,
    ROWS,
    STATUSES,
    WHERE,
    WITHOUT_EXAMPLE,
    codes_with_a_request,
    document,
    routes_of,
)
from tests.docs.reference import ROOT

REFERENCE = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
REGISTERED = {"service_number"}  # a code that is made of a kind's name
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
    kinds = KINDS.keys() - INTERNAL
    constructions = re.compile(rf"\b(?:{'|'.join(kinds)})\(")
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text("utf-8")
            if not constructions.search(source):
                continue
            for node in ast.walk(ast.parse(source)):
                match node:
                    case ast.Call(func=ast.Name(id=kind), args=[first, *_]) if kind in kinds:
                        codes = [each.value for each in node.keywords if each.arg == "code"]
                        code = _text(codes[0]) if codes else KINDS[kind].code
                        place = f"{path.relative_to(ROOT)}:{node.lineno}"
                        yield Raised(place, kind, code, _text(first))


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
            each.code in ROWS[ELSEWHERE]
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
    for codes in (*STATUSES.values(), ROWS[ELSEWHERE]):
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
    assert re.search(r"^… [A-Z]|[.;:] \w", each.detail.removesuffix("…")), each


@pytest.mark.parametrize("code", codes_with_a_request())
def test_an_error_names_the_problem_and_the_way_out(code: str) -> None:
    """`python -m tests.docs.reference` writes the page of the answers."""
    answer = example(code)

    assert answer.code == code, answer.json
    body = answer.json
    assert code in STATUSES[f"{body['status']} {body['title']}"]
    assert body["title"] == HTTPStatus(answer.status).phrase
    assert body["request_id"]
    assert "Traceback" not in answer.body.decode()
    assert not HOMELY.search(body["detail"])
    assert re.search(r"[.;:] \w| must ", body["detail"]), body["detail"]
    assert all(each["detail"] for each in body.get("errors", ()))
    assert document(code) in REFERENCE


def test_each_code_of_a_mistaken_request_is_listed_for_its_route() -> None:
    """`python -m tests.docs.recorder tests/docs/test_errors.py` adds codes."""
    with probes.app() as app:
        answers = {(each.route.name, probes.answer_code(app, each)) for each in probes.probes()}

    assert "internal" not in {code for _, code in answers}
    assert {code for _, code in answers if code} >= {"account_unknown", "cursor_invalid"}
    assert [each for each in sorted(answers, key=str) if each[1] and not is_listed(*each)] == []


def test_every_code_has_a_place_and_an_example_or_a_reason() -> None:
    codes = sorted(code for rows in STATUSES.values() for code in rows)

    assert sorted(name for names in WHERE.values() for name in names.split()) == codes
    assert sorted({*codes_with_a_request(), *WITHOUT_EXAMPLE}) == codes
    assert EVERYWHERE.keys() <= set(codes)
    assert [code for code in codes if not routes_of(code)] == []


def test_the_page_of_codes_has_the_texts_of_the_overview() -> None:
    for title, codes in STATUSES.items():
        assert f"\n## {title}\n" in REFERENCE
        for code, (meaning, way_out) in codes.items():
            assert f"\n### `{code}`\n\n{meaning.replace('](', '](../')}\n" in REFERENCE
            assert f"**Way out:** {way_out.replace('](', '](../')}\n" in REFERENCE

"""No text of an administrator is a formula in a spreadsheet, and no foreign one becomes one."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import http
from shared.domain.common.formulas import escape_formulas, is_formula
from tests.support.product import Product

ACCOUNT = "/api/v1/accounts/contoso"
FORMULAS = ("=1+1", "+cmd", "-x", "@SUM(A1)", "x;=cmd|'/c calc'!A0", "\u200b=1", " =1", "＝1")
SETTINGS: dict[str, Any] = {"currency": "USD", "name": "Contoso"}


@pytest.fixture
def contoso(app: Product) -> Product:
    assert app.put(ACCOUNT, SETTINGS).status == 201
    top_up = {"amount": "10"}
    more = {"headers": {"idempotency-key": "first"}}
    assert app.post(f"{ACCOUNT}/top-ups", top_up, **more).status == 201
    return app


@pytest.mark.parametrize("text", FORMULAS)
def test_names_references_and_reasons_are_no_formulas(contoso: Product, text: str) -> None:
    keyed = {"headers": {"idempotency-key": "second"}}
    answers = {
        "/name": contoso.put("/api/v1/accounts/other", {"currency": "USD", "name": text}),
        "/reference": contoso.post(
            f"{ACCOUNT}/top-ups", {"amount": "1", "reference": text}, **keyed
        ),
        "/reason": contoso.post(f"{ACCOUNT}/adjustments", {"amount": "1", "reason": text}, **keyed),
    }
    answers["/name "] = contoso.post(
        "/api/v1/api-keys", {"name": text, "roles": ["reader"], "accounts": ["*"]}
    )
    answers["/reason "] = contoso.post(f"{ACCOUNT}/dial-out-policy/stop", {"reason": text})

    for pointer, answer in answers.items():
        assert (answer.status, answer.pointers()) == (422, [pointer.strip()]), answer.body
        assert text == "\u200b=1" or "formula" in answer.json["errors"][0]["detail"]


@pytest.mark.parametrize("text", ["+442079460123", "-3.20", "A = B", "a-b; c", "50 % off", "x@y"])
def test_numbers_and_signs_within_a_text_are_kept(contoso: Product, text: str) -> None:
    keyed = {"headers": {"idempotency-key": "second"}}
    answer = contoso.post(f"{ACCOUNT}/top-ups", {"amount": "1", "reference": text}, **keyed)

    assert answer.status == 201
    assert contoso.get(f"{ACCOUNT}/entries").json["items"][-1]["reference"] == text


@given(st.text(max_size=20))
def test_a_cell_of_csv_begins_no_formula_and_loses_no_letter(text: str) -> None:
    """Also where a spreadsheet splits at semicolons."""
    safe = escape_formulas(text)

    assert not is_formula(safe)
    assert safe.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("x;=cmd", "x;'=cmd"),
        ("x; =cmd", "x;' =cmd"),
        ("x\t@y", "x\t'@y"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("＝1", "'＝1"),
        ("+44;+45", "+44;+45"),
        ("ken@contoso.com", "ken@contoso.com"),
    ],
)
def test_a_foreign_text_is_shown_as_a_text(text: str, cell: str) -> None:
    answer = asyncio.run(http.reply_csv(["conference"], [{"conference": text}], "x.csv"))

    assert answer.get_body().decode() == f"conference\r\n{cell}\r\n"

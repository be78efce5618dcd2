"""Texts that people and other systems write beside money: one line, shown in lists, logs, CSV."""

import pytest
from pydantic import BaseModel

from shared.contracts.common.validation import parse_body
from shared.contracts.credits.alerts import RechargeResultBody
from shared.contracts.ledger.entries import AdjustmentBody, ReversalBody, TopUpBody
from shared.domain.common.errors import Invalid

_RESULT = {"status": "succeeded", "amount": "1", "currency": "USD"}
_FIELDS: list[tuple[type[BaseModel], dict[str, str], str]] = [
    (TopUpBody, {"amount": "1"}, "reference"),
    (RechargeResultBody, _RESULT, "reference"),
    (AdjustmentBody, {"amount": "1"}, "reason"),
    (ReversalBody, {}, "reason"),
]


@pytest.mark.parametrize(("model", "others", "name"), _FIELDS)
@pytest.mark.parametrize("text", ["", " ", "\x1b[31m", "two\nlines", "\u202egnp", "x" * 501])
def test_a_text_beside_money_is_one_printable_line(
    model: type[BaseModel], others: dict[str, str], name: str, text: str
) -> None:
    assert parse_body(model, {**others, name: "Facture n° 2041, été"})
    with pytest.raises(Invalid) as refused:
        parse_body(model, {**others, name: text})
    assert [field.pointer for field in refused.value.errors] == [f"/{name}"]

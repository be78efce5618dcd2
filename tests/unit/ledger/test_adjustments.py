"""An adjustment never draws more than balance + credit limit, unless the request allows it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.ledger.entries import AdjustmentBody
from shared.domain.common.canonical import content_digest
from shared.domain.common.errors import Invalid
from shared.domain.ledger.model import CommandRefused, Decided
from tests.support.credits_app import PATH, CreditsApp
from tests.support.ledger import UNIT, adjust, configure, leg, opened, top_up
from tests.support.product import Answer


def _adjust(app: CreditsApp, key: str, amount: str, **more: object) -> Answer:
    body = {"amount": amount, "reason": "a correction", **more}
    return app.post(f"{PATH}/adjustments", body, headers={"idempotency-key": key})


def test_an_adjustment_below_the_credit_limit_is_refused_with_the_field_and_the_way_out() -> None:
    app = CreditsApp()
    app.open(balance="8.00", credit_limit="1.00")

    refused = _adjust(app, "fee", "-50.00")

    assert (refused.status, refused.json["code"]) == (422, "overdraft_not_allowed")
    (error,) = refused.json["errors"]
    assert error["pointer"] == "/amount"
    assert '"allow_overdraft": true' in error["detail"]
    assert "9.00" in error["detail"]
    assert app.shown_balance == "8.00"
    booked = _adjust(app, "fee", "-50.00", allow_overdraft=True)
    assert (booked.status, booked.json["balance"]) == (201, "-42.00")
    app.verified()


def test_what_balance_and_credit_limit_cover_is_booked_to_the_micro() -> None:
    app = CreditsApp()
    app.open(balance="8.00", credit_limit="1.00")
    assert _adjust(app, "over", "-9.000001").status == 422
    assert _adjust(app, "all", "-9.00").json["balance"] == "-1.00"
    assert _adjust(app, "more", "-0.000001").status == 422
    assert _adjust(app, "up", "0.000001").status == 201


def test_a_repeated_adjustment_gets_its_first_answer_also_when_the_credit_is_used_by_now() -> None:
    app = CreditsApp()
    app.open(balance="8.00")
    first = _adjust(app, "fee", "-8.00")
    again = _adjust(app, "fee", "-8.00", allow_overdraft=False)
    assert (again.status, again.headers["idempotency-hit"]) == (201, "true")
    assert again.json == first.json
    other = _adjust(app, "fee", "-8.00", allow_overdraft=True)
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_an_adjustment_without_the_new_field_keeps_the_digest_of_former_versions() -> None:
    """The digest as versions without `allow_overdraft` recorded it."""
    former = content_digest({"route": "adjustments", "amount": "-3.20", "reason": "a fee"})
    for stated in ({}, {"allow_overdraft": False}):
        body = AdjustmentBody.model_validate({"amount": "-3.20", "reason": "a fee", **stated})
        assert body.command("key", "admin").digest == former
    with_it = {"amount": "-3.20", "reason": "a fee", "allow_overdraft": True}
    assert AdjustmentBody.model_validate(with_it).command("key", "admin").digest != former


@given(
    limit=st.integers(0, 5 * UNIT),
    moves=st.lists(
        st.tuples(st.sampled_from(["top_up", "leg", "adjust"]), st.integers(1, 4 * UNIT))
    ),
)
def test_no_order_of_movements_lets_an_adjustment_overdraw(
    limit: int, moves: Sequence[tuple[str, int]]
) -> None:
    book = opened()
    book.do(configure(2, credit_limit_micros=limit))
    for number, (kind, amount) in enumerate(moves):
        before = book.sound.balance_micros
        if kind == "top_up":
            book.done(top_up(amount, f"top-up {number}"))
        elif kind == "leg":
            book.done(leg(number, amount))
        else:
            command = adjust(-amount, f"adjustment {number}", allow_overdraft=False)
            decision = book.do(command)
            covered = amount <= max(0, before + limit)
            assert isinstance(decision, Decided if covered else CommandRefused)
            assert book.sound.balance_micros == (before - amount if covered else before)


@pytest.mark.parametrize("allowed", [True, False])
def test_an_adjustment_upwards_is_never_an_overdraft(allowed: bool) -> None:
    book = opened()
    book.done(leg(1, 5 * UNIT))
    book.done(adjust(1, allow_overdraft=allowed))
    assert book.sound.balance_micros == 1 - 5 * UNIT


def test_the_refusal_names_the_amount() -> None:
    error = opened().refusal(adjust(-1, allow_overdraft=False))
    assert isinstance(error, Invalid)
    assert [field.pointer for field in error.errors] == ["/amount"]

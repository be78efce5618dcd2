"""Errors as RFC 9457 problem documents."""

import json
from http import HTTPStatus

import pytest

from shared.contracts.common.problems import problem
from shared.domain.common import errors

STATUS = {
    errors.BadRequest("d"): 400,
    errors.NotAuthenticated("d"): 401,
    errors.NotAllowed("d"): 403,
    errors.NotFound("d"): 404,
    errors.Conflict("d"): 409,
    errors.PreconditionFailed("d"): 412,
    errors.TooLarge("d"): 413,
    errors.UnsupportedMedia("d"): 415,
    errors.Invalid("d"): 422,
    errors.PreconditionMissing("d"): 428,
    errors.Unavailable("d"): 503,
    errors.QueueUnavailable("d"): 503,
    errors.StoreUnavailable("d"): 503,
}


@pytest.mark.parametrize(("error", "status"), STATUS.items(), ids=lambda item: type(item).__name__)
def test_each_error_has_its_status_and_states_it_in_the_body(
    error: errors.PerminuteError, status: int
) -> None:
    answer = problem(error, "/api/v1/x")
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["code"] == error.code
    assert answer.body["type"] == f"/problems/{error.code}"
    assert str(answer.body["detail"]).partition(" ")[0] == "d"
    assert answer.body["instance"] == "/api/v1/x"
    assert answer.body["title"] == HTTPStatus(status).phrase


@pytest.mark.parametrize(
    "error",
    [
        KeyError("AccountKey=secret"),
        ValueError("AccountKey=secret"),
        errors.OutcomeUnknown("AccountKey=secret"),
        errors.PerminuteError("AccountKey=secret"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_what_no_caller_should_see_is_a_bare_500(error: Exception) -> None:
    answer = problem(error, "/api/v1/x")
    assert answer.status == 500
    assert answer.body["code"] == "internal"
    assert "secret" not in json.dumps(answer.body)


def test_wrong_fields_are_named_with_pointers() -> None:
    error = errors.Invalid("Wrong.", (errors.FieldError("/3/ended_at", "is before answered_at"),))
    assert problem(error, "/").body["errors"] == [
        {"pointer": "/3/ended_at", "detail": "is before answered_at"}
    ]
    assert "errors" not in problem(errors.Invalid("Wrong."), "/").body


def test_503_states_when_to_come_back_and_401_how_to_prove_oneself() -> None:
    assert (
        problem(errors.Unavailable("d", retry_after_seconds=7), "/").headers["Retry-After"] == "7"
    )
    assert "Basic" in problem(errors.NotAuthenticated("d"), "/").headers["WWW-Authenticate"]


def test_the_reason_noted_for_the_log_is_not_shown() -> None:
    error = errors.NotAuthenticated("No.")
    error.add_note("signed 400 s ago")
    assert "400" not in json.dumps(problem(error, "/").body)


def test_a_damaged_ledger_is_named_without_its_content() -> None:
    answer = problem(errors.LedgerCorrupt("AccountKey=secret"), "/api/v1/x")
    assert (answer.status, answer.body["code"]) == (500, "ledger_corrupt")
    assert "secret" not in str(answer.body)

"""The one mapping from errors to HTTP: RFC 9457 problem documents."""

from dataclasses import dataclass
from http import HTTPStatus

from shared.domain.common.errors import (
    BadRequest,
    ChecksumWrong,
    Conflict,
    Invalid,
    LedgerCorrupt,
    MethodNotAllowed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PerminuteError,
    PreconditionFailed,
    PreconditionMissing,
    RateLimited,
    SettingsUnreadable,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from shared.domain.common.limits import FIELD_ERRORS_MAX

PROBLEM_MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """An error response: HTTP status, headers, and the problem document (RFC 9457)."""

    status: int
    headers: dict[str, str]
    body: dict[str, object]


_STATUS: tuple[tuple[type[PerminuteError], HTTPStatus], ...] = (
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (ChecksumWrong, HTTPStatus.FORBIDDEN),
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (MethodNotAllowed, HTTPStatus.METHOD_NOT_ALLOWED),
    (Conflict, HTTPStatus.CONFLICT),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (TooLarge, HTTPStatus.CONTENT_TOO_LARGE),
    (UnsupportedMedia, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (Invalid, HTTPStatus.UNPROCESSABLE_CONTENT),
    (PreconditionMissing, HTTPStatus.PRECONDITION_REQUIRED),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem(error: Exception, instance: str) -> Problem:
    """The problem document of `error`; `instance` is the path of the request.

    `type` is a relative reference, `/problems/{code}`; `title` is the reason phrase of the status
    (RFC 9110, RFC 6585). An error outside the tree becomes a 500 without its text.
    """
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return _render(error, status, instance)
    if isinstance(error, LedgerCorrupt):
        damaged = LedgerCorrupt(
            "Stored rows of the ledger are damaged. Verify the ledger for the names of the rows."
        )
        return _render(damaged, HTTPStatus.INTERNAL_SERVER_ERROR, instance)
    unexpected = PerminuteError(
        "The product failed, and the log has the cause under the request id. "
        "Report the request id to the operator."
    )
    return _render(unexpected, HTTPStatus.INTERNAL_SERVER_ERROR, instance)


def _render(error: PerminuteError, status: HTTPStatus, instance: str) -> Problem:
    headers = {"Content-Type": PROBLEM_MEDIA_TYPE}
    detail = error.detail
    if isinstance(error, RateLimited | Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
        if not isinstance(error, SettingsUnreadable):  # whose detail has another way out
            detail += f" Send the request again after {error.retry_after_seconds} s."
    if isinstance(error, Invalid) and error.errors and error.code == Invalid.code:
        detail += " Correct each place that errors names."
    body: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "instance": instance,
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.errors:
        body["errors"] = [
            {"pointer": field.pointer, "detail": field.detail}
            for field in error.errors[:FIELD_ERRORS_MAX]
        ]
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer, Basic realm="perminute"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, UnsupportedMedia) and error.accepted is not None:
        name, media_types = error.accepted
        headers[name] = media_types
    if isinstance(error, SettingsUnreadable) and error.etag is not None:
        headers["ETag"] = error.etag
    return Problem(int(status), headers, body)

"""The one mapping from errors to HTTP: RFC 9457 problem documents."""

from dataclasses import dataclass

from shared.domain.common.errors import (
    BadRequest,
    Conflict,
    Invalid,
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
    """An answer that says what is wrong: HTTP status, headers, and the body as a JSON object."""

    status: int
    headers: dict[str, str]
    body: dict[str, object]


_STATUS: tuple[tuple[type[PerminuteError], int, str], ...] = (
    (BadRequest, 400, "Not understood"),
    (NotAuthenticated, 401, "Not authenticated"),
    (NotAllowed, 403, "Not allowed"),
    (NotFound, 404, "Not found"),
    (MethodNotAllowed, 405, "Method not allowed"),
    (Conflict, 409, "Conflict"),
    (PreconditionFailed, 412, "Changed meanwhile"),
    (TooLarge, 413, "Too large"),
    (UnsupportedMedia, 415, "Unsupported media type"),
    (Invalid, 422, "Understood, but wrong"),
    (PreconditionMissing, 428, "If-Match is missing"),
    (RateLimited, 429, "Too many requests"),
    (Unavailable, 503, "Try again later"),
)


def problem(error: Exception, instance: str) -> Problem:
    """What the caller is told about `error`; `instance` is the path that was asked for.

    `type` is a relative reference, `/problems/{code}`. Only errors of the tree that are meant for
    callers speak for themselves; all others are a 500 without a word of their own text.
    """
    for kind, status, title in _STATUS:
        if isinstance(error, kind):
            return _render(error, status, title, instance)
    unexpected = PerminuteError("Something went wrong on our side; the request id names it.")
    return _render(unexpected, 500, "Internal error", instance)


def _render(error: PerminuteError, status: int, title: str, instance: str) -> Problem:
    headers = {"Content-Type": PROBLEM_MEDIA_TYPE}
    body: dict[str, object] = {
        "type": f"/problems/{error.code}",
        "title": title,
        "status": status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.errors:
        body["errors"] = [
            {"pointer": field.pointer, "detail": field.detail}
            for field in error.errors[:FIELD_ERRORS_MAX]
        ]
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer, Basic realm="perminute"'
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, SettingsUnreadable) and error.etag is not None:
        headers["ETag"] = error.etag
    if isinstance(error, RateLimited | Unavailable):
        headers["Retry-After"] = str(error.retry_after_seconds)
    return Problem(status, headers, body)

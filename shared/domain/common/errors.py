"""Everything that can be refused or go wrong, as one tree with stable codes.

PerminuteError
├── BadRequest             400  the request cannot be read
│   └── SignatureMissing …
├── NotAuthenticated       401
│   └── ChecksumWrong      403  of BigBlueButton, which takes a 401 for a delivery
├── NotAllowed             403
├── NotFound               404
├── MethodNotAllowed       405
├── Conflict               409
├── PreconditionFailed     412
├── TooLarge               413
├── UnsupportedMedia       415
├── Invalid                422  readable but invalid; carries the failing fields
├── PreconditionMissing    428
├── RateLimited            429  too much for now; carries the seconds to wait
├── Unavailable            503  try again; carries the seconds to wait
│   ├── QueueUnavailable
│   └── StoreUnavailable
│       └── SettingsUnreadable  a stored setting must be put again
└── StoreError                  answers of Table storage, for the adapters' callers only
    ├── RowExists               409 of one operation
    ├── EtagMismatch            412 of one operation
    ├── RowMissing              404 of one operation
    ├── RequestTooLarge         refused before sending
    ├── KindFull                no further document of a kind that has a maximum
    └── OutcomeUnknown          no proof of success nor of failure

`code` is what scripts read; it never changes once released. The mapping to HTTP is in
`shared/contracts/common/problems.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: an RFC 6901 pointer into the request, and a rule."""

    pointer: str
    detail: str


class PerminuteError(Exception):
    """The root. `code` is stable, `detail` is a sentence for a person."""

    code = "internal"

    def __init__(self, detail: str, *, code: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        if code:
            self.code = code


class BadRequest(PerminuteError):
    """The request cannot be read."""

    code = "bad_request"


class NotAuthenticated(PerminuteError):
    """The caller is not authenticated."""

    code = "not_authenticated"


class ChecksumWrong(NotAuthenticated):
    """A bridge of scheme `bigbluebutton` sent another checksum."""

    code = "checksum_wrong"


class NotAllowed(PerminuteError):
    """The caller is authenticated, but not permitted to do this."""

    code = "not_allowed"


class NotFound(PerminuteError):
    """The object does not exist, or the caller may not see it."""

    code = "not_found"


class MethodNotAllowed(PerminuteError):
    """The path exists, but does not take this method; `allowed` are the methods that it takes."""

    code = "method_not_allowed"

    def __init__(self, detail: str, allowed: frozenset[str]) -> None:
        super().__init__(detail)
        self.allowed = allowed


class Conflict(PerminuteError):
    """The state of the object does not allow the request."""

    code = "conflict"


def authorization_used(leg: str, entry: int) -> Conflict:
    """The refusal of a leg whose authorization another leg has settled."""
    return Conflict(
        f"The authorization was settled by the leg {leg}, entry {entry}, of the same call. "
        "Dismiss this leg, or replay it without the authorization.",
        code="authorization_used",
    )


class PreconditionFailed(PerminuteError):
    """`If-Match` names a version that is no longer the current one."""

    code = "etag_mismatch"


class PreconditionMissing(PerminuteError):
    """An existing object is replaced only with `If-Match`."""

    code = "if_match_missing"


class TooLarge(PerminuteError):
    """The body is over its named limit."""

    code = "too_large"


class UnsupportedMedia(PerminuteError):
    """The content type or encoding is not one that this route reads; `accepted` are those that it
    reads, by the name of the response header that lists them."""

    code = "unsupported_media_type"

    def __init__(
        self, detail: str, accepted: tuple[str, str] | None = None, *, code: str = ""
    ) -> None:
        super().__init__(detail, code=code)
        self.accepted = accepted


class Invalid(PerminuteError):
    """The request is readable, but invalid. `errors` names each failing field."""

    code = "invalid"

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = (), *, code: str = "") -> None:
        super().__init__(detail, code=code)
        self.errors = errors

    @classmethod
    def field(cls, pointer: str, rule: str) -> "Invalid":
        """The refusal of one field."""
        return cls("1 field is wrong.", (FieldError(pointer, rule),))


class RateLimited(PerminuteError):
    """The caller exceeds its budget; it may try again after the wait."""

    code = "rate_limited"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(PerminuteError):
    """A dependency does not answer; the caller may repeat the request later."""

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int = 5, code: str = "") -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class QueueUnavailable(Unavailable):
    """The broker did not confirm that it has the message."""


class StoreUnavailable(Unavailable):
    """Table storage refused for now (busy, timed out before sending); nothing was written."""


class SettingsUnreadable(StoreUnavailable):
    """A stored setting can't be read: its users wait until the setting is put again.

    `account` is the account of the setting, if any; `etag` is the version to replace.
    """

    code = "settings_unreadable"

    def __init__(
        self, detail: str, *, account: str | None = None, etag: str | None = None, code: str = ""
    ) -> None:
        super().__init__(detail, retry_after_seconds=60, code=code)
        self.account = account
        self.etag = etag


class LedgerCorrupt(PerminuteError):
    """An invariant of the ledger does not hold; nothing more is written to it."""

    code = "ledger_corrupt"


class StoreError(PerminuteError):
    """A response of Table storage that the calling adapter handles."""

    code = "store"

    def __init__(self, detail: str, *, index: int = 0) -> None:
        super().__init__(detail)
        self.index = index


class RowExists(StoreError):
    """The row that operation `index` inserts is there already; nothing was written."""


class EtagMismatch(StoreError):
    """The row that operation `index` replaces has another version; nothing was written."""


class RowMissing(StoreError):
    """The row that operation `index` replaces or deletes is not there; nothing was written."""


class RequestTooLarge(StoreError):
    """The request is over a limit of Table storage; refused before it was sent."""


class KindFull(StoreError):
    """There are as many documents of the kind as there may be."""


class OutcomeUnknown(StoreError):
    """No proof that the transaction was written, and none that it was not."""

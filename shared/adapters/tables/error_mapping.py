"""The proof in an answer of Table storage: one mapping for the SDK and for the product's client."""

from typing import TYPE_CHECKING

from shared.domain.common.errors import (
    EtagMismatch,
    OutcomeUnknown,
    PerminuteError,
    RequestTooLarge,
    RowExists,
    RowMissing,
    StoreError,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

_ROW_MISSING_CODES = frozenset({"ResourceNotFound", "EntityNotFound"})
_ETAG_CODES = frozenset({"UpdateConditionNotSatisfied", "ConditionNotMet"})


class TableMissing(StoreError):
    """The table itself is not there; nothing was written. Never leaves the adapter."""


def refused(status: int, code: str, index: int, operations_count: int) -> PerminuteError:
    """The error for a transaction that was answered with this HTTP status and service code.

    A 4xx that the service explains proves that nothing was written. Busy and time-out (5xx, 408,
    429) prove nothing: such a transaction may have been committed.
    """
    if not 0 <= index < operations_count:
        return OutcomeUnknown(f"Table storage blames operation {index}, which was not sent.")
    match status:
        case 404 if code == "TableNotFound":
            return TableMissing("The table does not exist.")
        case 404 if code in _ROW_MISSING_CODES:
            return RowMissing("The row does not exist.", index=index)
        case 409 if code == "EntityAlreadyExists":
            return RowExists("The row exists already.", index=index)
        case 412 if code in _ETAG_CODES:
            return EtagMismatch("The row has another version.", index=index)
        case 400 | 413:
            return RequestTooLarge(
                f"Table storage refused the request: {code or status}.", index=index
            )
        case 401 | 403:
            return StoreUnavailable(f"Table storage refuses access: {code or status}.")
        case 409 if code:
            return StoreUnavailable(f"Table storage refused the request for now: {code}.")
        case _:
            return OutcomeUnknown(f"Table storage answered {status} {code}.")


def failed(error: BaseException) -> PerminuteError:
    """The error for a transaction that ended without an answer.

    Only a connection that was never made proves that nothing was sent: azure-core calls a reset
    after sending a request error too, so what counts is the transport's own exception.
    """
    import aiohttp
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

    if isinstance(error, ClientAuthenticationError):
        return StoreUnavailable("No credential for Table storage.")
    if isinstance(error, ServiceRequestError) and isinstance(
        error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
    ):
        return StoreUnavailable("Table storage can't be reached.")
    return OutcomeUnknown(f"No answer of Table storage: {type(error).__name__}.")


def error_code(error: "HttpResponseError") -> str:
    """The service's own code in an error of the SDK, or ""."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")

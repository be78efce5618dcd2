"""The batch codec: the SDK's bytes out, and no false certainty in."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.data.tables.aio import TableServiceClient
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.tables.batch_codec import Batch, decode_batch, encode_batch
from shared.adapters.tables.error_mapping import TableMissing
from shared.adapters.tables.validation import check_transaction
from shared.domain.common import limits
from shared.domain.common.errors import (
    EtagMismatch,
    OutcomeUnknown,
    PerminuteError,
    RequestTooLarge,
    RowExists,
    RowMissing,
    StoreUnavailable,
)
from shared.ports.tables import Delete, Insert, Operation, Replace, Upsert, Value
from tests.support.azurite import connection_string
from tests.support.sdk_tables import to_sdk_operation

ADDRESS = "http://127.0.0.1:10002/devstoreaccount1"
DATE = "Mon, 23 Nov 2026 19:11:01 GMT"
TOKEN = "00000000-0000-4000-8000-000000000000"


def encoded(partition: str, operations: Sequence[Operation]) -> Batch:
    contents = check_transaction("ledger", partition, operations)
    return encode_batch(
        ADDRESS, "ledger", partition, operations, contents, http_date=DATE, token=TOKEN
    )


# What is sent


class CapturingTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponse]):
    """Keeps what the SDK would send, and sends nothing."""

    def __init__(self) -> None:
        self.body = b""
        self.headers: Mapping[str, str] = {}

    async def send(self, request: HttpRequest, **_: Any) -> AsyncHttpResponse:
        content = request.content
        assert isinstance(content, bytes)
        self.body, self.headers = content, dict(request.headers)
        raise ServiceRequestError("Nothing is sent here.")

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


def sent_by_the_sdk(partition: str, operations: Sequence[Operation]) -> CapturingTransport:
    transport = CapturingTransport()

    async def submit() -> None:
        service = TableServiceClient.from_connection_string(
            connection_string(10002), transport=transport
        )
        client = service.get_table_client("ledger")
        with pytest.raises(ServiceRequestError):
            await client.submit_transaction(
                [to_sdk_operation(partition, operation) for operation in operations],
                retry_total=0,
            )

    asyncio.run(submit())
    return transport


def normalised(body: bytes) -> bytes:
    """With the random boundaries and the dates replaced by ours."""
    body = re.sub(rb"(batch|changeset)_[0-9a-f-]{36}", rb"\1_" + TOKEN.encode(), body)
    return re.sub(rb"(x-ms-date|\nDate): [^\r]*", rb"\1: " + DATE.encode(), body)


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.binary(max_size=40),
    st.datetimes(
        min_value=datetime(1601, 1, 2),  # noqa: DTZ001 (the strategy adds the zone)
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.sampled_from([UTC]) | st.timezones(),
    ),
)
KEYS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\#?"), max_size=30
)
ETAGS = st.from_regex(r"W/\"[!#-~]{1,30}\"", fullmatch=True)
ROWS = st.dictionaries(
    st.from_regex(r"[A-Za-z_][a-z0-9_]{3,9}", fullmatch=True), VALUES, max_size=6
)


def operations(key: str) -> st.SearchStrategy[Operation]:
    return st.one_of(
        st.builds(Insert, st.just(key), ROWS),
        st.builds(Replace, st.just(key), ROWS, ETAGS),
        st.builds(Upsert, st.just(key), ROWS),
        st.builds(Delete, st.just(key), st.none() | ETAGS),
    )


TRANSACTIONS = st.lists(KEYS, min_size=1, max_size=6, unique=True).flatmap(
    lambda keys: st.tuples(*map(operations, keys))
)


@given(KEYS, TRANSACTIONS)
@settings(max_examples=60, deadline=None)
def test_a_transaction_is_what_the_sdk_sends_byte_for_byte_and_no_longer_than_was_reckoned(
    partition: str, transaction: tuple[Operation, ...]
) -> None:
    """The check before sending counts the rows exactly, and too much for the envelope."""
    sdk = sent_by_the_sdk(partition, transaction)
    ours = encoded(partition, transaction)
    assert ours.body == normalised(sdk.body)
    for name, value in ours.headers.items():
        assert normalised(sdk.headers[name].encode()) == value.encode()
    contents = check_transaction("ledger", partition, transaction)
    envelope = len(ours.body) - sum(map(len, contents))
    key_characters = sum(len(partition) + len(operation.key) for operation in transaction)
    etags = sum(len(getattr(operation, "etag", None) or "") for operation in transaction)
    assert envelope - etags <= 512 + len(transaction) * 824 + 12 * key_characters


def test_a_full_transaction_stays_under_what_azure_takes() -> None:
    data = bytes(limits.PROPERTY_BINARY_BYTES_MAX)
    rows = [Insert(f"{n}", {"data": data}) for n in range(37)]
    assert len(encoded("p", rows).body) < 4 * 1024 * 1024


# What is read: well-formed answers


def success(etags: Sequence[str], content: str = "") -> bytes:
    """An answer in the shape of Azure's: the ETag between other headers."""
    parts = []
    for etag in etags:
        version = f"ETag: {etag}\r\n" if etag else ""
        status = "201 Created" if content else "204 No Content"
        parts.append(
            f"HTTP/1.1 {status}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
            f"Preference-Applied: return-no-content\r\nDataServiceVersion: 3.0;\r\n{version}"
            f"DataServiceId: {ADDRESS}/ledger(PartitionKey='p',RowKey='k')\r\n\r\n{content}\r\n"
        )
    return envelope(parts)


def refusal(status: int, code: str, message: str) -> bytes:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "en", "value": message}}})
    part = (
        f"HTTP/1.1 {status} Reason\r\nX-Content-Type-Options: nosniff\r\n"
        f"Content-Type: application/json;odata=minimalmetadata\r\n\r\n{body}\r\n"
    )
    return envelope([part])


def envelope(parts: Sequence[str]) -> bytes:
    changes = "".join(
        "--changesetresponse_c\r\nContent-Type: application/http\r\n"
        f"Content-Transfer-Encoding: binary\r\n\r\n{part}"
        for part in parts
    )
    return (
        "--batchresponse_b\r\nContent-Type: multipart/mixed; boundary=changesetresponse_c\r\n\r\n"
        f"{changes}--changesetresponse_c--\r\n--batchresponse_b--\r\n"
    ).encode()


HEADERS = {"Content-Type": "multipart/mixed; boundary=batchresponse_b"}
ETAG = "W/\"datetime'2026-11-23T19%3A11%3A01.3366738Z'\""
THREE: list[Operation] = [Insert("a", {}), Delete("b"), Replace("c", {}, ETAG)]
ANSWERED = (ETAG.replace("1Z", "2Z"), "", ETAG)


def decoded(
    body: bytes, sent: Sequence[Operation] = THREE, status: int = 202
) -> tuple[str, ...] | PerminuteError:
    """What the codec makes of an answer; anything but a result or our errors fails the test."""
    try:
        return decode_batch(status, HEADERS, body, sent)
    except PerminuteError as error:
        return error


def test_a_success_gives_the_etags_in_order() -> None:
    assert decoded(success(ANSWERED)) == ANSWERED


def test_an_insert_may_be_answered_with_the_row() -> None:
    body = success([ETAG], content='{"odata.etag":"x","PartitionKey":"p"}')
    assert decoded(body, [Insert("a", {})]) == (ETAG,)


@pytest.mark.parametrize("name", [b"ETag", b"Etag", b"etag"])
def test_the_name_of_the_etag_may_be_written_in_any_way(name: bytes) -> None:
    assert decoded(success(ANSWERED).replace(b"ETag", name)) == ANSWERED


def test_boundaries_may_be_quoted() -> None:
    headers = {"Content-Type": 'multipart/mixed; boundary="batchresponse_b"'}
    assert decode_batch(202, headers, success(ANSWERED), THREE) == ANSWERED


def test_a_refusal_may_stand_outside_of_a_change_set() -> None:
    inner = refusal(409, "EntityAlreadyExists", "2:There.").split(b"--changesetresponse_c\r\n")[1]
    part = inner.partition(b"\r\n--changesetresponse_c")[0]
    body = b"--batchresponse_b\r\n" + part + b"\r\n--batchresponse_b--\r\n"
    error = decoded(body)
    assert isinstance(error, RowExists)
    assert error.index == 2


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "index"),
    [
        (409, "EntityAlreadyExists", "0:The specified entity already exists.", RowExists, 0),
        (409, "EntityAlreadyExists", "2:The specified entity already exists.", RowExists, 2),
        (412, "UpdateConditionNotSatisfied", "2:The update condition…", EtagMismatch, 2),
        (412, "ConditionNotMet", "1:The condition…", EtagMismatch, 1),
        (404, "ResourceNotFound", "1:The specified resource…\nRequestId:1", RowMissing, 1),
        (404, "EntityNotFound", "1:…", RowMissing, 1),
        (404, "TableNotFound", "0:The table specified does not exist.", TableMissing, 0),
        (400, "InvalidInput", "1:One of the request inputs is not valid.", RequestTooLarge, 1),
        (400, "PropertyValueTooLarge", "1:…", RequestTooLarge, 1),
        (413, "RequestBodyTooLarge", "The request body is too large.", RequestTooLarge, 0),
        (409, "TableBeingDeleted", "0:The specified table is being deleted.", StoreUnavailable, 0),
        (403, "AuthorizationFailure", "0:…", StoreUnavailable, 0),
        (500, "OperationTimedOut", "0:Operation could not be completed.", OutcomeUnknown, 0),
        (500, "InternalError", "0:…", OutcomeUnknown, 0),
        (503, "ServerBusy", "0:The server is busy.", OutcomeUnknown, 0),
        (409, "", "0:…", OutcomeUnknown, 0),
        (404, "Strange", "0:…", OutcomeUnknown, 0),
        (418, "Strange", "0:…", OutcomeUnknown, 0),
        (409, "EntityAlreadyExists", "3:There are operations 0 to 2 only.", OutcomeUnknown, 0),
    ],
)
def test_a_refused_operation_is_named(
    status: int, code: str, message: str, error: type[PerminuteError], index: int
) -> None:
    answer = decoded(refusal(status, code, message))
    assert type(answer) is error
    assert getattr(answer, "index", 0) == index


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestTooLarge),
        (413, RequestTooLarge),
        (401, StoreUnavailable),
        (403, StoreUnavailable),
        (408, OutcomeUnknown),
        (429, OutcomeUnknown),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, OutcomeUnknown),
        (504, OutcomeUnknown),
        (200, OutcomeUnknown),
        (204, OutcomeUnknown),
        (302, OutcomeUnknown),
        (409, OutcomeUnknown),
        (412, OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{", b"[" * 100_000, b"\xff"])
def test_an_answer_to_the_whole_request_is_judged_by_its_status(
    status: int, error: type[PerminuteError], body: bytes
) -> None:
    assert type(decoded(body, status=status)) is error


# What is read: everything else


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--batchresponse_b--\r\n",
        success([]),
        success([ETAG]),
        success([ETAG, "", ETAG, ETAG]),
        success([ETAG, ETAG, ""]),
        success(ANSWERED).replace(b"204 No Content", b"200 OK"),
        success(ANSWERED).replace(b"204 No Content", b"201 Created"),
        success(ANSWERED).replace(b"204 No Content", b"404 Not Found"),
        success(ANSWERED).replace(b"204 No Content", b"409 Conflict", 1),
        success(ANSWERED).replace(b"HTTP/1.1", b"HTTP"),
        success(ANSWERED).replace(b"application/http", b"text/plain"),
        success(ANSWERED).replace(b"--batchresponse_b--", b""),
        success(ANSWERED).replace(b"--changesetresponse_c--", b""),
        success(ANSWERED).replace(b"batchresponse_b", b"other"),
        success(ANSWERED).replace(b"\r\n", b"\n"),
        success(ANSWERED) + b"more",
        success(ANSWERED) + success(ANSWERED),
        success(ANSWERED).replace(ETAG.encode(), b"\xff"),
        success(ANSWERED).replace(ETAG.encode(), b""),
    ],
)
def test_an_answer_that_is_no_proof_leaves_the_outcome_unknown(body: bytes) -> None:
    assert isinstance(decoded(body), OutcomeUnknown)


@pytest.mark.parametrize(
    "content_type", ["", "text/html", "multipart/mixed", "multipart/mixed; x=1"]
)
def test_an_answer_of_another_type_leaves_the_outcome_unknown(content_type: str) -> None:
    with pytest.raises(OutcomeUnknown):
        decode_batch(202, {"Content-Type": content_type}, success(ANSWERED), THREE)


def test_a_refusal_turned_into_a_success_by_one_byte_is_no_success() -> None:
    body = refusal(404, "ResourceNotFound", "0:Not there.").replace(b"1.1 404", b"1.1 204")
    assert isinstance(decoded(body, [Delete("a")]), OutcomeUnknown)


@given(st.integers(0, len(success(ANSWERED))))
def test_a_cut_success_is_whole_or_unknown(length: int) -> None:
    answer = decoded(success(ANSWERED)[:length])
    assert answer == ANSWERED or isinstance(answer, OutcomeUnknown)
    if length < len(success(ANSWERED)) - len("\r\n"):
        assert isinstance(answer, OutcomeUnknown)


REFUSED = refusal(412, "UpdateConditionNotSatisfied", "2:The update condition was not satisfied.")


@given(st.integers(0, len(REFUSED)))
def test_a_cut_refusal_is_whole_or_unknown(length: int) -> None:
    answer = decoded(REFUSED[:length])
    assert isinstance(answer, EtagMismatch | OutcomeUnknown)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The answer with some of its bytes changed, dropped, doubled or moved."""
    body = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 60)))
        piece = bytes(body[start:end])
        body[start:end] = draw(st.sampled_from([b"", piece * 2, b"\r\n", piece[::-1]])) or draw(
            st.binary(max_size=8)
        )
    return bytes(body)


@given(damaged(success(ANSWERED)))
@settings(max_examples=500)
def test_a_damaged_success_is_never_taken_for_a_refusal(body: bytes) -> None:
    answer = decoded(body)
    assert isinstance(answer, tuple | OutcomeUnknown)


@given(damaged(REFUSED))
@settings(max_examples=500)
def test_a_damaged_refusal_is_never_taken_for_a_success(body: bytes) -> None:
    for sent in (THREE, [Delete("a")], [Insert("a", {})]):
        assert not isinstance(decoded(body, sent), tuple)


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["Content-Type", "x-ms-error-code"]), st.text(max_size=60)),
    st.binary(max_size=200),
)
def test_noise_never_is_a_success_and_raises_our_errors_only(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(PerminuteError):
        decode_batch(status, headers, body, THREE)

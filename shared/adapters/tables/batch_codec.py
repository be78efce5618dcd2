"""Entity group transactions as multipart/mixed: the request that the SDK would send, byte for byte,
and a strict reading of the answer.

The SDK builds and parses these with `http.client` and `email`, which takes some 16 times the CPU
(`make bench ONLY=ledger.batch`). Here a transaction is one join of strings, and an answer is split
at its boundaries. Nothing here does I/O.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from shared.adapters.tables.error_mapping import refused
from shared.domain.common.errors import OutcomeUnknown
from shared.ports.tables import Delete, Insert, Operation, Replace

SERVICE_VERSION = "2019-02-02"

_BOUNDARY = re.compile(rb"multipart/mixed\s*;\s*boundary=\"?([\x21\x23-\x7e]{1,200}?)\"?", re.I)
_SAFE_KEY = re.compile(r"[A-Za-z0-9_.~|-]*", re.ASCII)
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2})[ \r]")
_USUAL_HEAD = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_CONTENT_TYPE = re.compile(rb"(?:\A|\r\n)[Cc]ontent-[Tt]ype:[ \t]*([^\r\n]+?)[ \t]*\r\n")
_ETAG = re.compile(rb"\r\n[Ee][Tt]ag:[ \t]*([\x21-\x7e]+)[ \t]*\r\n")
_INDEX = re.compile(r"([0-9]{1,3}):.*", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Batch:
    """An encoded transaction. `headers` are those that depend on nothing but the content."""

    body: bytes
    headers: Mapping[str, str]


class _OperationResponse(NamedTuple):
    """The service's answer about one operation: a part of the body, and the position of its
    response."""

    status: int
    part: bytes
    start: int
    end: int

    @property
    def body(self) -> bytes:
        return self.part[self.end + 4 :]


def encode_batch(
    address: str,
    table: str,
    partition: str,
    operations: Sequence[Operation],
    contents: Sequence[str],
    *,
    http_date: str,
    token: str,
) -> Batch:
    """The request for one transaction; `token` makes the boundaries unique.

    `address` is the service's, without a slash at its end. `contents` are the rows as JSON, as
    `check_transaction` gives them.
    """
    boundary, change_boundary = f"batch_{token}", f"changeset_{token}"
    part_start = (
        f"--{change_boundary}\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\nContent-ID: "
    )
    requests = _Requests(
        collection=f"{address}/{table}",
        row=f"{address}/{table}(PartitionKey='{_address_key(partition)}',RowKey='",
        dates=f"x-ms-date: {http_date}\r\nDate: {http_date}\r\n\r\n",
    )
    pieces = [f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={change_boundary}\r\n\r\n"]
    for index, (operation, content) in enumerate(zip(operations, contents, strict=True)):
        pieces.append(f"{part_start}{index}\r\n\r\n")
        pieces.append(requests.render(operation, content))
    pieces.append(f"--{change_boundary}--\r\n\r\n--{boundary}--\r\n")
    return Batch(
        # JSON is escaped to ASCII, addresses and ETags are percent-encoded.
        "".join(pieces).encode("ascii"),
        {
            "x-ms-version": SERVICE_VERSION,
            "DataServiceVersion": "3.0",
            "MaxDataServiceVersion": "3.0;NetFx",
            "Content-Type": f"multipart/mixed; boundary={boundary}",
            "Accept": "application/json",
        },
    )


@dataclass(frozen=True, slots=True)
class _Requests:
    """The common part of the requests of one transaction."""

    collection: str
    row: str
    dates: str

    def render(self, operation: Operation, content: str) -> str:
        """The request for one operation, whose row is this JSON."""
        if isinstance(operation, Insert):
            start = f"POST {self.collection} HTTP/1.1\r\n"
            accept = "Accept: application/json;odata=minimalmetadata\r\n"
            return start + self._content(accept, content)
        row = f"{self.row}{_address_key(operation.key)}') HTTP/1.1\r\n"
        if isinstance(operation, Delete):
            return (
                f"DELETE {row}{_VERSION}Accept: application/json;odata=minimalmetadata\r\n"
                f"If-Match: {'*' if operation.etag is None else operation.etag}\r\n{self.dates}\r\n"
            )
        accept = "Accept: application/json\r\n"
        if isinstance(operation, Replace):
            accept += f"If-Match: {operation.etag}\r\n"
        return f"PUT {row}" + self._content(accept, content)

    def _content(self, accept: str, content: str) -> str:
        return (
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
            f"{_VERSION}{accept}{self.dates}{content}\r\n"
        )


_VERSION = f"x-ms-version: {SERVICE_VERSION}\r\nDataServiceVersion: 3.0\r\n"


def _address_key(key: str) -> str:
    if _SAFE_KEY.fullmatch(key):
        return key.replace("|", "%7C")
    return quote(key.replace("'", "''"), safe="")


def decode_batch(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    operations: Sequence[Operation],
) -> tuple[str, ...]:
    """The new ETags, if the answer proves that all of the operations were written.

    Raises the error of the one operation that was refused, and OutcomeUnknown on everything that is
    neither: cut, malformed, incomplete, contradictory. Never anything else.
    """
    if status != 202:
        code, index = _explained(body)
        code = code or headers.get("x-ms-error-code", "")
        raise refused(status, code, index, len(operations))
    answers = _answers(headers.get("Content-Type", ""), body)
    if len(answers) == 1 and answers[0].status >= 400:
        code, index = _explained(answers[0].body)
        if not code:
            raise OutcomeUnknown("Table storage refused without a reason.")
        raise refused(answers[0].status, code, index, len(operations))
    if len(answers) != len(operations):
        raise OutcomeUnknown(f"{len(answers)} answers to {len(operations)} operations.")
    return tuple(map(_etag, answers, operations))


def _etag(answer: _OperationResponse, operation: Operation) -> str:
    """The new ETag. A success is 204 without content, or 201 for an insert, and nothing else."""
    created = answer.status == 201 and isinstance(operation, Insert)
    if not created and (answer.status != 204 or answer.body.strip()):
        raise OutcomeUnknown(f"Table storage answered {answer.status} among successes.")
    if isinstance(operation, Delete):
        return ""
    etag = _ETAG.search(answer.part, answer.start, answer.end + 2)
    if etag is None:
        raise OutcomeUnknown("Table storage gave no version for a row.")
    return etag[1].decode("ascii")


def _answers(content_type: str, body: bytes) -> list[_OperationResponse]:
    """The parts of the answer; those of a change set in place of the change set."""
    answers: list[_OperationResponse] = []
    for part in _parts(content_type.encode("ascii", "replace"), body):
        end = _head_end(part, 0)
        inner = _CONTENT_TYPE.search(part, 0, end + 2)
        if inner is not None and inner[1].lower().startswith(b"multipart/mixed"):
            answers += map(_answer, _parts(inner[1], part[end + 4 :]))
        else:
            answers.append(_answer(part))
    return answers


def _parts(content_type: bytes, body: bytes) -> list[bytes]:
    """The parts between the boundaries, which must all be there, the closing one too."""
    boundary = _BOUNDARY.fullmatch(content_type.strip())
    if boundary is None:
        raise OutcomeUnknown("The answer has no boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary[1] + b"\r\n")
    last, closing, rest = pieces[-1].rpartition(b"\r\n--" + boundary[1] + b"--")
    if len(pieces) < 2 or pieces[0].strip() or not closing or rest.strip():
        raise OutcomeUnknown("The answer is incomplete.")
    return [*pieces[1:-1], last]


def _answer(part: bytes) -> _OperationResponse:
    if part.startswith(_USUAL_HEAD):  # comparing is much faster than searching
        start = len(_USUAL_HEAD)
    else:
        end = _head_end(part, 0)
        content_type = _CONTENT_TYPE.search(part, 0, end + 2)
        if content_type is None or content_type[1] != b"application/http":
            raise OutcomeUnknown("A part of the answer is no HTTP response.")
        start = end + 4
    status = _STATUS_LINE.match(part, start)
    if status is None:
        raise OutcomeUnknown("A part of the answer has no status.")
    return _OperationResponse(int(status[1]), part, start, _head_end(part, start))


def _head_end(part: bytes, start: int) -> int:
    """The position of the empty line behind the headers. Raises if there is none."""
    end = part.find(b"\r\n\r\n", start)
    if end < 0:
        raise OutcomeUnknown("A part of the answer has no end of its headers.")
    return end


def _explained(body: bytes) -> tuple[str, int]:
    """The service's error code ("" if it gives none) and the operation that it blames."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return "", 0
    match content:
        case {"odata.error": {"code": str(code), "message": {"value": str(message)}}}:
            index = _INDEX.fullmatch(message)
            return code, int(index[1]) if index else 0
    return "", 0

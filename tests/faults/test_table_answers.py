"""Answers that Azure may give and the emulator never does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

import pytest

from shared.adapters.tables.azure_tables import AzureTables
from shared.domain.common.errors import Invalid, LedgerCorrupt, StoreUnavailable
from shared.ports.tables import Row
from tests.support.azurite import connection_string

ETAG = "W/\"datetime'2026-11-23T19%3A11%3A01.3366738Z'\""
NEXT = "x-ms-continuation-NextPartitionKey: 1!4!cA--\r\nx-ms-continuation-NextRowKey: 1!4!aw--\r\n"


def answer(body: object, headers: str = "", status: int = 200) -> bytes:
    content = body if isinstance(body, str) else json.dumps(body)
    return (
        f"HTTP/1.1 {status} Status\r\nContent-Type: application/json;odata=minimalmetadata\r\n"
        f"Content-Length: {len(content)}\r\n{headers}\r\n{content}"
    ).encode()


def page(*keys: str, headers: str = "") -> bytes:
    rows = [{"odata.etag": ETAG, "PartitionKey": "p", "RowKey": key} for key in keys]
    return answer({"value": rows}, headers)


def refusal(status: int, code: str) -> bytes:
    return answer({"odata.error": {"code": code, "message": {"value": "no"}}}, status=status)


@contextlib.asynccontextmanager
async def answering(answers: Sequence[bytes]) -> AsyncIterator[AzureTables]:
    """A store before a server that gives these answers in turn, the last one for ever."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(left.pop(0) if len(left) > 1 else left[0])
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    store = AzureTables(connection_string=connection_string(server.sockets[0].getsockname()[1]))
    try:
        yield store
    finally:
        await store.close()
        server.close()
        await server.wait_closed()


def rows(*keys: str) -> list[Row]:
    return [Row("p", key, {}, ETAG) for key in keys]


async def test_a_query_reads_on_behind_empty_and_short_pages() -> None:
    pages = [page(headers=NEXT), page("a", headers=NEXT), page(headers=NEXT), page("b", "c")]
    async with answering(pages) as store:
        assert await store.query("ledger", "p") == rows("a", "b", "c")
    async with answering(pages) as store:
        assert await store.query("ledger", "p", limit=2) == rows("a", "b")


async def test_a_scan_gives_an_empty_page_with_its_cursor() -> None:
    async with answering([page(headers=NEXT), page("a")]) as store:
        first = await store.scan("ledger", limit=5)
        assert first.rows == ()
        assert first.cursor is not None
        second = await store.scan("ledger", limit=5, cursor=first.cursor)
        assert (list(second.rows), second.cursor) == (rows("a"), None)


async def test_a_cursor_that_the_service_refuses_is_invalid() -> None:
    async with answering([page(headers=NEXT), refusal(400, "InvalidInput")]) as store:
        cursor = (await store.scan("ledger", limit=5)).cursor
        with pytest.raises(Invalid):
            await store.scan("ledger", limit=5, cursor=cursor)


@pytest.mark.parametrize(
    "given",
    [
        answer("<html>a proxy's login page</html>"),
        answer("{"),
        answer("", status=204),
        refusal(400, "InvalidInput"),
        refusal(403, "AuthenticationFailed"),
        refusal(404, "Strange"),
        answer("<html>404</html>", status=404),
        answer("", status=404),
        refusal(500, "InternalError"),
    ],
)
async def test_an_answer_that_is_no_row_and_no_absence_is_unavailable(given: bytes) -> None:
    async with answering([given]) as store:
        with pytest.raises(StoreUnavailable):
            await store.get("ledger", "p", "k")
        with pytest.raises(StoreUnavailable):
            await store.query("ledger", "p")
        with pytest.raises(StoreUnavailable):
            await store.scan("ledger", limit=1)


@pytest.mark.parametrize("code", ["TableNotFound", "ResourceNotFound", "EntityNotFound"])
async def test_an_absence_is_an_absence_by_each_of_its_names(code: str) -> None:
    async with answering([refusal(404, code)]) as store:
        assert await store.get("ledger", "p", "k") is None
        assert await store.query("ledger", "p") == []


@pytest.mark.parametrize(
    "values",
    [
        {"price": 1.5},
        {"id": "0b2c", "id@odata.type": "Edm.Unknown"},
        {"id": "4fa85f64-5717-4562-b3fc-2c963f66afa6", "id@odata.type": "Edm.Guid"},
    ],
    ids=str,
)
async def test_a_type_that_is_never_written_fails_closed(values: dict[str, object]) -> None:
    row = {"odata.etag": ETAG, "PartitionKey": "p", "RowKey": "k", **values}
    async with answering([answer(row)]) as store:
        with pytest.raises(LedgerCorrupt):
            await store.get("ledger", "p", "k")


async def test_a_row_without_a_version_fails_closed() -> None:
    async with answering([answer({"PartitionKey": "p", "RowKey": "k"})]) as store:
        with pytest.raises(LedgerCorrupt):
            await store.get("ledger", "p", "k")


async def test_a_number_written_by_hand_as_int32_is_read() -> None:
    row = {"odata.etag": ETAG, "PartitionKey": "p", "RowKey": "k", "n": 7}
    async with answering([answer(row)]) as store:
        assert await store.get("ledger", "p", "k") == Row("p", "k", {"n": 7}, ETAG)

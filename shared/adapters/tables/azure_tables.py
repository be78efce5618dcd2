"""Azure Table storage, or the emulator, behind the port `TableStore`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.adapters.credentials import azure_credential
from shared.adapters.tables.entity_json import check_property
from shared.adapters.tables.error_mapping import TableMissing, error_code
from shared.adapters.tables.scans import pack_cursor, unpack_cursor
from shared.adapters.tables.sdk_entities import to_row
from shared.adapters.tables.transactions import BatchTransactions
from shared.adapters.tables.validation import check_table, check_transaction, storable_key
from shared.domain.common import limits
from shared.domain.common.errors import PerminuteError, StoreUnavailable
from shared.domain.common.opaque import cursor_invalid
from shared.ports.tables import Operation, Row, RowPage, TableStore

if TYPE_CHECKING:
    from azure.core.async_paging import AsyncItemPaged
    from azure.core.pipeline.transport import AioHttpTransport
    from azure.data.tables import TableEntity
    from azure.data.tables.aio import TableClient, TableServiceClient
    from azure.identity.aio import ChainedTokenCredential, ManagedIdentityCredential

_MISSING_CODES = frozenset({"TableNotFound", "ResourceNotFound", "EntityNotFound"})
_KEYS_AND_VERSION = ("PartitionKey", "RowKey", "Timestamp")
_KEEP_ALIVE_SECONDS = 4.0  # less than the 5 s after which the emulator closes an idle connection
_RETRY_SECONDS = 0.05  # a read waits this long before its second retry, and not before the first


class AzureTables(TableStore):
    """One client per table, one pool of connections, for one event loop.

    Reads are tried again at most twice, and quickly. Transactions never are: who sends a
    transaction twice gets a conflict with its own first try. That is why even one operation goes as
    a transaction: aiohttp sends a PUT or DELETE again by itself when a connection breaks, and never
    a POST. A transaction that is refused because its table is not there is sent once more when the
    table is made: nothing was written.

    For the emulator use the address 127.0.0.1: the SDK takes `localhost` for Cosmos DB.
    """

    def __init__(
        self,
        *,
        connection_string: str = "",
        endpoint: str = "",
        client_id: str | None = None,
        connect_seconds: float = limits.TABLE_CONNECT_SECONDS,
        read_seconds: float = limits.TABLE_READ_SECONDS,
    ) -> None:
        """Either a connection string, or an https endpoint for a managed identity."""
        if bool(connection_string) == bool(endpoint):
            raise ValueError("Either a connection string or an endpoint is needed.")
        self._connection_string = connection_string
        self._endpoint = endpoint
        self._client_id = client_id
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._opened: _Connections | None = None

    async def close(self) -> None:
        """Closes the connections. The next call would open new ones."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        await opened.service.close()
        if opened.credential is not None:
            await opened.credential.close()

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        check_table(table)
        if not (storable_key(partition) and storable_key(key)):
            return None
        try:
            async with self._deadline():
                return to_row(await self._client(table).get_entity(partition, key))
        except Exception as error:
            if _is_missing(error):
                return None
            raise _unread(error) from error

    async def query(
        self,
        table: str,
        partition: str,
        *,
        first: str = "",
        after: str | None = None,
        before: str | None = None,
        where: Mapping[str, str] | None = None,
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        check_table(table)
        conditions = [f"PartitionKey eq {_literal(partition)}"]
        if first:
            conditions.append(f"RowKey ge {_literal(first)}")
        if after is not None:
            conditions.append(f"RowKey gt {_literal(after)}")
        if before is not None:
            conditions.append(f"RowKey lt {_literal(before)}")
        conditions += _equalities(where)
        for name in select or ():
            check_property(name)
        if not storable_key(partition) or (limit is not None and limit < 1):
            return []
        page_rows = min(limit or limits.TABLE_PAGE_ROWS_MAX, limits.TABLE_PAGE_ROWS_MAX)
        rows: list[Row] = []
        try:
            pages = (
                self._client(table)
                .query_entities(
                    " and ".join(conditions),
                    results_per_page=page_rows,
                    # Keys and version come only if they are selected.
                    select=None if select is None else [*_KEYS_AND_VERSION, *select],
                )
                .by_page()
            )
            while limit is None or len(rows) < limit:
                page = await self._next_page(pages)
                if page is None:
                    break
                rows += page
        except Exception as error:
            if _is_missing(error):
                return []
            raise _unread(error) from error
        return rows[:limit]

    async def scan(
        self,
        table: str,
        *,
        where: Mapping[str, str] | None = None,
        limit: int,
        cursor: str | None = None,
    ) -> RowPage:
        check_table(table)
        conditions = _equalities(where)
        if limit < 1:
            raise ValueError("A page has room for a row at least.")
        token = None
        if cursor is not None:
            partition, key = unpack_cursor(table, where, cursor)
            token = {"PartitionKey": partition, "RowKey": key}
        page_rows = min(limit, limits.TABLE_PAGE_ROWS_MAX)
        try:
            client = self._client(table)
            entities: AsyncItemPaged[TableEntity] = (
                client.query_entities(" and ".join(conditions), results_per_page=page_rows)
                if conditions
                else client.list_entities(results_per_page=page_rows)
            )
            # The SDK's token of a table is a dictionary, its signature says text.
            pages = entities.by_page(token)  # type: ignore[arg-type]
            rows = await self._next_page(pages)
            onward = getattr(pages, "continuation_token", None)
        except Exception as error:
            if _is_missing(error):
                return RowPage((), None)
            if cursor is not None and getattr(error, "status_code", None) == 400:
                raise cursor_invalid() from error
            raise _unread(error) from error
        if not onward:
            return RowPage(tuple(rows or ()), None)
        position = (onward["PartitionKey"] or "", onward["RowKey"])
        return RowPage(tuple(rows or ()), pack_cursor(table, where, position))

    async def transact(
        self, table: str, partition: str, operations: Sequence[Operation]
    ) -> tuple[str, ...]:
        contents = check_transaction(table, partition, operations)
        try:
            return await self._submit(table, partition, operations, contents)
        except TableMissing:
            await self._create(table)
        try:
            return await self._submit(table, partition, operations, contents)
        except TableMissing as error:
            raise StoreUnavailable("The table can't be made.") from error

    async def _submit(
        self, table: str, partition: str, operations: Sequence[Operation], contents: Sequence[str]
    ) -> tuple[str, ...]:
        """One attempt at a validated transaction. Raises as `transact`, and TableMissing."""
        seconds = self._connect_seconds + self._read_seconds
        transactions = self._open().transactions
        return await transactions.submit(table, partition, operations, contents, seconds)

    async def _create(self, table: str) -> None:
        from azure.core.exceptions import ResourceExistsError

        try:
            async with self._deadline():
                await self._client(table).create_table(retry_total=0)
        except ResourceExistsError:
            return
        except Exception as error:
            raise StoreUnavailable("The table can't be made.") from error

    async def _next_page(
        self, pages: "AsyncIterator[AsyncIterator[TableEntity]]"
    ) -> list[Row] | None:
        try:
            async with self._deadline():
                rows: list[Row] = []
                async for entity in await anext(pages):
                    rows.append(to_row(entity))
                    if len(rows) % limits.TABLE_SLICE_ROWS == 0:
                        await asyncio.sleep(0)  # a page of thousands takes tens of milliseconds
                return rows
        except StopAsyncIteration:
            return None

    def _deadline(self) -> asyncio.Timeout:
        """A bound for the whole call: the transport's own bounds begin again with every byte, and
        don't count the wait for a free connection."""
        return asyncio.timeout(self._connect_seconds + self._read_seconds)

    def _client(self, table: str) -> "TableClient":
        return self._open().client(table)

    def _open(self) -> "_Connections":
        if self._opened is None:
            import aiohttp
            from azure.core.pipeline.transport import AioHttpTransport
            from azure.data.tables.aio import TableServiceClient

            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=limits.TABLE_CONNECTIONS_MAX, keepalive_timeout=_KEEP_ALIVE_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
            transport = AioHttpTransport(
                session=session,
                connection_timeout=self._connect_seconds,
                read_timeout=self._read_seconds,
            )
            options = {
                "transport": transport,
                "retry_total": limits.TABLE_READ_RETRIES_MAX,
                "retry_backoff_factor": _RETRY_SECONDS,
            }
            credential = None
            if self._connection_string:
                service = TableServiceClient.from_connection_string(
                    self._connection_string, **options
                )
            else:
                credential = azure_credential(self._client_id)
                service = TableServiceClient(self._endpoint, credential=credential, **options)
            self._opened = _Connections(service, transport, credential)
        return self._opened


class _Connections:
    """The parts that live as long as the connections do."""

    def __init__(
        self,
        service: "TableServiceClient",
        transport: "AioHttpTransport",
        credential: "ManagedIdentityCredential | ChainedTokenCredential | None",
    ) -> None:
        self.service = service
        self.credential = credential
        self.transactions = BatchTransactions(service, transport)
        self._clients: dict[str, TableClient] = {}

    def client(self, table: str) -> "TableClient":
        """The one client of this table."""
        client = self._clients.get(table)
        if client is None:
            client = self._clients[table] = self.service.get_table_client(table)
        return client


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _equalities(where: Mapping[str, str] | None) -> list[str]:
    for name in where or ():
        check_property(name)
    return [f"{name} eq {_literal(value)}" for name, value in (where or {}).items()]


def _is_missing(error: Exception) -> bool:
    from azure.core.exceptions import ResourceNotFoundError

    return isinstance(error, ResourceNotFoundError) and error_code(error) in _MISSING_CODES


def _unread(error: Exception) -> Exception:
    """The error of a failed read; an error of the product is unchanged."""
    if isinstance(error, PerminuteError):
        return error
    return StoreUnavailable(f"Table storage can't be read: {type(error).__name__}.")

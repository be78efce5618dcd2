"""One contract for all table stores: the memory twin, and the adapter against the emulator."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest

from shared.adapters.tables.azure_tables import AzureTables
from shared.adapters.tables.packing import joined, split
from shared.domain.common import limits
from shared.domain.common.errors import (
    EtagMismatch,
    Invalid,
    PerminuteError,
    RequestTooLarge,
    RowExists,
    RowMissing,
)
from shared.ports.tables import Delete, Insert, Operation, Replace, Row, TableStore, Upsert, Value
from tests.support.memory_tables import MemoryTables
from tests.support.sdk_tables import SdkTables

type Opener = Callable[[], AbstractAsyncContextManager[TableStore]]


@asynccontextmanager
async def open_memory() -> AsyncIterator[TableStore]:
    yield MemoryTables()


@asynccontextmanager
async def open_azurite(
    adapter: type[AzureTables], connection_string: str
) -> AsyncIterator[TableStore]:
    store = adapter(connection_string=connection_string)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(
    params=[
        "memory",
        "azurite",
        pytest.param("azurite through the SDK", marks=pytest.mark.extended),
    ]
)
def opened(request: pytest.FixtureRequest) -> Opener:
    """Opens the store of this run of the suite, inside the test's event loop."""
    if request.param == "memory":
        return open_memory
    azurite = request.getfixturevalue("azurite")
    adapter = AzureTables if request.param == "azurite" else SdkTables
    return partial(open_azurite, adapter, azurite.connection_string)


@pytest.fixture
def table() -> str:
    """A table name that no one else has."""
    return f"t{uuid.uuid4().hex}"


async def keys(store: TableStore, table: str, partition: str = "p") -> list[str]:
    return [row.key for row in await store.query(table, partition)]


async def stored(store: TableStore, table: str, key: str) -> Row:
    row = await store.get(table, "p", key)
    assert row is not None
    return row


# Reads of what is not there


async def test_a_missing_table_reads_as_empty(opened: Opener, table: str) -> None:
    async with opened() as store:
        assert await store.get(table, "p", "k") is None
        assert await store.query(table, "p") == []
        page = await store.scan(table, limit=10)
        assert (page.rows, page.cursor) == ((), None)


async def test_a_missing_row_is_none(opened: Opener, table: str) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {})])
        assert await store.get(table, "p", "other") is None
        assert await store.get(table, "other", "k") is None


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\nb", "k" * 513])
async def test_a_key_that_nothing_can_have_reads_as_missing(
    opened: Opener, table: str, key: str
) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {})])
        assert await store.get(table, "p", key) is None
        assert await store.get(table, key, "k") is None
        assert await store.query(table, key) == []


# Values


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "nul \x00, controls \x01\x1f\x7f, quotes ' \" and \\ and \r\n",
        "é 中 😀 \U0010ffff \ufffe",
        0,
        -1,
        2**31,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        True,
        False,
        b"",
        bytes(range(256)),
        datetime(2026, 3, 29, 0, 59, 59, 999_999, UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
    ids=repr,
)
async def test_a_value_comes_back_as_it_was_written(
    opened: Opener, table: str, value: Value
) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {"value": value})])
        row = await stored(store, table, "k")
        assert dict(row.values) == {"value": value}
        assert type(row.values["value"]) is type(value)
        assert await store.query(table, "p") == [row]


async def test_a_time_comes_back_in_utc(opened: Opener, table: str) -> None:
    moment = datetime(2026, 7, 1, 12, 0, 0, 1, timezone(timedelta(hours=2)))
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {"at": moment})])
        at = (await stored(store, table, "k")).values["at"]
        assert isinstance(at, datetime)
        assert at == moment
        assert at.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (2**63, ValueError),
        (-(2**63) - 1, ValueError),
        (datetime(2026, 1, 1), ValueError),  # noqa: DTZ001 (that is the point)
        (datetime(1600, 12, 31, tzinfo=UTC), ValueError),
        ("\ud800", ValueError),
        (1.5, TypeError),
        (None, TypeError),
    ],
    ids=repr,
)
async def test_a_value_that_no_property_can_hold_is_a_mistake(
    opened: Opener, table: str, value: Value, error: type[Exception]
) -> None:
    async with opened() as store:
        with pytest.raises(error):
            await store.transact(table, "p", [Insert("k", {"value": value})])
        assert await keys(store, table) == []


# Single operations


async def test_an_insert_needs_the_row_to_be_absent(opened: Opener, table: str) -> None:
    async with opened() as store:
        (etag,) = await store.transact(table, "p", [Insert("k", {"n": 1})])
        with pytest.raises(RowExists) as caught:
            await store.transact(table, "p", [Insert("k", {"n": 2})])
        assert caught.value.index == 0
        row = await stored(store, table, "k")
        assert (row.values, row.etag) == ({"n": 1}, etag)


async def test_a_replace_needs_the_current_etag(opened: Opener, table: str) -> None:
    async with opened() as store:
        (old,) = await store.transact(table, "p", [Insert("k", {"n": 1, "gone": "x"})])
        (new,) = await store.transact(table, "p", [Replace("k", {"n": 2}, old)])
        assert new != old
        with pytest.raises(EtagMismatch) as caught:
            await store.transact(table, "p", [Replace("k", {"n": 3}, old)])
        assert caught.value.index == 0
        row = await stored(store, table, "k")
        assert (row.values, row.etag) == ({"n": 2}, new)


@pytest.mark.parametrize("etag", ["", "*", "x", 'W/"x', 'W/"a"\r\nIf-Match: *', "W/*", '"a"'])
async def test_what_is_no_etag_matches_no_version(opened: Opener, table: str, etag: str) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {"n": 1})])
        before = await store.query(table, "p")
        refused: list[Operation] = [Replace("k", {"n": 2}, etag), Delete("k", etag)]
        for operation in refused:
            with pytest.raises(EtagMismatch) as caught:
                await store.transact(table, "p", [Insert("other", {}), operation])
            assert caught.value.index == 1
        assert await store.query(table, "p") == before


async def test_a_replace_of_a_missing_row_is_refused(opened: Opener, table: str) -> None:
    async with opened() as store:
        (etag,) = await store.transact(table, "p", [Insert("k", {})])
        with pytest.raises(RowMissing):
            await store.transact(table, "p", [Replace("other", {}, etag)])
        assert await keys(store, table) == ["k"]


async def test_an_upsert_writes_all_of_a_row_in_any_case(opened: Opener, table: str) -> None:
    async with opened() as store:
        (first,) = await store.transact(table, "p", [Upsert("k", {"a": 1, "b": 1})])
        (second,) = await store.transact(table, "p", [Upsert("k", {"b": 2})])
        assert first != second
        row = await stored(store, table, "k")
        assert (row.values, row.etag) == ({"b": 2}, second)


async def test_a_delete_without_etag_removes_any_version(opened: Opener, table: str) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("k", {})])
        assert await store.transact(table, "p", [Delete("k")]) == ("",)
        assert await store.get(table, "p", "k") is None
        with pytest.raises(RowMissing):
            await store.transact(table, "p", [Delete("k")])


async def test_a_delete_with_etag_removes_that_version_only(opened: Opener, table: str) -> None:
    async with opened() as store:
        (old,) = await store.transact(table, "p", [Insert("k", {})])
        (new,) = await store.transact(table, "p", [Upsert("k", {})])
        with pytest.raises(EtagMismatch):
            await store.transact(table, "p", [Delete("k", old)])
        await store.transact(table, "p", [Delete("k", new)])
        with pytest.raises(RowMissing):
            await store.transact(table, "p", [Delete("k", new)])


async def test_a_row_can_be_inserted_again_after_its_deletion(opened: Opener, table: str) -> None:
    async with opened() as store:
        (first,) = await store.transact(table, "p", [Insert("k", {"n": 1})])
        await store.transact(table, "p", [Delete("k")])
        (second,) = await store.transact(table, "p", [Insert("k", {"n": 2})])
        assert first != second
        with pytest.raises(EtagMismatch):
            await store.transact(table, "p", [Replace("k", {"n": 3}, first)])


# Transactions


async def test_the_etags_of_a_transaction_are_those_that_are_stored(
    opened: Opener, table: str
) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert("old", {}), Insert("gone", {})])
        operations: list[Operation] = [
            Insert("a", {}),
            Upsert("old", {"n": 1}),
            Delete("gone"),
            Upsert("b", {}),
        ]
        etags = await store.transact(table, "p", operations)
        assert etags[2] == ""
        for key, etag in [("a", etags[0]), ("old", etags[1]), ("b", etags[3])]:
            assert (await stored(store, table, key)).etag == etag
        await store.transact(table, "p", [Replace("a", {}, etags[0]), Replace("b", {}, etags[3])])


@pytest.mark.parametrize("at", [0, 1, 4])
@pytest.mark.parametrize("kind", ["exists", "stale", "missing", "missing delete"])
async def test_one_refused_operation_rolls_everything_back_and_is_named(
    opened: Opener, table: str, at: int, kind: str
) -> None:
    async with opened() as store:
        (stale,) = await store.transact(table, "p", [Insert("bad", {})])
        state, _, _ = await store.transact(
            table, "p", [Insert("state", {"n": 1}), Insert("hold", {}), Upsert("bad", {})]
        )
        before = await store.query(table, "p")
        refused: dict[str, tuple[Operation, type[PerminuteError]]] = {
            "exists": (Insert("bad", {}), RowExists),
            "stale": (Replace("bad", {}, stale), EtagMismatch),
            "missing": (Replace("nowhere", {}, stale), RowMissing),
            "missing delete": (Delete("nowhere"), RowMissing),
        }
        operation, error = refused[kind]
        operations: list[Operation] = [
            Replace("state", {"n": 2}, state),
            Delete("hold"),
            Insert("new", {}),
            Upsert("other", {}),
        ]
        operations.insert(at, operation)

        with pytest.raises(error) as caught:
            await store.transact(table, "p", operations)

        assert caught.value.index == at  # type: ignore[attr-defined]
        assert await store.query(table, "p") == before


async def test_a_transaction_of_100_rows_is_one_transaction(opened: Opener, table: str) -> None:
    async with opened() as store:
        rows = [Insert(f"{n:020}", {"n": n}) for n in range(100)]
        assert len(await store.transact(table, "p", rows)) == 100
        found = await store.query(table, "p")
        assert [row.values["n"] for row in found] == list(range(100))


async def test_only_one_of_many_writers_with_the_same_etag_wins(opened: Opener, table: str) -> None:
    """Eight writers do ten compare-and-swap increments each; none is lost."""
    async with opened() as store:
        await store.transact(table, "p", [Insert("state", {"n": 0})])
        refusals = 0

        async def increment(writer: int) -> None:
            nonlocal refusals
            done = 0
            while done < 10:
                row = await stored(store, table, "state")
                number = row.values["n"]
                assert isinstance(number, int)
                guard = Insert(f"guard|{writer}|{done}", {})
                try:
                    await store.transact(
                        table, "p", [Replace("state", {"n": number + 1}, row.etag), guard]
                    )
                except EtagMismatch:
                    refusals += 1
                else:
                    done += 1

        await asyncio.gather(*(increment(writer) for writer in range(8)))
        assert (await stored(store, table, "state")).values["n"] == 80
        assert len(await keys(store, table)) == 81
        assert refusals > 0


async def test_the_first_writers_of_a_table_all_succeed(opened: Opener, table: str) -> None:
    """A missing table is made, and another process may make it first."""
    async with opened() as store:
        await asyncio.gather(*(store.transact(table, f"p{n}", [Insert("k", {})]) for n in range(8)))
        assert len((await store.scan(table, limit=100)).rows) == 8


async def test_a_refused_first_write_of_a_table_is_refused_by_its_own_reason(
    opened: Opener, table: str
) -> None:
    async with opened() as store:
        with pytest.raises(RowMissing):
            await store.transact(table, "p", [Insert("a", {}), Delete("b")])
        assert await keys(store, table) == []


# What is refused before it is sent


def rows(count: int) -> list[Operation]:
    return [Insert(f"{n}", {}) for n in range(count)]


@pytest.mark.parametrize(
    "operations",
    [
        rows(101),
        [Insert("k", {f"p{n}": 1 for n in range(253)})],
        [Insert("k", {"text": "x" * 32_769})],
        [Insert("k", {"text": "😀" * 16_385})],
        [Insert("k", {"data": bytes(64 * 1024 + 1)})],
        [Insert("k", {f"p{n}": bytes(60 * 1024) for n in range(18)})],
        [Insert(f"{n}", {"data": bytes(60 * 1024)}) for n in range(40)],
        [Insert("k" * 513, {})],
        [Insert("😀" * 257, {})],
    ],
    ids=[
        "101 operations",
        "253 properties",
        "32,769 characters",
        "32,770 UTF-16 units",
        "64 KiB and a byte",
        "an entity over 1 MiB",
        "a body over 3 MiB",
        "a key of 513 characters",
        "a key of 514 UTF-16 units",
    ],
)
async def test_over_a_limit_is_refused_before_sending(
    opened: Opener, table: str, operations: list[Operation]
) -> None:
    async with opened() as store:
        with pytest.raises(RequestTooLarge):
            await store.transact(table, "p", operations)
        assert await keys(store, table) == []


@pytest.mark.parametrize(
    "operations",
    [
        [Insert("k", {f"p{n}": n for n in range(252)})],
        [Insert("k", {"text": "x" * 32_768})],
        [Insert("k", {"text": "😀" * 16_384})],
        [Insert("k", {"data": bytes(64 * 1024)})],
        [Insert("k", {f"p{n}": bytes(60 * 1024) for n in range(17)})],
        [Insert(f"{n}", {"data": bytes(60 * 1024)}) for n in range(37)],
        [Insert("k" * 512, {})],
        [Insert("é" * 512, {})],
    ],
    ids=[
        "252 properties",
        "32,768 characters",
        "32,768 UTF-16 units",
        "64 KiB",
        "an entity just under 1 MiB",
        "a body just under 3 MiB",
        "a key of 512 characters",
        "a key of 1,024 bytes",
    ],
)
async def test_at_a_limit_is_written(opened: Opener, table: str, operations: list[Insert]) -> None:
    async with opened() as store:
        await store.transact(table, "p", operations)
        found = await store.query(table, "p")
        assert {row.key: dict(row.values) for row in found} == {
            operation.key: dict(operation.values) for operation in operations
        }


async def test_the_largest_chunk_of_a_rate_card_may_be_written_again(
    opened: Opener, table: str
) -> None:
    """The emulator weighs a row that it may replace as base64, not as the bytes that are stored."""
    chunk = split("data", bytes(limits.RATE_CARD_CHUNK_BYTES_MAX))
    async with opened() as store:
        for _ in range(2):
            await store.transact(table, "p", [Upsert("0000", {"schema": 1, **chunk})])
        found = await stored(store, table, "0000")
        assert len(joined("data", found.values)) == limits.RATE_CARD_CHUNK_BYTES_MAX


@pytest.mark.parametrize("character", ["/", "\\", "#", "?", "\x00", "\t", "\x1f", "\x7f", "\x9f"])
async def test_a_key_with_a_forbidden_character_is_a_mistake(
    opened: Opener, table: str, character: str
) -> None:
    async with opened() as store:
        with pytest.raises(ValueError, match="No row can have the key"):
            await store.transact(table, "p", [Insert(f"a{character}b", {})])
        with pytest.raises(ValueError, match="No row can have the key"):
            await store.transact(table, f"a{character}b", [Insert("k", {})])


async def test_a_row_twice_in_a_transaction_is_a_mistake(opened: Opener, table: str) -> None:
    async with opened() as store:
        with pytest.raises(ValueError, match="once"):
            await store.transact(table, "p", [Insert("k", {}), Delete("k")])


async def test_a_transaction_of_nothing_is_a_mistake(opened: Opener, table: str) -> None:
    async with opened() as store:
        with pytest.raises(ValueError, match="at least one"):
            await store.transact(table, "p", [])


@pytest.mark.parametrize("name", ["PartitionKey", "RowKey", "Timestamp", "odata.type", "a b", ""])
async def test_a_property_with_a_reserved_or_bad_name_is_a_mistake(
    opened: Opener, table: str, name: str
) -> None:
    async with opened() as store:
        with pytest.raises(ValueError, match="No property"):
            await store.transact(table, "p", [Insert("k", {name: 1})])
        with pytest.raises(ValueError, match="No property"):
            await store.query(table, "p", where={name: "x"})
        with pytest.raises(ValueError, match="No property"):
            await store.scan(table, where={name: "x"}, limit=1)


# Keys


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "%",
        "%2F",
        "a+b",
        "a|b",
        "a'b''c",
        "a:b@c&d=e",
        "ß ü 中",
        "😀",
        "a,b)",
        "..",
        "$batch",
    ],
)
async def test_a_key_may_have_any_other_character(opened: Opener, table: str, key: str) -> None:
    async with opened() as store:
        (etag,) = await store.transact(table, key, [Insert(key, {"n": 1})])
        (etag,) = await store.transact(table, key, [Replace(key, {"n": 2}, etag)])
        expected = Row(key, key, {"n": 2}, etag)
        assert await store.get(table, key, key) == expected
        assert await store.query(table, key, first=key, before=key + "a") == [expected]
        assert (await store.scan(table, limit=5)).rows == (expected,)
        await store.transact(table, key, [Delete(key, etag)])


async def test_keys_are_neither_folded_nor_normalised(opened: Opener, table: str) -> None:
    names = ["e\u0301", "\u00e9", "A", "a", "a ", "0", "00"]
    async with opened() as store:
        await store.transact(table, "p", [Insert(name, {"name": name}) for name in names])
        for name in names:
            assert (await stored(store, table, name)).values["name"] == name


async def test_rows_come_in_the_order_of_their_code_points(opened: Opener, table: str) -> None:
    names = ["0", "10", "9", "Z", "_", "a", "a|", "a|0", "a}", "b", "|", "é", "中"]
    async with opened() as store:
        await store.transact(table, "p", [Insert(name, {}) for name in reversed(names)])
        assert await keys(store, table) == sorted(names)


# Queries


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, ["a", "leg|1", "leg|2", "leg|3", "z"]),
        ({"first": "leg|2"}, ["leg|2", "leg|3", "z"]),
        ({"after": "leg|2"}, ["leg|3", "z"]),
        ({"after": ""}, ["a", "leg|1", "leg|2", "leg|3", "z"]),
        ({"before": "leg|2"}, ["a", "leg|1"]),
        ({"first": "leg|", "before": "leg}"}, ["leg|1", "leg|2", "leg|3"]),
        ({"first": "leg|", "after": "leg|1", "before": "leg|3"}, ["leg|2"]),
        ({"first": "leg|2", "after": "a"}, ["leg|2", "leg|3", "z"]),
        ({"first": "z", "before": "a"}, []),
        ({"limit": 2}, ["a", "leg|1"]),
        ({"limit": 0}, []),
        ({"first": "leg|", "limit": 1}, ["leg|1"]),
    ],
    ids=str,
)
async def test_a_query_reads_a_range_of_one_partition(
    opened: Opener, table: str, bounds: dict[str, str], expected: list[str]
) -> None:
    async with opened() as store:
        names = ["z", "leg|3", "leg|1", "a", "leg|2"]
        await store.transact(table, "p", [Insert(name, {}) for name in names])
        await store.transact(table, "q", [Insert("leg|4", {})])
        found = await store.query(table, "p", **bounds)  # type: ignore[arg-type]
        assert [row.key for row in found] == expected


async def test_a_query_filters_by_text_properties(opened: Opener, table: str) -> None:
    async with opened() as store:
        await store.transact(
            table,
            "p",
            [
                Insert("1", {"kind": "o'neil & co", "day": "1"}),
                Insert("2", {"kind": "o'neil & co", "day": "2"}),
                Insert("3", {"kind": "O'NEIL & CO", "day": "1"}),
                Insert("4", {"day": "1"}),
                Insert("5", {"kind": "", "day": "1"}),
            ],
        )

        async def found(**where: str) -> list[str]:
            return [row.key for row in await store.query(table, "p", where=where)]

        assert await found(kind="o'neil & co") == ["1", "2"]
        assert await found(kind="o'neil & co", day="2") == ["2"]
        assert await found(kind="") == ["5"]
        assert await found(nothing="x") == []
        page = await store.scan(table, where={"day": "1"}, limit=10)
        assert [row.key for row in page.rows] == ["1", "3", "4", "5"]


async def test_a_selection_gives_the_named_properties_and_the_version(
    opened: Opener, table: str
) -> None:
    async with opened() as store:
        (etag,) = await store.transact(table, "p", [Insert("k", {"a": 1, "b": "x", "c": b"y"})])
        found = await store.query(table, "p", select=["a", "c", "missing"])
        assert found == [Row("p", "k", {"a": 1, "c": b"y"}, etag)]


async def test_a_query_reads_all_pages(opened: Opener, table: str) -> None:
    async with opened() as store:
        for hundred in range(11):
            await store.transact(
                table, "p", [Insert(f"{hundred * 100 + n:020}", {}) for n in range(100)]
            )
        everything = [f"{n:020}" for n in range(1_100)]
        assert await keys(store, table) == everything
        limited = await store.query(table, "p", limit=1_050)
        assert [row.key for row in limited] == everything[:1_050]


# Scans


async def scanned(
    store: TableStore, table: str, limit: int, where: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    cursor: str | None = None
    for _ in range(1_000):
        page = await store.scan(table, where=where, limit=limit, cursor=cursor)
        assert len(page.rows) <= limit
        found += [(row.partition, row.key) for row in page.rows]
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("The scan does not end.")


@pytest.mark.parametrize("limit", [1, 3, 7, 100, 5_000])
async def test_a_scan_visits_every_row_once_in_order(
    opened: Opener, table: str, limit: int
) -> None:
    async with opened() as store:
        for partition in ["b", "a", "a'é 1", ""]:
            await store.transact(table, partition, [Insert(key, {"n": "1"}) for key in "zya"])
        await store.transact(table, "b", [Insert("other", {"n": "2"})])
        everything = [(p, k) for p in ["", "a", "a'é 1", "b"] for k in "ayz"]
        with_other = sorted([*everything, ("b", "other")])
        assert await scanned(store, table, limit) == with_other
        assert await scanned(store, table, limit, {"n": "1"}) == everything
        assert await scanned(store, table, limit, {"n": "2"}) == [("b", "other")]
        assert await scanned(store, table, limit, {"n": "3"}) == []


async def test_a_scan_goes_on_behind_rows_that_were_deleted(opened: Opener, table: str) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert(key, {}) for key in "abcd"])
        page = await store.scan(table, limit=2)
        await store.transact(table, "p", [Delete(row.key) for row in page.rows])
        await store.transact(table, "p", [Delete("c")])
        onward = await store.scan(table, limit=2, cursor=page.cursor)
        assert [row.key for row in onward.rows] == ["d"]


async def test_a_cursor_is_good_for_its_own_list_only(opened: Opener, table: str) -> None:
    async with opened() as store:
        await store.transact(table, "p", [Insert(key, {"n": "1"}) for key in "abc"])
        cursor = (await store.scan(table, limit=1)).cursor
        assert cursor is not None
        for wrong in ["", "x", "é", "bnVsbA", cursor[:-2], cursor + "AAAA", "A" * 10_000]:
            with pytest.raises(Invalid):
                await store.scan(table, limit=1, cursor=wrong)
        with pytest.raises(Invalid):
            await store.scan(table, limit=1, where={"n": "1"}, cursor=cursor)
        with pytest.raises(Invalid):
            await store.scan(f"{table}x", limit=1, cursor=cursor)

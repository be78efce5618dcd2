"""Closed days in columns: `index|{last commit}`, a row for a thousand entries and more.

As segments do, the rows add a way to read: the journal stays, and rows that are gone are made
again. A list of a month of 100,000 legs reads tens of rows, which have a tenth of the bytes of the
segments. The organizers are apart, so that they can be erased, and so are fingerprints of the
numbers: 16 bits each, so that a search by number reads the guards of few other legs.
"""

import json
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from shared.adapters.ledger import rows, segments
from shared.adapters.tables.packing import fails_closed, inflated, joined, split
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json
from shared.domain.common.errors import RowExists
from shared.domain.ledger.entry_columns import ColumnCommit, EntryColumns, LegGroup
from shared.domain.usage.build_columns import ColumnsBuilder, first_legs, number_columns
from shared.pacing import yield_to_others
from shared.ports.ledger import Commit
from shared.ports.tables import Insert, Row, TableStore, Value

SCHEMA = 1
PREFIX = "index|"
_PLAIN = (
    *("names", "rooms", "kinds", "amounts", "groups_of", "rooms_of", "delays", "called"),
    *("targets", "seconds", "pool_seconds", "legs"),
)

type ReadPersons = Callable[[str, Sequence[str]], Awaitable[Mapping[str, Mapping[str, object]]]]


def index_key(last_commit: int) -> str:
    """Row key of the columns that end with a commit."""
    return f"{PREFIX}{last_commit:020d}"


async def index_until(
    tables: TableStore, account: str, before: datetime, read_persons: ReadPersons
) -> None:
    """Put the packed commits made before a time into columns, but for those of fewer than a
    thousand entries at the end."""
    rows_before = await tables.query(
        rows.TABLE, account, first=PREFIX, before="index}", select=["schema"]
    )
    read = int(rows_before[-1].key.removeprefix(PREFIX)) if rows_before else 0
    waiting = [ColumnsBuilder(EntryColumns(read))]
    while commits := await segments.history(tables, account, after=read):
        for commit in commits:
            await yield_to_others()
            if commit.at >= before:
                break
            if len(waiting[-1].columns.kinds) + len(commit.entries) > limits.INDEX_ENTRIES_MAX:
                if len(waiting) == limits.INDEX_ROWS_AT_ONCE:
                    await _write(tables, account, waiting, read_persons)
                    waiting = []
                waiting.append(ColumnsBuilder(EntryColumns(commit.number - 1)))
            waiting[-1].add(
                commit.number, commit.at, commit.balance_micros, commit.first, commit.entries
            )
        read = commits[-1].number
        if commits[-1].at >= before:
            break
    if len(waiting[-1].columns.kinds) < limits.INDEX_ENTRIES_MIN:
        waiting.pop()
    if waiting:
        await _write(tables, account, waiting, read_persons)


async def columns_after(
    tables: TableStore, account: str, after: int
) -> AsyncGenerator[EntryColumns]:
    """The entries after a commit in columns: those of rows, and then those of the journal."""
    first = index_key(after + 1)
    while page := await tables.query(
        rows.TABLE, account, first=first, before="index}", limit=limits.INDEX_PAGE_ROWS
    ):
        for row in page:
            await yield_to_others()
            columns = read_columns(row)
            if columns.after > after:
                page = []  # a row is gone: the journal has its commits
                break
            yield columns
            after = columns.last
        if len(page) < limits.INDEX_PAGE_ROWS:
            break
        first = index_key(after + 1)
    while commits := await segments.history(tables, account, after=after):
        columns = await columns_of(after, commits)
        yield columns
        after = columns.last


async def columns_of(after: int, commits: Sequence[Commit]) -> EntryColumns:
    """Commits in columns, without their numbers."""
    builder = ColumnsBuilder(EntryColumns(after))
    for commit in commits:
        await yield_to_others()
        builder.add(commit.number, commit.at, commit.balance_micros, commit.first, commit.entries)
    return builder.columns


async def _write(
    tables: TableStore, account: str, builders: Sequence[ColumnsBuilder], read_persons: ReadPersons
) -> None:
    """Write the rows of columns, whose persons are read together."""
    legs = [leg for each in builders for leg in first_legs(each.columns)]
    persons = await read_persons(account, legs)
    for each in builders:
        await _write_row(tables, account, each.columns, persons)


async def _write_row(
    tables: TableStore,
    account: str,
    columns: EntryColumns,
    persons: Mapping[str, Mapping[str, object]],
) -> None:
    """Write a row, or two rows where the columns are larger than an entity."""
    numbers = number_columns(account, columns, persons)
    values = row_values(replace(columns, numbers=numbers))
    size = sum(len(part) for part in values.values() if isinstance(part, bytes))
    if size > limits.SEGMENT_BYTES_MAX and len(columns.commits) > 1:
        middle = columns.commits[len(columns.commits) // 2].number
        for after, last in ((columns.after, middle - 1), (middle - 1, columns.last)):
            half = await columns_of(after, await _commits(tables, account, after, last))
            await _write_row(tables, account, half, persons)
        return
    try:
        await tables.transact(rows.TABLE, account, [Insert(index_key(columns.last), values)])
    except RowExists:
        return  # another night's run was faster: it read the same commits


async def _commits(tables: TableStore, account: str, after: int, last: int) -> list[Commit]:
    """The commits after a number, up to another one."""
    commits: list[Commit] = []
    while after < last and (page := await segments.history(tables, account, after=after)):
        commits += [commit for commit in page if commit.number <= last]
        after = page[-1].number
    return commits


def row_values(columns: EntryColumns) -> dict[str, Value]:
    """The properties of a row."""
    texts: dict[str, int] = {}
    groups = [
        [texts.setdefault(text, len(texts)) for text in (*group[:-1], *group.flags)]
        for group in columns.groups
    ]
    document = {
        **{name: getattr(columns, name) for name in _PLAIN},
        "commits": [list(column) for column in zip(*columns.commits, strict=True)],
        "texts": list(texts),
        "groups": groups,
        "replaced": {str(place): list(before) for place, before in columns.replaced.items()},
    }
    return {
        "schema": SCHEMA,
        "after": columns.after,
        **split("data", zlib.compress(canonical_json(document), 6)),
        **rows.organizers_values(columns.organizers),
        **numbers_values(columns.numbers),
    }


def numbers_values(numbers: Sequence[int]) -> dict[str, Value]:
    """The property with the fingerprints of numbers."""
    return split("numbers", zlib.compress(canonical_json(list(numbers)), 6))


def read_numbers(row: Row) -> list[int]:
    """The fingerprints of numbers in a row."""
    return cast("list[int]", json.loads(inflated(joined("numbers", row.values))))


@fails_closed(SCHEMA)
def read_columns(row: Row) -> EntryColumns:
    """The columns in a row."""
    data = cast("dict[str, Any]", json.loads(inflated(joined("data", row.values))))
    texts, plain = data["texts"], len(LegGroup._fields) - 1
    organizers = rows.read_organizers(row)
    columns = EntryColumns(
        after=int(cast("int", row.values["after"])),
        commits=[ColumnCommit(*commit) for commit in zip(*data["commits"], strict=True)],
        groups=[
            LegGroup._make(
                (*[texts[at] for at in group[:plain]], tuple([texts[at] for at in group[plain:]]))
            )
            for group in data["groups"]
        ],
        organizers=organizers or [None] * len(data["kinds"]),
        numbers=read_numbers(row),
        replaced={int(place): tuple(before) for place, before in data["replaced"].items()},
        **{name: data[name] for name in _PLAIN},
    )
    entries = sum(commit.entries for commit in columns.commits)
    lists = [getattr(columns, name) for name in (*_PLAIN[2:], "organizers", "numbers")]
    if any(len(each) != entries for each in lists):
        raise ValueError("its columns differ in length")
    if (columns.commits[0].number, columns.last) != (columns.after + 1, _last(row)):
        raise ValueError("its commits begin or end with another one")
    return columns


def _last(row: Row) -> int:
    return int(row.key.removeprefix(PREFIX))

"""Packed journal rows of closed days, in few large rows.

`segment|{last commit}` holds commits in order, deflated, under the size of an entity. It adds a way
to read, and takes none away: the journal rows stay, and only they are hashed. So a statement of
100,000 legs reads tens of rows, and a damaged segment can be made again.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from shared.adapters.ledger import rows
from shared.adapters.ledger.entry_codec import entry_document, read_entry
from shared.adapters.tables.packing import inflated, joined, split
from shared.adapters.tables.schema import check_schema
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json, format_time, parse_time
from shared.domain.common.errors import RowExists
from shared.domain.ledger.model import Entry
from shared.pacing import yield_to_others
from shared.ports.ledger import Commit
from shared.ports.tables import Insert, Row, TableStore

SCHEMA = 3  # before, segments named no organizers
_PREFIX = "segment|"


def segment_key(last_commit: int) -> str:
    """Row key of the segment that ends with a commit."""
    return f"{_PREFIX}{last_commit:020d}"


async def history(tables: TableStore, account: str, *, after: int) -> list[Commit]:
    """The next commits after a number: the rest of a segment, or a page of journal rows.

    Empty when there are none.
    """
    rows_page = await tables.query(
        rows.TABLE, account, first=segment_key(after + 1), before="segment}", limit=1
    )
    if rows_page:
        commits = []
        for commit in commits_in(rows_page[0], after):
            await yield_to_others()
            if commit.number > after:
                commits.append(commit)
        if commits and commits[0].number == after + 1:
            return commits
    page = await tables.query(
        rows.TABLE,
        account,
        after=rows.journal_key(after),
        before="journal}",
        limit=limits.JOURNAL_PAGE_ROWS,
    )
    commits = []
    for row in page:
        await yield_to_others()
        commits.append(rows.read_commit(row))
    return commits


async def pack_until(tables: TableStore, account: str, before: datetime) -> int:
    """Pack the commits made before a time that are in no segment yet; the number of segments."""
    after = await _last_packed(tables, account)
    written = 0
    waiting: list[Commit] = []
    size = 0
    while page := await tables.query(
        rows.TABLE,
        account,
        after=rows.journal_key(after),
        before="journal}",
        limit=limits.TABLE_PAGE_ROWS_MAX,
    ):
        for row in page:
            commit = rows.read_commit(row)
            if commit.at >= before:
                return written + await _write(tables, account, waiting)
            size += sum(len(part) for part in row.values.values() if isinstance(part, bytes))
            if waiting and size > limits.SEGMENT_BYTES_MAX:
                written += await _write(tables, account, waiting)
                waiting, size = [], 0
            waiting.append(commit)
        after = int(page[-1].key.removeprefix("journal|"))
    return written + await _write(tables, account, waiting)


async def _last_packed(tables: TableStore, account: str) -> int:
    """The last commit in a segment. Segments are few; their keys alone are read."""
    page = await tables.query(
        rows.TABLE, account, first=_PREFIX, before="segment}", select=["schema"]
    )
    return int(page[-1].key.removeprefix(_PREFIX)) if page else 0


async def _write(tables: TableStore, account: str, commits: Sequence[Commit]) -> int:
    if not commits:
        return 0
    data = zlib.compress(canonical_json([_document(commit) for commit in commits]), 6)
    if len(data) > limits.SEGMENT_BYTES_MAX and len(commits) > 1:
        half = len(commits) // 2
        return await _write(tables, account, commits[:half]) + await _write(
            tables, account, commits[half:]
        )
    organizers = [[entry.organizer for entry in commit.entries] for commit in commits]
    named = rows.organizers_values(organizers)
    values = {"schema": SCHEMA, **split("data", data), **named}
    try:
        row = Insert(segment_key(commits[-1].number), values)
        await tables.transact(rows.TABLE, account, [row])
    except RowExists:
        return 0  # another night's run was faster: it packed the same commits
    return 1


def _document(commit: Commit) -> dict[str, object]:
    return {
        "number": commit.number,
        "at": format_time(commit.at),
        "balance": commit.balance_micros,
        "first": commit.first,
        "entries": [entry_document(entry, with_charge=True) for entry in commit.entries],
    }


def commits_in(row: Row, after: int = 0) -> Iterator[Commit]:
    """The commits in a segment, one by one: a whole segment is megabytes of JSON. Settings and
    events are in the journal rows only. Commits up to `after` come without their entries."""
    check_schema(row, SCHEMA)
    text = inflated(joined("data", row.values)).decode()
    decoder = json.JSONDecoder()
    organizers = iter(rows.read_organizers(row))
    at = 1
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        at += 1  # the comma, or the end of the list
        each = cast("dict[str, Any]", document)
        named: list[str | None] = next(organizers, [])
        yield Commit(
            number=each["number"],
            at=parse_time(each["at"]),
            balance_micros=each["balance"],
            first=each["first"],
            entries=tuple(_entries(each["entries"], named)) if each["number"] > after else (),
        )


def _entries(documents: Sequence[dict[str, Any]], organizers: Sequence[str | None]) -> list[Entry]:
    named = organizers or [None] * len(documents)
    return [read_entry(*each) for each in zip(documents, named, strict=True)]

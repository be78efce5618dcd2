"""Documents of the directory: when they may be written, and what survives a lost answer."""

import random
import string

import pytest

from shared.adapters.clock import RandomIds
from shared.adapters.directory.document_store import SEALED_LABEL, DocumentStore
from shared.adapters.encryption import Sealing
from shared.domain.common.errors import (
    EtagMismatch,
    Invalid,
    OutcomeUnknown,
    PreconditionFailed,
    PreconditionMissing,
    StoreUnavailable,
)
from shared.ports.tables import Replace, Upsert
from tests.support.memory_tables import MemoryTables

WRITES_TRIED = 8


@pytest.mark.parametrize(
    ("versions", "if_match", "outcome"),
    [
        (0, None, (True, 1)),
        (0, '"1"', PreconditionFailed),
        (0, "*", PreconditionFailed),
        (1, None, PreconditionMissing),
        (1, '"1"', (False, 2)),
        (1, "1", (False, 2)),
        (1, "*", (False, 2)),
        (1, '"7", "1"', (False, 2)),
        (1, '"2"', PreconditionFailed),
        (1, 'W/"1"', PreconditionFailed),
        (1, "", PreconditionFailed),
        (1, '"11"', PreconditionFailed),
        (3, '"3"', (False, 4)),
        (3, '"1"', PreconditionFailed),
    ],
)
async def test_a_document_is_created_or_replaced_by_its_etag(
    versions: int, if_match: str | None, outcome: tuple[bool, int] | type[Exception]
) -> None:
    records = DocumentStore(MemoryTables())
    for number in range(versions):
        tag = f'"{number}"' if number else None
        await records.put("account", "a", {"number": number}, if_match=tag)

    if isinstance(outcome, tuple):
        saved = await records.put("account", "a", {"new": True}, if_match=if_match)
        found = await records.get("account", "a")
        assert (saved.created, saved.version) == outcome
        assert found is not None
        assert (found.document, found.etag) == ({"new": True}, saved.etag)
    else:
        with pytest.raises(outcome):
            await records.put("account", "a", {"new": True}, if_match=if_match)
        found = await records.get("account", "a")
        assert (found.document if found else None) == (
            {"number": versions - 1} if versions else None
        )


async def test_a_write_whose_answer_was_lost_is_reported_as_it_happened() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    tables.inject(1, OutcomeUnknown("lost"), after=True)

    saved = await records.put("account", "a", {"x": 1}, if_match=None)

    assert (saved.created, saved.version) == (True, 1)


async def test_a_write_that_never_arrived_is_sent_again() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    tables.inject(1, OutcomeUnknown("lost"))

    saved = await records.put("account", "a", {"x": 1}, if_match=None)

    assert (saved.created, saved.version) == (True, 1)


async def test_who_is_overtaken_reads_again() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    await records.put("account", "a", {"x": 1}, if_match=None)
    tables.inject(1, EtagMismatch("overtaken"))

    assert (await records.put("account", "a", {"x": 2}, if_match='"1"')).version == 2


async def test_a_store_that_never_answers_is_unavailable() -> None:
    tables = MemoryTables()
    for nth in range(1, WRITES_TRIED + 1):
        tables.inject(nth, OutcomeUnknown("lost"))

    with pytest.raises(StoreUnavailable):
        await DocumentStore(tables).put("account", "a", {"x": 1}, if_match=None)


async def test_large_documents_are_packed_and_come_out_whole() -> None:
    records = DocumentStore(MemoryTables())
    noise = random.Random(7)
    text = "".join(noise.choices(string.ascii_letters + "é€😀", k=150_000))

    await records.put("dial_out_policy", "a", {"text": text}, if_match=None)
    found = await records.get("dial_out_policy", "a")

    assert found is not None
    assert found.document == {"text": text}


@pytest.mark.parametrize("key", ["a/b", "#?%", "a\\b", "été 😀", "x" * 200, "a|b"])
async def test_foreign_ids_may_hold_what_row_keys_may_not(key: str) -> None:
    records = DocumentStore(MemoryTables())

    await records.put("conference", key, {"k": key}, if_match=None)
    found = await records.get("conference", key)

    assert found is not None
    assert (found.key, found.document) == (key, {"k": key})


@pytest.mark.parametrize("kind", ["account", "conference"])
async def test_a_row_of_a_newer_version_is_not_guessed_at(kind: str) -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    await records.put(kind, "a", {"x": 1}, if_match=None)
    page = await tables.scan("directory", limit=10)
    [row] = page.rows
    newer = Upsert(row.key, {**row.values, "schema": 3})
    await tables.transact("directory", row.partition, [newer])

    with pytest.raises(StoreUnavailable) as caught:
        await records.get(kind, "a")
    assert caught.value.code == "schema_unknown"
    with pytest.raises(StoreUnavailable):
        await records.put(kind, "a", {"x": 2}, if_match='"1"')


async def test_deleting_reports_whether_something_was_there() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    await records.put("api_key", "a", {"x": 1}, if_match=None)
    tables.inject(1, OutcomeUnknown("lost"), after=True)

    assert await records.delete("api_key", "a")
    assert not await records.delete("api_key", "a")
    assert await records.get("api_key", "a") is None


async def test_an_uncertain_deletion_states_it() -> None:
    tables = MemoryTables()
    records = DocumentStore(tables)
    await records.put("api_key", "a", {"x": 1}, if_match=None)
    tables.inject(1, OutcomeUnknown("lost"))

    with pytest.raises(StoreUnavailable):
        await records.delete("api_key", "a")


async def test_pages_hold_every_document_once_in_order() -> None:
    records = DocumentStore(MemoryTables())
    names = [f"a{number:02}" for number in range(11)]
    for name in reversed(names):
        await records.put("account", name, {}, if_match=None)

    found: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page, cursor = await records.list("account", limit=3, cursor=cursor)
        found += [record.key for record in page]

    assert (found, cursor) == (names, None)


@pytest.mark.parametrize("cursor", ["!", "=", "é", "_w"])
async def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as caught:
        await DocumentStore(MemoryTables()).list("account", limit=1, cursor=cursor)
    assert caught.value.code == "cursor_invalid"


SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def _sealing(*keys: bytes) -> Sealing:
    return Sealing(SEALED_LABEL, [key * 32 for key in keys], RandomIds())


@pytest.mark.parametrize(
    ("kind", "is_sealed"),
    [
        ("bridge", True),
        ("webhook|contoso", True),
        ("account", False),
        ("api_key", False),  # holds a hash
    ],
)
async def test_documents_with_secrets_are_sealed(kind: str, is_sealed: bool) -> None:
    """Read and listed as they were written; who reads the table finds no secret."""
    tables = MemoryTables()
    records = DocumentStore(tables, _sealing(b"k"))
    document = {"auth": {"secrets": [SECRET]}}
    await records.put(kind, "studio", document, if_match=None)

    found = await records.get(kind, "studio")
    listed, _ = await records.list(kind, limit=10)
    (row,) = await tables.query("directory", kind)

    assert found is not None
    assert (found.document, [each.document for each in listed]) == (document, [document])
    assert (SECRET in str(row.values)) is not is_sealed
    assert row.values["schema"] == (2 if is_sealed else 1)  # older code refuses what it can't open


async def test_what_was_written_without_a_key_is_read_and_sealed_with_its_next_version() -> None:
    tables = MemoryTables()
    made = await DocumentStore(tables).put("bridge", "studio", {"secret": SECRET}, if_match=None)
    records = DocumentStore(tables, _sealing(b"k"))

    assert (await records.get("bridge", "studio")) is not None
    await records.put("bridge", "studio", {"secret": SECRET, "new": True}, if_match=made.etag)

    (row,) = await tables.query("directory", "bridge")
    assert SECRET not in str(row.values)


async def test_a_new_key_seals_and_the_old_one_opens_until_it_is_taken_away() -> None:
    tables = MemoryTables()
    await DocumentStore(tables, _sealing(b"o")).put("bridge", "old", {"n": 1}, if_match=None)
    both = DocumentStore(tables, _sealing(b"n", b"o"))
    await both.put("bridge", "new", {"n": 2}, if_match=None)
    assert len((await both.list("bridge", limit=10))[0]) == 2

    alone = DocumentStore(tables, _sealing(b"n"))
    assert (await alone.get("bridge", "new")) is not None
    with pytest.raises(StoreUnavailable) as caught:
        await alone.get("bridge", "old")
    assert caught.value.code == "row_unreadable"


@pytest.mark.parametrize("change", ["moved", "bent", "no key"])
async def test_a_sealed_document_that_was_tampered_with_lets_no_one_in(change: str) -> None:
    tables = MemoryTables()
    records = DocumentStore(tables, _sealing(b"k"))
    await records.put("bridge", "mine", {"n": 1}, if_match=None)
    await records.put("bridge", "yours", {"n": 2}, if_match=None)
    mine, yours = await tables.query("directory", "bridge")
    if change == "moved":
        values = {**yours.values, "sealed0": mine.values["sealed0"]}
        await tables.transact("directory", "bridge", [Replace("yours", values, yours.etag)])
    elif change == "bent":
        bent = bytes(yours.values["sealed0"])[:-1] + b"x"  # type: ignore[arg-type]
        values = {**yours.values, "sealed0": bent}
        await tables.transact("directory", "bridge", [Replace("yours", values, yours.etag)])
    else:
        records = DocumentStore(tables)

    with pytest.raises(StoreUnavailable) as caught:
        await records.get("bridge", "yours")
    assert caught.value.code == "row_unreadable"

"""Whatever is done to whichever row of a ledger, `verify` names the row and the field."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unittest.mock import patch

import pytest

from shared.adapters.ledger import rows as ledger_rows
from shared.adapters.tables.packing import pack
from shared.domain.common import limits
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.model import ExpireLot, HoldEffect, ReverseLeg, TopUp
from shared.ports.tables import Delete, Insert, Row, Upsert, Value
from shared.usecases.ledger.close_months import close_months
from tests.support.ledger import UNIT, adjust, configure, leg, top_up
from tests.support.ledger_processes import ACCOUNT, FaultyTables, LedgerProcess
from tests.support.memory_tables import MemoryTables

LEGS = 36


async def _lived() -> dict[str, Row]:
    """The rows of a ledger with every kind of entry and row, about 80 of them."""
    app = await LedgerProcess().open(AlertRule("low", below_micros=20 * UNIT), micros=30 * UNIT)
    ledger, clock = app.ledger, app.clock
    gift = TopUp("gift", "d", UNIT, LotKind.GRANTED, expires_at=clock.now() + timedelta(hours=5))
    await ledger.submit(ACCOUNT, gift)
    for number in range(0, LEGS, 2):
        await asyncio.gather(
            ledger.submit(ACCOUNT, leg(number, UNIT // 4, clock.now())),
            ledger.submit(ACCOUNT, leg(number + 1, UNIT // 8, clock.now())),
        )
        clock.advance(minutes=10)
    for number, hold in enumerate(("frees", "keeps", "settles")):
        attempt = leg(f"attempt-{number}", 0, clock.now(), authorization="au_1")
        await ledger.submit(ACCOUNT, replace(attempt, hold=HoldEffect(hold)))
    await ledger.submit(ACCOUNT, top_up(9 * UNIT, "second"))
    await ledger.submit(ACCOUNT, adjust(-UNIT, "fee"))
    await ledger.submit(ACCOUNT, configure(2, AlertRule("low", below_micros=9 * UNIT)))
    clock.advance(hours=1)
    await ledger.submit(ACCOUNT, ExpireLot("lot-2", 0))
    await ledger.submit(ACCOUNT, ExpireLot("lot-1", 0))
    late = clock.now() - timedelta(hours=5)
    await ledger.submit(ACCOUNT, leg("late", UNIT // 2, late))
    for name in (3, 4, "late"):
        record = await ledger.leg(ACCOUNT, f"local~{name}")
        assert record is not None
        await ledger.submit(ACCOUNT, ReverseLeg(record.leg, record.entry, (), "a mistake"))
    first = await ledger.outbox(ACCOUNT, limit=1)
    await ledger.published(ACCOUNT, first[0].commit)
    with patch.object(limits, "INDEX_ENTRIES_MIN", 1):
        assert await ledger.pack_until(ACCOUNT, clock.now()) > 0
    clock.advance(days=40)
    assert await close_months(ledger, ACCOUNT, "UTC", clock.now()) == 2
    await ledger.submit(ACCOUNT, leg("last", UNIT, clock.now()))
    assert (await ledger.verify(ACCOUNT)).problems == ()
    rows = {row.key: row for row in await app.tables.query("ledger", ACCOUNT)}
    kinds = {key.partition("|")[0] for key in rows}
    assert kinds == {
        *("authorization", "command", "event", "index", "journal", "leg", "month", "segment"),
        *("state", "verified"),
    }
    assert len(rows) >= 70
    return rows


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return asyncio.run(_lived())


async def _problems(rows: Mapping[str, Row]) -> tuple[str, ...]:
    app = LedgerProcess(_tables(rows))
    return (await app.ledger.verify(ACCOUNT)).problems


def _tables(rows: Mapping[str, Row]) -> FaultyTables:
    tables = FaultyTables()
    partition = MemoryTables._partition(tables, "ledger", ACCOUNT)
    tables._tables["ledger"] = {ACCOUNT: partition}
    for row in rows.values():
        partition.put(row)
    return tables


def _with(rows: Mapping[str, Row], key: str, values: Mapping[str, Value]) -> dict[str, Row]:
    return {**rows, key: Row(ACCOUNT, key, values, 'W/"tampered"')}


def _edits(value: Value) -> Iterator[Value]:
    """Other values of the same type and of another one."""
    match value:
        case bool() | datetime():
            raise AssertionError("no row has such a property")
        case int():
            yield from (value + 1, value - 1, -value if value else 7, str(value))
        case str():
            last = "0" if value[-1:] != "0" else "1"
            yield from (value[:-1] + last, value + " ", value[:-1], "", 5)
        case bytes():
            middle = len(value) // 2
            flipped = value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
            yield from (flipped, value[:-1], value + b"\0", b"", "text")


def _kind(key: str) -> str:
    return key.partition("|")[0]


PLACES = pytest.mark.parametrize(
    "place",
    ["middle", *(pytest.param(each, marks=pytest.mark.extended) for each in ("first", "last"))],
)


def _samples(rows: Mapping[str, Row], place: str) -> list[str]:
    """Of each kind the row at this place."""
    by_kind: dict[str, list[str]] = {}
    for key in rows:
        by_kind.setdefault(_kind(key), []).append(key)
    return sorted(
        keys[{"first": 0, "middle": len(keys) // 2, "last": -1}[place]] for keys in by_kind.values()
    )


def _names(problems: tuple[str, ...], key: str, *fields: str) -> bool:
    """Whether one of the problems is of this row, and reports one of these fields."""
    mine = [problem.removeprefix(f"{key}: ") for problem in problems if problem.startswith(key)]
    return any(not fields or text.startswith(fields) for text in mine)


def _fields(key: str, name: str) -> tuple[str, ...]:
    """What a change of a property may be reported as: itself, the content it is part of, or the
    keyed hash over it."""
    content = name.rstrip("0123456789")
    kind = _kind(key)
    if kind == "journal":
        return (name, content, "hash:", "previous:", "the commits", "entry")
    if kind == "verified":
        return ("seal:",)
    if kind == "index":
        return (content, "data:")
    if name == "schema":  # then nothing of the row is read
        return ("schema", "charge:", "entry:", "data:", "seal:")
    if name == "leg":
        return ("leg:", "the row of leg")
    parts = {"state": ("deficit", "lots", "expired", "alert_rules", "at", "entry", "balance")}
    return (name, content, *parts.get(kind, ()), "entry:", "charge:")


async def test_an_untouched_ledger_has_no_problem(rows: dict[str, Row]) -> None:
    assert await _problems(rows) == ()


@PLACES
async def test_every_edit_of_every_property_is_named(rows: dict[str, Row], place: str) -> None:
    """In the row of the middle one edit of each property, all in turn."""
    missed: list[str] = []
    made = 0
    one_in = 4 if place == "middle" else 1
    for key in _samples(rows, place):
        for name, value in rows[key].values.items():
            for edit in [*_edits(value)][made % one_in :: one_in]:
                if name == "schema" and edit in {1, 2} and _kind(key) != "journal":
                    continue  # an older schema is read as it is: nothing else changes
                made += 1
                problems = await _problems(_with(rows, key, {**rows[key].values, name: edit}))
                if not _names(problems, key, *_fields(key, name)):
                    missed.append(f"{key} {name} {value!r:.40} -> {edit!r:.40}: {problems[:3]}")
    assert missed == []
    assert made > 150 // one_in


@PLACES
async def test_every_property_that_is_gone_or_added_is_named(
    rows: dict[str, Row], place: str
) -> None:
    missed: list[str] = []
    for key in _samples(rows, place):
        values = rows[key].values
        for name in values:
            rest = {each: value for each, value in values.items() if each != name}
            problems = await _problems(_with(rows, key, rest))
            if not _names(problems, key, *_fields(key, name)):
                missed.append(f"{key} without {name}: {problems[:3]}")
        for name, value in (("note", "hello"), ("data7", b"x"), ("person0", b"x"), ("data", "{}")):
            if name not in values:
                problems = await _problems(_with(rows, key, {**values, name: value}))
                if not _names(problems, key):
                    missed.append(f"{key} with {name}: {problems[:3]}")
    assert missed == []


@pytest.mark.extended
async def test_every_deletion_is_named(rows: dict[str, Row]) -> None:
    """Events that were published are deleted; a checkpoint that is gone is made again."""
    missed: list[str] = []
    for key in rows:
        if _kind(key) in {"event", "verified", "segment", "month", "index"}:
            continue
        rest = {each: row for each, row in rows.items() if each != key}
        problems = await _problems(rest)
        number = key.removeprefix("journal|").lstrip("0")
        is_named = _names(problems, key) or any(f"{number} is missing" in each for each in problems)
        if _kind(key) == "journal" and not is_named:  # the last one: the state knows better
            is_named = _names(problems, "state", "commit: is")
        if not is_named:
            missed.append(f"{key}: {problems[:3]}")
    assert missed == []


@pytest.mark.extended
async def test_every_swap_of_neighbours_is_named(rows: dict[str, Row]) -> None:
    missed: list[str] = []
    keys = list(rows)
    for one, other in pairwise(keys):
        swapped = _with(_with(rows, one, rows[other].values), other, rows[one].values)
        problems = await _problems(swapped)
        if not (_names(problems, one) and _names(problems, other)):
            missed.append(f"{one} and {other}: {problems[:4]}")
    assert missed == []


@pytest.mark.parametrize(
    "key",
    [
        "journal|00000000000000000999",
        "journal|00000000000000000000",
        "journal|7",
        "journal|zzz",
        "leg|" + "a" * 64,
        "command|" + "a" * 64,
        "event|00000000000000000999",
        "event|00000000000000000001",
        "event|zzz",
        "segment|00000000000000000002",
        "segment|zzz",
        "month|1999-01",
        "month|zzz",
        "month|",
        "state2",
        "stat",
        "verified2",
        "a",
        "zz",
        "ledger|1",
        "\U0010fffe",
    ],
)
async def test_every_row_that_was_put_in_is_named(rows: dict[str, Row], key: str) -> None:
    if _kind(key) in {_kind(each) for each in rows}:
        model = next(row for each, row in rows.items() if _kind(each) == _kind(key))
    else:
        model = rows["state"]
    for values in (model.values, {}):
        problems = await _problems(dict(sorted(_with(rows, key, values).items())))
        name = key.rpartition("|")[2]
        assert any(name in each for each in problems), problems


async def test_a_copied_leg_row_under_another_key_is_named(rows: dict[str, Row]) -> None:
    leg_key = next(key for key in rows if key.startswith("leg|"))
    copy = "leg|" + "f" * 64
    assert _names(await _problems(_with(rows, copy, rows[leg_key].values)), copy, "leg:")


async def test_a_changed_balance_with_a_well_formed_state_is_named(rows: dict[str, Row]) -> None:
    state, head = ledger_rows.read_state(rows["state"])
    from dataclasses import replace

    for changed, field in (
        (replace(state, balance_micros=state.balance_micros + UNIT), "balance_micros"),
        (replace(state, credit_limit_micros=UNIT), "credit_limit_micros"),
        (replace(state, lots=state.lots[1:]), "lots"),
        (replace(state, entry=state.entry + 1), "entry"),
        (replace(state, alert_rules=()), "alert_rules"),
        (replace(state, at=datetime(2020, 1, 1, tzinfo=UTC)), "at"),
    ):
        values = ledger_rows.state_values(changed, head, str(rows["state"].values["commit_id"]))
        assert _names(await _problems(_with(rows, "state", values)), "state", field)


async def test_a_person_that_was_erased_is_no_problem(rows: dict[str, Row]) -> None:
    key = next(key for key in rows if key.startswith("leg|"))
    kept = {name: value for name, value in rows[key].values.items() if name != "person"}
    assert await _problems(_with(rows, key, {**kept, **pack("person", {})})) == ()


async def test_a_journal_row_that_was_made_without_the_key_is_named(rows: dict[str, Row]) -> None:
    key = [key for key in rows if key.startswith("journal|")][5]
    values = rows[key].values
    forged = ledger_rows.chain_hash(
        b"another key", ACCOUNT, 6, values, ledger_rows.journal_bytes(rows[key])
    )
    problems = await _problems(_with(rows, key, {**values, "hash": forged}))
    assert _names(problems, key, "hash:")


async def test_another_accounts_ledger_in_this_ones_place_is_named(rows: dict[str, Row]) -> None:
    tables = FaultyTables()
    for row in rows.values():
        await tables.transact("ledger", "fabrikam", [Insert(row.key, row.values)])
    problems = (await LedgerProcess(tables).ledger.verify("fabrikam")).problems
    assert any("hash:" in problem for problem in problems)


async def test_a_state_rolled_back_alone_is_named_and_the_next_commit_halts() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    before = await app.tables.get("ledger", ACCOUNT, "state")
    assert before is not None
    await app.ledger.submit(ACCOUNT, leg(2, 1))
    await app.tables.transact("ledger", ACCOUNT, [Upsert("state", before.values)])
    problems = (await app.ledger.verify(ACCOUNT)).problems
    assert _names(problems, "state", "commit: is 3, the journal ends with 4")
    assert _names(problems, "state", "head:")
    with pytest.raises(LedgerCorrupt):
        await LedgerProcess(app.tables, app.clock).ledger.submit(ACCOUNT, leg(3, 1))


async def test_a_resumed_verification_believes_no_checkpoint_but_its_own() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    row = await app.tables.get("ledger", ACCOUNT, "verified")
    assert row is not None
    for name, value in (("commit", 1), ("head", "0" * 64), ("legs", 9), ("seal", "0" * 64)):
        forged = {**row.values, name: value}
        await app.tables.transact("ledger", ACCOUNT, [Upsert("verified", forged)])
        (problem,) = (await app.ledger.verify(ACCOUNT, resume=True)).problems
        assert problem.startswith("verified: seal:")
        assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()


async def test_a_checkpoint_of_another_account_is_not_believed() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    row = await app.tables.get("ledger", ACCOUNT, "verified")
    assert row is not None
    await app.ledger.submit("fabrikam", configure(1))
    await app.tables.transact("ledger", "fabrikam", [Upsert("verified", row.values)])
    (problem,) = (await app.ledger.verify("fabrikam", resume=True)).problems
    assert problem.startswith("verified: seal:")


async def test_what_was_tampered_with_since_the_last_verification_is_found_by_the_next() -> None:
    app = await LedgerProcess().open(AlertRule("low", below_micros=UNIT), micros=UNIT)
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    await app.ledger.submit(ACCOUNT, top_up(5))
    rows = {row.key: row for row in await app.tables.query("ledger", ACCOUNT)}
    new = ("journal|00000000000000000003", "journal|00000000000000000004", "state")
    leg_row = next(key for key in rows if key.startswith("leg|"))
    for key in (*new, leg_row, "event|00000000000000000004"):
        for name, value in rows[key].values.items():
            edit = next(iter(_edits(value)))
            tables = _tables(_with(rows, key, {**rows[key].values, name: edit}))
            found = (await LedgerProcess(tables).ledger.verify(ACCOUNT, resume=True)).problems
            assert _names(found, key), (key, name, found)


async def test_a_deleted_guard_does_not_let_its_leg_be_debited_twice_unnoticed() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    key = ledger_rows.leg_row_key("local~1")
    await app.tables.transact("ledger", ACCOUNT, [Delete(key)])
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    problems = (await app.ledger.verify(ACCOUNT)).problems
    assert any("debited twice" in problem for problem in problems)


async def test_an_idempotency_key_can_not_take_the_place_of_a_reversal() -> None:
    app = await LedgerProcess().open(micros=UNIT)
    await app.ledger.submit(ACCOUNT, leg(1, 1))
    await app.ledger.submit(ACCOUNT, top_up(1, "reversal of leg local~1"))
    record = await app.ledger.leg(ACCOUNT, "local~1")
    assert record is not None
    await app.ledger.submit(ACCOUNT, ReverseLeg(record.leg, record.entry, (), "a mistake"))
    await app.sound()

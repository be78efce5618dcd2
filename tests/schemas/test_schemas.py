"""Rows as released versions wrote them, for ever readable; rows of a newer version are not guessed
at.

A file has the rows of a small history (`rows`) and what the product of its time answered about it
(`answers`). It is never changed: a new schema gets a file of its own.
"""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared import bootstrap
from shared.adapters.legs.claim_store import TableClaims
from shared.bootstrap.composition import Container
from shared.domain.common.errors import PerminuteError
from shared.domain.ledger.model import RULES, TopUp
from shared.domain.legs.leg import decode_leg_key, posted_leg
from shared.ports.tables import Insert, Upsert, Value
from tests.sim import reader
from tests.support.memory_tables import MemoryTables
from tests.support.processes import Deployment

type Json = dict[str, Any]

RELEASES = sorted(path.stem for path in Path(__file__).parent.glob("*.json"))
ACCOUNT = "contoso"
BASE = f"/api/v1/accounts/{ACCOUNT}"
CARD = "/api/v1/rate-cards/default/versions/2026-10-24T10:00:00Z"
NEWER = 99


@cache
def release(name: str) -> Json:
    """Rows and answers of a release."""
    text = (Path(__file__).parent / f"{name}.json").read_text("utf-8")
    found: Json = json.loads(text)
    return found


def _value(stored: Any) -> Value:
    match stored:
        case {"base64": str(text)}:
            return base64.b64decode(text)
        case {"int": str(digits)}:
            return int(digits)
        case {"time": str(text)}:
            return datetime.fromisoformat(text)
    return stored


async def container_of(name: str) -> tuple[Container, MemoryTables]:
    """A product on the rows of a release, at that time."""
    deployment = Deployment()
    deployment.clock.moment = datetime.fromisoformat(release(name)["answers"]["at"])
    for row in release(name)["rows"]:
        values = {key: _value(value) for key, value in row["values"].items()}
        await deployment.tables.transact(
            row["table"], row["partition"], [Insert(row["key"], values)]
        )
    app = deployment.process().container
    bootstrap.install(app)
    return app, deployment.tables


@pytest.fixture(autouse=True)
def _uninstall_container() -> Any:
    yield
    bootstrap.install(None)


@pytest.mark.parametrize("name", RELEASES)
async def test_what_a_release_wrote_is_answered_as_it_was_then(name: str) -> None:
    """Fields may have been added since; those of then are the same."""
    await container_of(name)
    then = release(name)["answers"]

    entries = await reader.items(f"{BASE}/entries")
    assert [_same(*each) for each in zip(entries, then["entries"], strict=True)]
    for leg, body in then["legs"].items():
        _same(await reader.get(f"{BASE}/legs/{quote(leg)}"), body)
    parked = {each["id"]: each for each in await reader.items("/api/v1/parked-legs")}
    for body in then["parked"]:  # shown under the names by which legs are posted since
        _same(parked.pop(body["id"]), {**body, "original": posted_leg(body["original"])})
    assert not parked
    _same(await reader.get(BASE), then["account"])
    _same(await reader.get(CARD), then["card"])
    _same(await reader.get(f"{BASE}/verify"), then["verify"])


def _same(now: Json, then: Json) -> bool:
    assert {name: now.get(name) for name in then} == then
    return True


@pytest.mark.parametrize("name", RELEASES)
async def test_a_release_goes_on_where_it_stood(name: str) -> None:
    """Its waiting events are reported, its inbox is emptied, its state takes the next commit."""
    app, _ = await container_of(name)

    assert await app.publish_events(ACCOUNT) > 0
    await app.forward_inbox()
    await app.watch_balances()

    assert await app.ledger.outbox(ACCOUNT, limit=10) == []
    assert await app.inbox.waiting(limit=10) == []
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


def _kinds(name: str) -> list[tuple[str, str, str]]:
    """(table, partition, key) of the first row of each kind that has a schema."""
    found: dict[tuple[str, str], tuple[str, str, str]] = {}
    for row in release(name)["rows"]:
        kind = row["key"].partition("|")[0] if "|" in row["key"] else row["partition"][:5]
        if row["table"] == "ratecards":  # a card's name, its head, its versions, their chunks
            kind = row["partition"].partition("|")[0] + row["key"][:4]
        if "schema" in row["values"] and row["table"] != "due":  # a mark says but its key
            place = row["table"], row["partition"], row["key"]
            found.setdefault((row["table"], kind), place)
    return list(found.values())


@pytest.mark.parametrize("row", _kinds(RELEASES[-1]), ids=lambda row: f"{row[0]}-{row[2][:12]}")
async def test_a_row_of_a_newer_version_is_not_guessed_at(row: tuple[str, str, str]) -> None:
    app, tables = await container_of(RELEASES[-1])
    stored = await tables.get(*row)
    assert stored is not None
    table, partition, key = row
    newer = Upsert(key, {**stored.values, "schema": NEWER})
    await tables.transact(table, partition, [newer])

    assert await _refusals(app) != []


def _of(table: str, id_property: str) -> list[tuple[str, str]]:
    """(kind, id) of the rows of a table: the partition's name, and a property or the key."""
    return [
        (row["partition"].partition("|")[0], row["values"].get(id_property, row["key"]))
        for row in release(RELEASES[-1])["rows"]
        if row["table"] == table
    ]


async def _refusals(app: Container) -> list[str]:
    """What is not answered, of all that can be requested."""
    legs = [
        decode_leg_key(str(row["leg"]))
        for row in release(RELEASES[-1])["answers"]["entries"]
        if "leg" in row
    ]
    reads: list[Callable[[], Awaitable[object]]] = [
        lambda: app.ledger.outbox(ACCOUNT, limit=10),
        lambda: app.inbox.waiting(limit=10),
        lambda: app.holds.view(ACCOUNT),
        lambda: app.parking.page(where={}, limit=100, cursor=None),
        *(
            (lambda kind=kind, key=key: app.records.get(kind, key))
            for kind, key in _of("directory", "id")
        ),
        *(
            (lambda key=key: app.holds.record(ACCOUNT, key.removeprefix("hold|")))
            for _, key in _of("holds", "")
            if key.startswith("hold|") and key.count("|") == 1
        ),
        *((lambda each=each: TableClaims(app.tables, app.clock).find(each)) for each in legs),
        *((lambda each=each: app.ledger.leg(ACCOUNT, each)) for each in legs),
        lambda: reader.items(f"{BASE}/entries"),
        lambda: reader.items("/api/v1/rate-cards"),
        lambda: reader.get(CARD),
        lambda: reader.get(BASE),
    ]
    found: list[str] = []
    for read in reads:
        try:
            await read()
        except (PerminuteError, AssertionError) as refused:
            found.append(repr(refused))
    return [*found, *(await app.ledger.verify(ACCOUNT)).problems]


@pytest.mark.parametrize("name", RELEASES)
async def test_what_older_rules_left_of_alerts_is_taken_over(name: str) -> None:
    """The first commit says which rules decide from now on, and what the ones before had left."""
    app, _ = await container_of(name)
    before = await app.ledger.state(ACCOUNT)
    assert before is not None
    for number in range(3):
        command = TopUp(f"later-{number}", f"content {number}", 1_000_000)
        await app.ledger.submit(ACCOUNT, command)
    found = await app.ledger.verify(ACCOUNT)

    commits = await app.ledger.history(ACCOUNT, after=before.commit)
    assert found.problems == ()
    assert [each.rules is not None for each in commits] == [before.rules < RULES, False, False]
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    state = await app.ledger.state(ACCOUNT)
    assert state is not None
    assert state.rules == RULES
    assert state.burn.days[: len(before.burn.days) - 1] == before.burn.days[:-1]

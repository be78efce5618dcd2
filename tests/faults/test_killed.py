"""A process is killed (SIGKILL) at every crash point, another one says the same things again: every
leg is charged once, every answer is the one that was given, nothing is left over.

The processes talk to Azurite; queue and topic are folders. They are forked from one that has
everything imported, so that each is there at once.
"""

import asyncio
import json
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.adapters.tables.azure_tables import AzureTables
from shared.bootstrap import install
from tests.faults import audited, outlived, scenario, workload
from tests.faults.app import AsyncProduct
from tests.faults.ports import events_of
from tests.faults.records import read
from tests.support.azurite import ROOT, Azurite, start_azurite
from tests.support.client import Json
from tests.support.crash_points import POINTS
from tests.support.restored import with_persons

EXPIRES_SECONDS = 2.0
HOOK = {"url": "https://erp.example.com/credits", "events": ["*"]}
EVENTS_BRIDGE = {
    "dialect": "twilio",
    "auth": {"scheme": "twilio", "secrets": ["an-auth-token-of-the-vendor"]},
    "accounts": ["*"],
}
KILLED = -signal.SIGKILL
LEGS_CHARGED = 5
AUTO_RECHARGE = {"trigger": "3.90", "amount": "2.00", "max_per_day": 1}


@dataclass
class Nursery:
    """Forks processes that play a scenario."""

    azurite: Azurite
    card: list[Json]

    def plays(
        self,
        run: str,
        base: datetime,
        folder: Path,
        deadly: str | None,
        chapters: Sequence[str],
    ) -> int | None:
        """The exit code of one."""
        process = multiprocessing.get_context("forkserver").Process(
            target=scenario.play,
            args=(
                *(run, base.isoformat(), self.azurite.connection_string, str(folder)),
                *(deadly, chapters),
            ),
        )
        process.start()
        process.join(120)
        assert process.exitcode is not None
        return process.exitcode

    def app(self, folder: Path) -> tuple[AsyncProduct, AzureTables]:
        """A product that no one kills."""
        tables = AzureTables(
            connection_string=self.azurite.connection_string,
            connect_seconds=scenario.STORE_SECONDS,
            read_seconds=scenario.STORE_SECONDS,
        )
        passage = outlived.Passage(folder / "points of the reader", None)
        (folder / "queue").mkdir(exist_ok=True)
        queue = outlived.FolderQueue(folder / "queue", passage)
        app = AsyncProduct(tables, queue, outlived.ScenarioTopic(folder / "events.jsonl", passage))
        outlived.outside(app, folder, passage)
        return app, tables


def ids(path: Path) -> set[str]:
    """The events in a file."""
    return {json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()}


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.faults.scenario"])
    with start_azurite() as azurite:
        made = Nursery(azurite, [])

        async def prepare() -> list[Json]:
            app, tables = made.app(tmp_path_factory.mktemp("opening"))
            card = await audited.opened(app)
            await tables.close()
            return card

        made.card = asyncio.run(prepare())
        yield made
        install(None)


@pytest.mark.extended
@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", [None, *POINTS])
def test_whichever_process_is_killed_another_one_finishes_the_work(
    nursery: Nursery, tmp_path: Path, point: str | None
) -> None:
    run = f"killed-{(point or 'nowhere').replace('.', '-').replace('_', '-')}"
    account = workload.account_names(run)[0]
    base = datetime.now(UTC)
    chapters = [each for each in scenario.CHAPTERS if point is None or point.startswith(each)]

    async def prepare() -> list[Json]:
        app, tables = nursery.app(tmp_path)
        made = await audited.opened_account(app, run, account)
        soon = datetime.now(UTC) + timedelta(seconds=EXPIRES_SECONDS)
        lapsing = {"amount": "1.00", "kind": "granted", "expires_at": soon.isoformat()}
        made.append(await audited.credited(app, account, f"{run}-lapsing", lapsing))
        settings = {**workload.ACCOUNT, "auto_recharge": AUTO_RECHARGE}
        made.append(await audited.changed_account(app, account, settings))
        if scenario.DELIVERY in chapters:
            await app.create(f"accounts/{account}/webhooks/erp", HOOK)
        if scenario.EVENTS in chapters:
            await app.create(f"bridges/{scenario.events_bridge(run)}", EVENTS_BRIDGE)
        await tables.close()
        return made

    prepared = asyncio.run(prepare())
    if point is not None:
        assert nursery.plays(run, base, tmp_path, point, chapters) == KILLED
    died = time.monotonic()
    assert nursery.plays(run, base, tmp_path, None, chapters) == 0
    seconds = time.monotonic() - died
    passed = (tmp_path / "points").read_text("utf-8").split()
    found = read(sorted(tmp_path.glob("*.history.jsonl")))

    async def judge() -> tuple[Json, list[str]]:
        app, tables = nursery.app(tmp_path)
        await app.container.publish_events(account)
        seen = await audited.view(app, account, events_of(tmp_path / "events.jsonl"))
        if scenario.RESTORE in chapters:
            shown = json.loads((tmp_path / "export.legs").read_text("utf-8"))
            with_persons(seen["legs"], shown)
        left = [
            f"{table} {row.key}"
            for table, partition, first in (("ledger", account, "event|"), ("holds", account, ""))
            for row in await tables.query(table, partition, first=first, before="event}")
            if row.key.startswith("event|")
        ]
        if scenario.AUDIT in chapters:
            left += (await app.read(f"accounts/{account}/verify?anchors=true"))["problems"]
        await tables.close()
        history = [*nursery.card, *prepared, *found.operations]
        wrong = audited.problems(history, audited.Final({account: seen}, 0))
        return seen, [*wrong, *left]

    seen, wrong = asyncio.run(judge())
    assert wrong == []
    kinds = [entry["kind"] for entry in seen["entries"]]
    assert kinds.count("debit") == LEGS_CHARGED + (scenario.EVENTS in chapters)
    assert kinds.count("expiry") == 1
    paid = [each for each in seen["entries"] if each.get("reference") == f"payment of {account}~1"]
    assert [each["amount"] for each in paid] == ["2.00"]
    waiting = [each for each in seen["parked"] if each["status"] == "open"]
    assert [each["reason"] for each in waiting] == ["rate_missing"]
    if scenario.DELIVERY in chapters:
        assert ids(tmp_path / "received.jsonl") == ids(tmp_path / "events.jsonl")
    assert seen["account"]["held"] == "0.00"
    assert set(passed) == set(POINTS) if point is None else passed.count(point) >= 1
    figures = {"killed_at": point, "seconds_until_all_was_right": round(seconds, 2)}
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/killed.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")

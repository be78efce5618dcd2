"""What is true of a run when all is quiet, and what is wrong with it."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.ports.tables import TableStore
from tests.faults import workload
from tests.faults.app import BRIDGE, AsyncProduct, opened_bridge
from tests.faults.records import Read, now_text
from tests.model.audit_case import leg_key
from tests.model.auditor import audit
from tests.support.client import Json


async def opened(app: AsyncProduct) -> list[Json]:
    """The bridge and the rate card, once per table storage; the history of it."""
    await app.create(f"bridges/{BRIDGE}", opened_bridge())
    path = f"rate-cards/{workload.CARD}/versions/{workload.CARD_SINCE}"
    began = now_text()
    await app.create(path, workload.CARD_VERSION)
    request = {
        "card": workload.CARD,
        "effective_from": workload.CARD_SINCE,
        "version": workload.CARD_VERSION,
    }
    # So long ago that no process can have read another one.
    return [done("put_rate_card", "", request, {}, began) | {"at": workload.CARD_SINCE}]


async def opened_account(app: AsyncProduct, run: str, name: str) -> list[Json]:
    """One account with some credit; the history of it."""
    began = now_text()
    await app.create(f"accounts/{name}", workload.ACCOUNT)
    made = done("put_account", name, workload.ACCOUNT, {}, began)
    await app.create(f"accounts/{name}/organizers/{workload.organizer(run)}", {})
    return [made, await credited(app, name, f"{run}-first", {"amount": workload.FIRST_TOP_UP})]


async def changed_account(app: AsyncProduct, name: str, body: Json) -> Json:
    """Other settings; the history of it."""
    began = now_text()
    etag = (await app.admin("GET", f"accounts/{name}")).headers["etag"]
    answer = await app.admin("PUT", f"accounts/{name}", body, if_match=etag)
    assert answer.status == 200, answer
    return done("put_account", name, body, {}, began)


async def credited(app: AsyncProduct, name: str, key: str, body: Json) -> Json:
    """A top-up; the history of it."""
    began = now_text()
    answer = await app.admin("POST", f"accounts/{name}/top-ups", body, key=key)
    assert answer.status == 201, answer
    return done("top_up", name, {"key": key, "body": body}, answer.json, began)


async def opened_accounts(app: AsyncProduct, run: str) -> list[Json]:
    """The accounts of a run with some credit; the history of it."""
    names = workload.account_names(run)
    found = await asyncio.gather(*(opened_account(app, run, name) for name in names))
    return [op for ops in found for op in ops]


def done(op: str, account: str, request: Json, result: Json, began: str) -> Json:
    return {
        "op": op,
        "account": account,
        "request": request,
        "outcome": "ok",
        "result": result,
        "began": began,
        "at": now_text(),
    }


@dataclass(frozen=True, slots=True)
class Final:
    """What readers see of a run when all is quiet."""

    views: dict[str, Json]
    debits: int


async def view(app: AsyncProduct, name: str, events: dict[str, list[Json]]) -> Json:
    """One account, as `auditor.audit` wants it."""
    path = f"accounts/{name}"
    entries = await app.items(f"{path}/entries")
    keys = sorted({entry["leg"] for entry in entries if entry["kind"] == "debit"})
    bodies = await asyncio.gather(*(app.read(f"{path}/legs/{key}") for key in keys))
    return {
        "account": await app.read(path),
        "at": now_text(),
        "entries": entries,
        "legs": dict(zip(keys, bodies, strict=True)),
        "parked": await app.items(f"parked-legs?account={name}"),
        "verify": await app.read(f"{path}/verify"),
        "events": events.get(name, []),
    }


async def final(app: AsyncProduct, run: str, events: dict[str, list[Json]]) -> Final:
    """Every account of the run, as `auditor.audit` wants it."""

    names = workload.account_names(run)
    found = await asyncio.gather(*(view(app, name, events) for name in names))
    views = dict(zip(names, found, strict=True))
    debits = sum(entry["kind"] == "debit" for view in views.values() for entry in view["entries"])
    return Final(views, debits)


def problems(history: list[Json], found: Final) -> list[str]:
    """What the independent auditor names, and what only the processes can know."""
    return [*audit(history, found.views), *_legs_once(history, found.views)]


def _legs_once(history: list[Json], views: dict[str, Json]) -> Iterable[str]:
    """Each leg that was accepted is debited exactly once, or waits with its reason."""
    accepted = {
        leg_key(op["request"]["bridge"], op["request"]["leg"]["leg_id"])
        for op in history
        if op["op"] == "call_ended" and op["outcome"] == "ok"
    }
    debits = [
        entry["leg"]
        for view in views.values()
        for entry in view["entries"]
        if entry["kind"] == "debit"
    ]
    waiting = {item["leg"] for view in views.values() for item in view["parked"]}
    for key in sorted(accepted):
        count = debits.count(key)
        if count > 1 or (count == 0 and key not in waiting):
            yield f"leg {key} was accepted and is debited {count} times"


async def hold_problems(tables: TableStore, read: Read) -> list[str]:
    """Sum of holds <= balance + limit at every commit that placed or extended a hold, with the
    balance that the journal has for the commit that the hold book names."""
    balances: dict[str, dict[int, int]] = {}
    found: list[str] = []
    for note in read.notes:
        if "hold" not in note:
            continue
        account, at = note["hold"], datetime.fromisoformat(note["at"])
        if account not in balances:
            rows = await tables.query("ledger", account, first="journal|", before="journal}")
            balances[account] = {
                int(row.key.partition("|")[2]): int(str(row.values["balance"])) for row in rows
            }
        held = sum(
            micros for expiry, micros in note["holds"] if datetime.fromisoformat(expiry) > at
        )
        balance = balances[account].get(note["ledger_commit"])
        if balance != note["balance"]:
            found.append(f"{account}: a hold book takes {note['balance']} for the balance of "
                         f"commit {note['ledger_commit']}, it is {balance}")  # fmt: skip
        elif held > balance + note["credit_limit"]:
            found.append(f"{account}: holds of {held} on a balance of {balance}")
    return found


async def landed(tables: TableStore, read: Read) -> tuple[int, int, int]:
    """(ledger commits whose outcome was not known and that are in the journal, those that are not,
    all writes whose outcome was not known)."""
    unknown = [note for note in read.notes if "unknown" in note]
    commits = [note for note in unknown if note["unknown"] == "ledger" and note["id"]]
    ids: set[str] = set()
    for account in {note["account"] for note in commits}:
        rows = await tables.query("ledger", account, first="journal|", before="journal}")
        ids |= {str(row.values["commit_id"]) for row in rows}
    there = sum(note["id"] in ids for note in commits)
    return there, len(commits) - there, len(unknown)


def write_figures(path: Path, figures: Json) -> None:
    """Adds to the figures of this run of the tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": datetime.now(UTC).isoformat(), **figures}) + "\n")

"""Proofs: the close of a day of 10,000 legs, receipts, and the file of a month of 100,000 legs.

Seconds of closes and files are those of the processor.
"""

import asyncio
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from shared.adapters.clock import RandomIds
from shared.adapters.credits.due_marks import TableDueMarks
from shared.adapters.directory.document_store import DocumentStore
from shared.adapters.ed25519 import Ed25519Signer, is_signed
from shared.adapters.ledger.store import TableLedger
from shared.adapters.proof.proof_days import TableProofs
from shared.contracts.proof.keys import proof_key_body
from shared.domain.charging.charge_record import explained
from shared.domain.common.canonical import canonical_json, content_digest, format_time
from shared.domain.directory.entities import AccountSettings
from shared.domain.ledger.model import Configure, DebitLeg, TopUp
from shared.usecases.proof.close_days import CloseDays
from shared.usecases.proof.proof_keys import ProofKeys
from shared.usecases.proof.read_proofs import ReadProofs
from tests.bench.records import record, wanted
from tests.support.memory_tables import MemoryTables
from tests.support.product import ManualClock
from tests.unit.rating.cases import card, charge, rate, slot

CLOSE, RECEIPT = "proof.close_day_10k", "proof.receipt"
VERIFY, EXPORT, BYTES = (
    *("proof.verify_month_100k", "proof.export_month_100k", "proof.export_month_100k_bytes"),
)
ACCOUNT = "contoso"
START = datetime(2026, 11, 1, 0, 10, tzinfo=UTC)
AT_ONCE = 388
TOOL = Path(__file__).parents[2] / "tools" / "verify_month.py"
VERSION = card(
    rate(slot("60", "0.012"), prefix="44", fee="0.05"),
    rate(slot("1", "0.0123"), slot("600+6", "0.005"), prefix="33"),
)


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of proofs."""
    if wanted(CLOSE, only) or wanted(RECEIPT, only):
        found = asyncio.run(_day())
        yield from (each for each in found if wanted(each["name"], only))
    if any(wanted(name, only) for name in (VERIFY, EXPORT, BYTES)):
        found = asyncio.run(_month())
        yield from (each for each in found if wanted(each["name"], only))


class _Account:
    """A ledger, its closed days and what is read of them, on tables in memory."""

    def __init__(self) -> None:
        tables, self.clock = MemoryTables(), ManualClock(START)
        due = TableDueMarks(tables)
        self.ledger = TableLedger(tables, due, self.clock, RandomIds(), b"k" * 32)
        self.account: Any = SimpleNamespace(id=ACCOUNT, settings=AccountSettings("USD"))

        async def require_account(_: str) -> Any:
            return self.account

        async def version(*_: object) -> Any:
            return None, VERSION

        self.keys = ProofKeys(
            DocumentStore(tables), Ed25519Signer(b"s" * 32), is_signed, self.clock
        )
        cards = cast("Any", SimpleNamespace(version=version))
        proofs = TableProofs(tables)
        self.close_days = CloseDays(self.ledger, proofs, cards, self.keys, self.clock)
        facts = cast("Any", SimpleNamespace(require_account=require_account))
        self.read = ReadProofs(facts, self.ledger, proofs, cards, self.keys, self.clock)

    async def fill(self, legs: int, days: int) -> None:
        await self.ledger.submit(ACCOUNT, Configure(1, "USD", 0))
        await self.ledger.submit(ACCOUNT, TopUp("credits", "digest", 10**15))
        for day in range(days):
            self.clock.moment = START + timedelta(days=day)
            numbers = range(legs * day // days, legs * (day + 1) // days)
            for first in range(numbers.start, numbers.stop, AT_ONCE):
                now = self.clock.now()
                part = range(first, min(first + AT_ONCE, numbers.stop))
                await asyncio.gather(*(self.ledger.submit(ACCOUNT, _leg(n, now)) for n in part))
                self.clock.advance(600)
        self.clock.moment = START + timedelta(days=days)
        await self.ledger.pack_until(ACCOUNT, self.clock.now())


async def _day() -> list[dict[str, Any]]:
    app = _Account()
    await app.fill(10_000, 1)
    started = time.process_time()
    closed = await app.close_days(app.account)
    seconds = time.process_time() - started
    assert [each.root.last_entry for each in closed] == [10_001]
    spans = []
    for number in range(0, 10_000, 50):
        started = time.perf_counter()
        await app.read.of_leg(ACCOUNT, f"studio~{number}", is_interim=False, persons=True)
        spans.append(time.perf_counter() - started)
    p99 = sorted(spans)[len(spans) * 99 // 100]
    return [_most(CLOSE, seconds, "s", 3), _most(RECEIPT, p99 * 1000, "ms p99", 100)]


async def _month() -> list[dict[str, Any]]:
    app = _Account()
    await app.fill(100_000, 30)
    await app.close_days(app.account)
    started = time.process_time()
    stream = zlib.compressobj(wbits=31)
    lines = await app.read.month(ACCOUNT, "2026-11", is_interim=False, persons=True)
    parts = [stream.compress(line) async for line in lines]
    data = b"".join((*parts, stream.flush()))
    export_seconds = time.process_time() - started
    keys = [proof_key_body(key) for key in await app.keys.every()]
    with tempfile.TemporaryDirectory() as folder:
        file, kept = Path(folder) / "month.jsonl.gz", Path(folder) / "keys.json"
        file.write_bytes(data)
        kept.write_bytes(canonical_json({"keys": keys}))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, str(TOOL), str(file), "--keys", str(kept)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert "100000 legs rated again" in done.stdout, done.stderr
    return [
        _most(EXPORT, export_seconds, "s", 60),
        _most(BYTES, len(data) / 1e6, "MB", 30),
        _most(VERIFY, seconds, "s", 60),
    ]


def _most(name: str, value: float, unit: str, most: float) -> dict[str, Any]:
    limit = "the most that is allowed"
    return record(name, value, unit, limit, most, "ratio <= 1", lambda ratio: ratio <= 1)


def _token(number: int, label: str, chars: int) -> str:
    """What does not compress: ids and salts are random."""
    return hashlib.sha256(f"{label}{number}".encode()).hexdigest()[:chars]


def _leg(number: int, now: datetime) -> DebitLeg:
    seconds = 30 + number * 7919 % 1800
    answered_at = now - timedelta(seconds=seconds)
    digits = ("44794" if number % 3 else "33612") + f"{number * 7919 % 10**7:07}"
    rated = charge(VERSION, seconds, to_digits=digits, answered_at=answered_at)
    document: dict[str, object] = {
        "account": ACCOUNT,
        "bridge": "studio",
        "kind": "dial_out",
        "conference": f"room-{number // 5}",
        "started_at": format_time(answered_at - timedelta(seconds=7)),
        "answered_at": format_time(answered_at),
        "ended_at": format_time(now),
        "talk_seconds": seconds,
        "currency": "USD",
        "authorization": f"au_{_token(number, 'authorization', 22)}",
        "hangup_cause": "NORMAL_CLEARING",
        "cost_center": f"cc-{number % 40}",
        "region": "GB" if number % 3 else "FR",
        "number_class": "mobile",
        "status": "charged",
        **explained(rated),
        "flags": [],
    }
    person = {
        "from": "+33170180042",
        "to": f"+{digits}",
        "organizer": f"user-{number % 500}@contoso.example",
        "salt": _token(number, "salt", 22),
    }
    return DebitLeg(
        leg=f"studio~{number}",
        digest=f"{number:064x}",
        amount_micros=rated.amount_micros,
        answered_at=answered_at,
        authorization=None,
        charge=document,
        person=person,
        charge_digest=content_digest(document),
        person_digest=content_digest(person),
    )

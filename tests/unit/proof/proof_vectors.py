"""Makes `tests/golden/proof_vectors.json`. The file is frozen: a new format gets a new file.

`python -m tests.unit.proof.proof_vectors` prints it; the part that follows from constants alone is
compared with the file by `test_proof_vectors.py`.
"""

import base64
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.domain.charging.charge_record import explained, quoted_pooled
from shared.domain.common.calendar import day_start, local_day
from shared.domain.common.canonical import canonical_json, format_time
from shared.domain.credits.included_minutes import PoolDraw
from shared.domain.credits.lots import Draw, Lot, LotKind
from shared.domain.ledger.model import Entry, EntryKind
from shared.domain.legs.leg import QueuedLeg
from shared.domain.proof.commits import GENESIS, PublicCommit, document_hash, public_entry
from shared.domain.proof.days import DayTree, ProvenDay
from shared.domain.proof.merkle import tree_path, tree_root
from shared.domain.proof.month_file import MonthFile
from shared.domain.proof.rates import rate_document, rates_root
from shared.domain.proof.receipts import EntryCorrection, Proven, receipt_document
from shared.domain.proof.roots import SignedRoot, key_id, signed_bytes
from shared.domain.rating.rating import paid_seconds, rest_after
from shared.usecases.charging.charge_legs import Charged
from tests.support.charging_app import CARD, JANUARY, LONDON, TOKYO, ChargingApp
from tests.unit.rating.cases import charge, random_call

FILE = Path(__file__).resolve().parents[2] / "golden" / "proof_vectors.json"
SEED = bytes(range(32))
ZONE = "Europe/Paris"
AT = datetime(2026, 11, 23, 10, 3, 10, 250_000, tzinfo=UTC)
LOT = Lot("lot-1", LotKind.PURCHASED, 12_500_000, 12_000_000, AT, AT + timedelta(days=365))
_DEBIT = Entry(
    2,
    EntryKind.DEBIT,
    -98_000,
    11_902_000,
    AT,
    draws=(Draw("lot-1", 98_000),),
    leg="local~9f2c-1",
    authorization="au_1",
    key="k",
    content_digest="c" * 64,
    charge_digest="a" * 64,
    person_digest="b" * 64,
    actor="ken",
    pool=PoolDraw("2026-11", 60),
)
ENTRIES = (
    (),
    (
        Entry(
            1,
            EntryKind.TOP_UP,
            12_500_000,
            12_500_000,
            AT,
            lot=LOT,
            deficit_micros=-500_000,
            reference='invoice "7" \\ é \u2028\t',
        ),
    ),
    (
        _DEBIT,
        replace(
            _DEBIT,
            sequence=3,
            amount_micros=-11_902_001,
            balance_micros=-1,
            draws=(Draw("lot-1", 11_902_000),),
            deficit_micros=1,
            leg="local~ü 2",
            pool=None,
        ),
        Entry(
            4,
            EntryKind.REVERSAL,
            98_000,
            97_999,
            AT,
            lot=replace(LOT, id="lot-4", remaining_micros=97_999, expires_at=None),
            deficit_micros=-1,
            leg="local~9f2c-1",
            reverses=2,
            rerates=2,
            reason="a wrong card",
            pool=PoolDraw("2026-11", -60),
        ),
    ),
)
VALUES: tuple[object, ...] = (
    {},
    {"b": 1, "a": [True, False, None, -7, 0], "B": {"z": "", "y": []}},
    'quotes " and \\, / and \u007f, \b\t\n\f\r\u0000\u001f, é, €, \u2028, 😀',
    9_007_199_254_740_991,
)


def fixed() -> dict[str, Any]:
    """The part that follows from constants alone."""
    return {
        "canonical": [
            {"value": value, "bytes": canonical_json(value).decode(), "hash": document_hash(value)}
            for value in VALUES
        ],
        "trees": [_tree(count) for count in (0, 1, 2, 3, 4, 5, 6, 7, 8, 13)],
        "commits": list(_commits()),
        "private_key": SEED.hex(),
        "keys": {"keys": [_key()]},
    }


def _tree(count: int) -> dict[str, Any]:
    leaves = [b"leaf %d" % number for number in range(count)]
    paths = [tree_path(leaves, index) for index in range(count)]
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "root": tree_root(leaves).hex(),
        "paths": [
            {"index": each.index, "size": each.size, "hashes": [one.hex() for one in each.hashes]}
            for each in paths
        ],
    }


def _commits() -> Iterable[dict[str, Any]]:
    previous, first, balance = GENESIS, 1, 0
    for number, entries in enumerate(ENTRIES, 1):
        balance = entries[-1].balance_micros if entries else balance
        commit = PublicCommit("contoso", number, AT, balance, first, entries, previous)
        yield {
            "entries": [public_entry(entry) for entry in entries],
            "commit": commit.document(),
            "hash": commit.public_hash(),
        }
        first, previous = first + len(entries), commit.public_hash()


def _private() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(SEED)


def _key() -> dict[str, Any]:
    public = _private().public_key().public_bytes_raw()
    return {
        "id": key_id(public),
        "algorithm": "Ed25519",
        "public_key": base64.b64encode(public).decode(),
        "from": "2026-11-01T00:00:00Z",
        "until": None,
        "compromised_at": None,
    }


def ratings() -> list[dict[str, Any]]:
    """Random rates and calls of every kind, some of them paid in part by included minutes."""
    rng, found = random.Random(18), []
    while len(found) < 80:
        call = random_call(rng)
        version = call.version
        whole = charge(version, call.talk_seconds, answered_at=call.answered_at)
        if len(found) % 4 == 3 and whole.talk_seconds > 1 and paid_seconds(whole):
            seconds = rng.randrange(1, paid_seconds(whole) + 1)
            document = quoted_pooled(whole, seconds, rest_after(whole, seconds))
        else:
            document = explained(whole)
        rate = version.rate(whole.row)
        found.append(
            {
                "charge": {
                    "kind": "dial_out",
                    "answered_at": format_time(call.answered_at),
                    "talk_seconds": call.talk_seconds,
                    **document,
                },
                "rate": rate_document(version, rate),
                "amount": document["amount"],
                "billed_seconds": document["billed_seconds"],
            }
        )
    return found


class Scenario:
    """Some days of an account: legs at several rates, corrections, an erasure."""

    def __init__(self, app: ChargingApp) -> None:
        self.app = app
        self.persons: dict[int, Mapping[str, object]] = {}

    def play(self) -> None:
        app = self.app
        app.put(f"{CARD}/{JANUARY}", _card())
        app.put("/api/v1/bridges/pbx", {"dialect": "perminute", "accounts": ["*"]})
        body = {"currency": "EUR", "time_zone": ZONE, "usage_location": "FR"}
        app.put("/api/v1/accounts/contoso", body)
        self._credit("top-ups", {"amount": "5.00", "reference": "invoice 2026-118"})
        app.clock.advance(hours=3)
        ago = app.clock.now() - timedelta(hours=2, minutes=40, seconds=7)
        ken = {"organizer": "ken@contoso.com", "conference_id": "3001"}
        ended = [
            app.ended(talk_seconds=183, answered_at=ago, **ken),
            app.ended(to="+33170000001", talk_seconds=4_000, answered_at=ago),
            app.ended(to="+33170000002", talk_seconds=0),
            app.ended(to=TOKYO, talk_seconds=7, answered_at=ago, from_number=None),
            app.ended(to=LONDON, answered_at=None, talk_seconds=0),
        ]
        queued = [QueuedLeg(leg, app.clock.now()) for leg in ended]
        outcomes = app.run(app.container.charge_legs(queued, seconds=10))
        assert all(isinstance(each, Charged) for each in outcomes), outcomes
        first, paris = ended[0].key, ended[1].key
        app.clock.advance(hours=17)
        ago = app.clock.now() - timedelta(hours=3)
        late = app.leg(to="+33170000003", talk_seconds=7_300, answered_at=ago)
        app.clock.advance(hours=5)
        app.post(f"/api/v1/accounts/contoso/legs/{first}/reversal", {"reason": "a bad line"})
        app.clock.advance(days=2)
        app.put(f"{CARD}/2026-05-01T00:00:00Z?backdate=true", _card("0.05", "0.03"))
        anew = {"accounts": ["contoso"], "from": JANUARY, "reason": "a wrong price"}
        answer = app.post("/api/v1/reratings", {**anew, "dry_run": False})
        assert answer.status < 300, answer.body
        self._credit("adjustments", {"amount": "-0.50", "reason": "a fee"})
        erased = app.post("/api/v1/accounts/contoso/erasures", {"number": "+33170000003"})
        assert erased.status == 200, erased.body
        app.clock.advance(days=5)
        self._credit("top-ups", {"amount": "2.50"}, key="second")
        app.clock.advance(minutes=5)
        app.leg(to=LONDON, talk_seconds=59, answered_at=app.clock.now() - timedelta(seconds=90))
        self.legs = (first, paris, late)

    def _credit(self, route: str, body: dict[str, Any], key: str = "first") -> None:
        answer = self.app.post(
            f"/api/v1/accounts/contoso/{route}", body, headers={"idempotency-key": f"{route}{key}"}
        )
        assert answer.status == 201, answer.body

    def commits(self) -> list[PublicCommit]:
        run, ledger = self.app.run, self.app.container.ledger
        found: list[PublicCommit] = []
        previous = GENESIS
        for each in run(ledger.journal("contoso", after=0, limit=1000)):
            commit = PublicCommit(
                "contoso",
                each.number,
                each.at,
                each.balance_micros,
                each.first,
                each.entries,
                previous,
            )
            previous = commit.public_hash()
            found.append(commit)
        legs = {entry.leg for each in found for entry in each.entries if entry.leg}
        persons = run(ledger.persons_of("contoso", sorted(legs)))
        self.persons = {
            entry.sequence: persons[entry.leg]
            for each in found
            for entry in each.entries
            if entry.is_first_debit and entry.leg
        }
        return found

    def rates(self, entries: Iterable[Entry]) -> list[dict[str, object]]:
        found: dict[bytes, dict[str, object]] = {}
        for entry in entries:
            rate: Any = (entry.charge or {}).get("rate")
            if rate:
                when = datetime.fromisoformat(rate["version"])
                stored = self.app.run(self.app.container.rate_cards.version(rate["card"], when))
                assert stored is not None
                one = next(each for each in stored[1].rates() if each.prefix == rate["prefix"])
                document = rate_document(stored[1], one)
                found[canonical_json(document)] = document
        return [found[key] for key in sorted(found)]

    def days(self, commits: Sequence[PublicCommit]) -> list[ProvenDay]:
        """Every day closed but the last one, which gets an interim root."""
        first, last = (local_day(each.at, ZONE) for each in (commits[0], commits[-1]))
        found: list[ProvenDay] = []
        rest, label = list(commits), datetime.fromisoformat(first)
        while (day := label.date().isoformat()) <= last:
            label += timedelta(days=1)
            until = day_start(label.date().isoformat(), ZONE)
            made = DayTree("contoso", found[-1].signed if found else None)
            taken: list[PublicCommit] = []
            while rest and rest[0].at < until:
                taken.append(rest.pop(0))
                made.add(taken[-1])
            rates = self.rates(entry for each in taken for entry in each.entries)
            is_open = day == last
            signed_at = (
                self.app.clock.now() if is_open else until.astimezone(UTC) + timedelta(hours=2)
            )
            root = made.root(
                rates,
                currency="EUR",
                time_zone=ZONE,
                day=day,
                until=signed_at if is_open else until,
                signed_at=signed_at,
                key=_key()["id"],
                is_interim=is_open,
            )
            signed = SignedRoot(root, _private().sign(signed_bytes(root)))
            found.append(ProvenDay(signed, tuple(made.leaves), tuple(rates)))
        return found


def _card(britain: str = "0.10", france: str = "0.02") -> dict[str, Any]:
    def rate(prefix: str, price: str, name: str, **more: Any) -> dict[str, Any]:
        slots = [{"from_second": 0, "price": price, "unit_seconds": 60, "increment_seconds": 60}]
        facts = {"kind": "dial_out", "prefix": prefix, "destination": name, "slots": slots}
        return {**facts, **more}

    second = {"from_second": 0, "price": "0.0123", "unit_seconds": 60, "increment_seconds": 1}
    evening = {
        "name": "evening",
        "weight": 2,
        "from": "19:00",
        "until": "07:30",
        "slots": [second, {**second, "from_second": 600, "price": "0.005"}],
    }
    return {
        "currency": "EUR",
        "time_zone": ZONE,
        "rounding": {"mode": "half_even", "decimals": 4},
        "rates": [
            rate("44", britain, "United Kingdom", connection_fee="0.05"),
            rate("33", france, "France", bands=[evening], minimum_charge="0.03"),
            rate("81", "1.1", "Japan", grace_seconds=5, maximum_charge="0.9"),
        ],
    }


def _receipt(
    commits: Sequence[PublicCommit],
    days: Sequence[ProvenDay],
    persons: Mapping[int, Mapping[str, object]],
    sequences: Sequence[int],
    leg: str | None,
) -> dict[str, Any]:
    proven, corrections = [], []
    for commit in commits:
        for entry in commit.entries:
            link = EntryCorrection.of(entry)
            if link and (link.entry in sequences or link.corrects in sequences):
                corrections.append(link)
            if entry.sequence in sequences:
                day = next(d for d in days if commit.number <= d.signed.root.last)
                proven.append(Proven(entry, commit, day, persons.get(entry.sequence, {})))
    return receipt_document("contoso", leg, proven, corrections, AT + timedelta(days=9))


def _month(
    scenario: Scenario, commits: Sequence[PublicCommit], days: Sequence[ProvenDay], month: str
) -> list[str]:
    chosen = [day for day in days if day.signed.root.day.startswith(month)]
    before = [day for day in days if day.signed.root.day < month]
    checkpoint = before[-1].signed if before else None
    file = MonthFile(chosen[0].signed.root)
    rates = {canonical_json(rate): rate for day in chosen for rate in day.rates}
    lines = list(
        file.head(
            month,
            is_interim=chosen[-1].signed.root.is_interim,
            persons=True,
            created_at=AT + timedelta(days=9),
            checkpoint=checkpoint,
            rates=rates.values(),
        )
    )
    for day in chosen:
        root = day.signed.root
        lines += [
            file.commit(each, scenario.persons)[0]
            for each in commits
            if root.after < each.number <= root.last
        ]
        lines.append(file.root(day.signed))
    return [line.decode() for line in (*lines, *file.tail())]


def make() -> dict[str, Any]:
    """All of it."""
    with ChargingApp() as app:
        scenario = Scenario(app)
        scenario.play()
        commits = scenario.commits()
        days = scenario.days(commits)
        of_leg = {
            leg: [e.sequence for c in commits for e in c.entries if e.leg == leg]
            for leg in scenario.legs
        }
        every = [rate for day in days for rate in day.rates]
        receipts = [
            _receipt(commits, days, scenario.persons, of_leg[leg], leg) for leg in scenario.legs
        ]
        receipts.append(_receipt(commits, days, {}, [1], None))
        last = commits[-1].entries[-1]
        receipts.append(_receipt(commits, days, scenario.persons, [last.sequence], last.leg))
        return {
            **fixed(),
            "rates": {"rates": every, "root": rates_root(every)},
            "ratings": ratings(),
            "roots": [day.signed.document() for day in days],
            "receipts": receipts,
            "months": [
                {"lines": _month(scenario, commits, days, month)}
                for month in ("2026-11", "2026-12")
            ],
        }


if __name__ == "__main__":
    json.dump(make(), sys.stdout, indent=1, ensure_ascii=False)

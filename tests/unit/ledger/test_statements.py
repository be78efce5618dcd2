"""Statements are net of reversals and re-ratings by every grouping, in open and closed months."""

import asyncio
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.erasure import TableEraser
from shared.adapters.ledger import rows
from shared.adapters.ledger.months import month_values
from shared.adapters.tables.packing import pack, unpack
from shared.domain.common import limits
from shared.domain.common.canonical import content_digest
from shared.domain.common.money import format_amount
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.model import (
    DebitLeg,
    EntryKind,
    ExpireLot,
    LegCharge,
    PoolRequest,
    RerateLeg,
    ReverseLeg,
    TopUp,
)
from shared.domain.ledger.statements import Statement, Total, month_of
from shared.ports.tables import Upsert
from shared.usecases.ledger.close_months import add_up_month, close_months
from shared.usecases.ledger.credit_account import opened_lots, present_debit
from tests.support.calls import Calls, rate
from tests.support.product import Product
from tests.support.stored_ledger import ACCOUNT, START, CountedTables, StoredLedger, all_rows, leg

UNIT = 1_000_000
KINDS = ("dial_out", "dial_in")
PLACES = ("France", "Japan", "Peru")
CENTERS = (None, "cc-1", "cc-2")


@dataclass
class _Known:
    """A leg as the test knows it."""

    kind: str
    place: str
    center: str | None
    amount: int
    seconds: int
    pool_seconds: int = 0
    month: str = ""
    reversed: bool = False
    organizer: str = ""


def _charge(known: _Known) -> dict[str, object]:
    paid = known.amount > 0
    return {
        "kind": known.kind,
        "status": "charged" if paid else "pool" if known.pool_seconds else "zero",
        "amount": format_amount(known.amount),
        "billed_seconds": known.seconds + known.pool_seconds,
        "rate": {"card": "default", "destination": known.place, "prefix": "1"},
        "cost_center": known.center,
        **({"pool_seconds": known.pool_seconds} if known.pool_seconds else {}),
    }


@dataclass
class _History:
    """A ledger to which random things happen, and what they come to."""

    app: StoredLedger = field(default_factory=StoredLedger)
    legs: dict[str, _Known] = field(default_factory=dict)
    moved: list[tuple[str, _Known, int]] = field(default_factory=list)

    def _month(self) -> str:
        return month_of(self.app.clock.now(), "UTC")

    def _note(self, known: _Known, sign: int) -> None:
        self.moved.append((self._month(), replace(known), sign))

    async def leg(self, number: int, kind: int, place: int, center: int, size: int) -> None:
        known = _Known(KINDS[kind], PLACES[place], CENTERS[center], size * 1000, size * 60)
        name = f"local~{number}"
        pool = None
        if number % 3 == 0:  # the pool pays a part or all of it
            rest = replace(known, pool_seconds=30, amount=known.amount if number % 2 else 0)
            rest.seconds = known.seconds if rest.amount else 0
            charge = _charge(rest)
            paid = LegCharge(rest.amount, charge, content_digest(charge))
            pool = PoolRequest(self._month(), 30, lambda _: paid)
        charge = _charge(known)
        person = {"organizer": "ken" if number % 2 else None, "salt": str(number)}
        await self.app.ledger.submit(
            ACCOUNT,
            DebitLeg(
                leg=name,
                digest=f"content {number}",
                amount_micros=known.amount,
                answered_at=self.app.clock.now() - timedelta(days=number % 5 * 20),
                authorization=None,
                charge=charge,
                person=person,
                charge_digest=content_digest(charge),
                person_digest=content_digest(person),
                pool=pool,
            ),
        )
        record = await self.app.ledger.leg(ACCOUNT, name)
        assert record is not None
        if record.entry.pool is not None:
            known = rest
        known.organizer = "ken" if number % 2 else ""
        self.legs[name] = known
        self._note(known, 1)

    async def correct(self, which: int, place: int, size: int, *, again: bool) -> None:
        names = [name for name, known in self.legs.items() if not known.reversed]
        if not names:
            return
        name = names[which % len(names)]
        known = self.legs[name]
        debits = await self.app.ledger.debits(ACCOUNT, name)
        debit = present_debit(debits)
        lots = await opened_lots(self.app.ledger, ACCOUNT, debit)
        self._note(known, -1)
        if not again:
            await self.app.ledger.submit(ACCOUNT, ReverseLeg(name, debit, lots, "a bad line"))
            known.reversed = True
            return
        other = replace(known, place=PLACES[place], amount=size * 700)
        other.seconds = known.seconds if other.amount else 0
        charge = _charge(other) | {
            "replaces": {
                "entry": debit.sequence,
                "amount": debits[-1].charge["amount"],
                "billed_seconds": debits[-1].charge["billed_seconds"],
                "rate": debits[-1].charge["rate"],
            }
        }
        digest = content_digest(charge)
        command = RerateLeg(
            name, debit, lots, f"x|{debit.sequence}", other.amount, charge, digest, "a wrong card"
        )
        await self.app.ledger.submit(ACCOUNT, command)
        self.legs[name] = other
        self._note(other, 1)

    def expected(self, month: str, grouping: str) -> dict[str, Total]:
        """What the groups must be by the test's own account."""
        found: dict[str, Total] = {}
        for when, known, sign in self.moved:
            if when != month:
                continue
            names = {
                "by_leg_kind": known.kind,
                "by_destination": known.place,
                "by_cost_center": known.center or "",
                "by_organizer": known.organizer,
            }
            total = found.setdefault(names[grouping], Total())
            paid = known.seconds if known.amount else 0
            total.add(sign * known.amount, sign, sign * paid, sign * known.pool_seconds)
        return {name: total for name, total in found.items() if total != Total()}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("leg"), st.integers(0, 1), st.integers(0, 2), st.integers(0, 20)),
        st.tuples(st.just("reverse"), st.integers(0, 99), st.just(0), st.just(0)),
        st.tuples(st.just("rerate"), st.integers(0, 99), st.integers(0, 2), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.integers(1, 20), st.just(0), st.just(0)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=80)
@given(steps=STEPS)
def test_every_grouping_of_every_month_re_adds_to_the_ledger_open_and_closed(
    steps: Sequence[tuple[str, int, int, int]],
) -> None:
    asyncio.run(_played(steps))


async def _played(steps: Sequence[tuple[str, int, int, int]]) -> None:
    history = _History()
    app = history.app
    await app.open(credits_micros=50_000)  # small: debits go beyond it, and lots lapse
    for number, (what, first, second, third) in enumerate(steps):
        if what == "leg":
            await history.leg(number, first, second, number % 3, third)
        elif what == "wait":
            app.clock.advance(days=first)
        else:
            await history.correct(first, second, third, again=what == "rerate")
    months = {month for month, _, _ in history.moved} | {month_of(app.clock.now(), "UTC")}
    opened = {m: (await add_up_month(app.ledger, ACCOUNT, m, "UTC")).statement for m in months}
    for month, statement in opened.items():
        await _agrees(history, month, statement)
    app.clock.advance(days=62)
    with patch.object(limits, "INDEX_ENTRIES_MIN", 1):
        await app.ledger.pack_until(ACCOUNT, app.clock.now())
    for month, statement in opened.items():
        assert (await add_up_month(app.ledger, ACCOUNT, month, "UTC")).statement == statement
    await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now())
    for month, statement in opened.items():
        closed = await app.ledger.closed_month(ACCOUNT, month)
        assert closed is not None
        assert replace(closed.statement) == statement
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()


async def _agrees(history: _History, month: str, statement: Statement) -> None:
    assert statement.re_adds
    for grouping, totals in statement.groupings.items():
        shown = {name: total for name, total in totals.items() if total != Total()}
        assert shown == history.expected(month, grouping), grouping
    entries = [
        entry
        for commit in await history.app.ledger.history(ACCOUNT, after=0)
        for entry in commit.entries
        if entry.leg is not None and month_of(entry.at, "UTC") == month
    ]
    spent = -sum(entry.amount_micros for entry in entries)
    for totals in statement.groupings.values():
        assert sum(total.amount_micros for total in totals.values()) == spent
    counts = sum(1 if entry.kind is EntryKind.DEBIT else -1 for entry in entries)
    assert statement.charges.count == counts


def _spoiled(statement: Statement, grouping: str, **change: int) -> Statement:
    totals = dict(getattr(statement, grouping))
    name = next(iter(totals))
    totals[name] = replace(totals[name], **change)
    return replace(statement, **{grouping: totals})


async def test_re_adds_covers_every_grouping_and_every_sum() -> None:
    app = StoredLedger()
    await app.lived()
    statement = (await add_up_month(app.ledger, ACCOUNT, "2026-01", "UTC")).statement
    assert statement.re_adds
    for grouping in statement.groupings:
        for change in ("count", "amount_micros", "seconds", "pool_seconds"):
            assert not _spoiled(statement, grouping, **{change: 7_777_777}).re_adds
    assert not replace(statement, restored_micros=1).re_adds


async def test_a_month_row_of_the_former_schema_is_not_read_and_is_rebuilt_at_night() -> None:
    tables = CountedTables()
    app = StoredLedger(tables)
    await app.lived()
    app.clock.moment = datetime.fromisoformat("2026-03-01T02:00Z")
    await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now())
    row = await tables.get("ledger", ACCOUNT, "month|2026-01")
    assert row is not None
    content: Any = unpack("data", row.values)
    former = {
        "entries": content["entries"],
        "by_kind": {name: total[:3] for name, total in content["by_kind"].items()},
        "by_destination": {"United Kingdom": [7, -686_000, 1_680]},
    }
    plain = {name: value for name, value in row.values.items() if not name.startswith("data")}
    values = {**plain, "schema": 1, **pack("data", former)}
    await tables.transact("ledger", ACCOUNT, [Upsert(row.key, values)])

    assert await app.ledger.closed_month(ACCOUNT, "2026-01") is None
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    assert (await app.ledger.verify(ACCOUNT, resume=True)).problems == ()
    both = [close_months(app.ledger, ACCOUNT, "UTC", app.clock.now()) for _ in range(2)]
    await asyncio.gather(*both)
    rebuilt = await tables.get("ledger", ACCOUNT, "month|2026-01")
    assert rebuilt is not None
    assert rebuilt.values == row.values
    closed = await app.ledger.closed_month(ACCOUNT, "2026-01")
    assert closed is not None
    assert month_values(closed) == row.values
    assert await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now()) == 0
    spoiled = {**row.values, **pack("data", content | {"by_leg_kind": {}})}
    await tables.transact("ledger", ACCOUNT, [Upsert(row.key, spoiled)])
    (problem,) = (await app.ledger.verify(ACCOUNT, resume=True)).problems
    assert problem == "month|2026-01: by_leg_kind: is not what the journal adds up to"


async def test_an_erased_organizer_is_in_no_statement_row_and_the_sums_stay() -> None:
    tables = CountedTables()
    app = StoredLedger(tables)
    await app.lived()
    for number in (20, 21):
        await app.ledger.submit(ACCOUNT, leg(number, at=app.clock.now(), organizer="pia"))
    debit = present_debit(await app.ledger.debits(ACCOUNT, "local~20"))
    lots = await opened_lots(app.ledger, ACCOUNT, debit)
    await app.ledger.submit(ACCOUNT, ReverseLeg("local~20", debit, lots, "a bad line"))
    app.clock.moment = datetime.fromisoformat("2026-03-01T02:00Z")
    await app.ledger.pack_until(ACCOUNT, app.clock.now())
    await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now())
    before = await app.ledger.closed_month(ACCOUNT, "2026-01")
    assert before is not None
    assert before.statement.by_organizer["pia"].count == 1
    assert before.statement.by_organizer["ken@contoso.com"].count == 7
    assert (await app.ledger.verify(ACCOUNT)).problems == ()

    for _ in range(2):
        await TableEraser(tables).erase(ACCOUNT, number=None, organizer="pia")

    for row in all_rows(tables, "ledger"):
        names = json.dumps(rows.read_organizers(row))
        assert "pia" not in names + str(row.values)
    assert (await app.ledger.verify(ACCOUNT)).problems == ()
    assert await app.ledger.closed_month(ACCOUNT, "2026-01") is None
    await close_months(app.ledger, ACCOUNT, "UTC", app.clock.now())
    after = await app.ledger.closed_month(ACCOUNT, "2026-01")
    assert after is not None
    assert after.statement.re_adds
    assert after.statement.charges == before.statement.charges
    assert after.statement.by_organizer[""] == before.statement.by_organizer["pia"]
    assert (await app.ledger.verify(ACCOUNT)).problems == ()


async def test_an_organizer_beside_the_entries_that_is_not_the_legs_is_named() -> None:
    tables = CountedTables()
    app = StoredLedger(tables)
    await app.lived()
    (key, values) = next(
        (row.key, row.values)
        for row in all_rows(tables, "ledger")
        if row.key.startswith("journal|") and "organizers0" in row.values
    )
    for other in (b'["pia"]', b"[null]"):
        edit = Upsert(key, {**values, "organizers0": zlib.compress(other)})
        await tables.transact("ledger", ACCOUNT, [edit])
        (problem,) = (await app.ledger.verify(ACCOUNT)).problems
        assert problem == f"{key}: organizers: are not those of its legs"


def test_a_statement_shows_what_legs_cost_after_corrections_by_kind_and_destination() -> None:
    """Two legs of 0.06: one is reversed, the other is charged again at 0.15. Another is parked."""
    app = Product()
    calls = Calls(app)
    try:
        other = {
            "currency": "USD",
            "time_zone": "UTC",
            "rounding": {"mode": "half_up", "decimals": 4},
            "rates": [rate("44", "0.15")],
        }
        calls.put("rate-cards/other/versions/2020-01-01T00:00:00Z", other)
        first, second = (calls.charged(talk_seconds=60) for _ in range(2))
        path = "/api/v1/accounts/contoso"
        reversal = f"{path}/legs/{quote(first['leg'])}/reversal"
        assert app.post(reversal, {"reason": "a bad line"}).status == 201
        body = {"accounts": ["contoso"], "legs": [second["leg"]], "rate_card": "other"}
        body |= {"dry_run": False, "reason": "a wrong card"}
        assert app.post("/api/v1/reratings", body).status == 200
        app.run(app.container.charge_legs([calls.ended(to_number="+81312345678")], seconds=9))

        shown = app.get(f"{path}/statements/{calls.app.clock.now():%Y-%m}").json

        one = {"count": 1, "amount": "0.15", "billed_seconds": 60, "pool_seconds": 0}
        assert shown["re_adds"]
        assert shown["by_destination"] == [{"name": "44", **one}]
        assert shown["by_organizer"] == [{"name": "ken", **one}]
        assert shown["by_cost_center"] == [{"name": None, **one}]
        assert shown["by_leg_kind"] == [{"name": "dial_out", **one}]
        assert shown["charges"] == one
        assert {each["name"]: each["amount"] for each in shown["by_kind"]} == {
            "top_up": "10.00",
            "debit": "-0.27",
            "reversal": "0.12",
        }
        assert shown["parked"] == {"open": 1}
    finally:
        app.close()


def test_a_month_with_only_the_reversal_shows_one_leg_less() -> None:
    app = Product()
    calls = Calls(app)
    try:
        first = calls.charged(talk_seconds=60)
        app.clock.advance(40 * 24 * 3600)
        path = "/api/v1/accounts/contoso"
        app.post(f"{path}/legs/{quote(first['leg'])}/reversal", {"reason": "a bad line"})
        month = f"{app.clock.now():%Y-%m}"
        before = app.get(f"{path}/statements/{month}").json
        assert before["by_destination"] == [
            {
                "name": "44",
                "count": -1,
                "amount": "-0.06",
                "billed_seconds": -60,
                "pool_seconds": 0,
            }
        ]
        assert before["re_adds"]
        app.clock.advance(40 * 24 * 3600)
        assert app.run(app.container.audit_ledgers()).problems == []
        assert app.get(f"{path}/statements/{month}").json == before
        assert app.get(f"{path}/verify").json["problems"] == []
    finally:
        app.close()


async def test_what_a_late_leg_gets_back_of_a_lapsed_lot_is_no_legs_charge() -> None:
    app = StoredLedger()
    await app.open(credits_micros=1)
    expires_at = START + timedelta(days=1)
    await app.ledger.submit(
        ACCOUNT, TopUp("gift", "digest", UNIT, LotKind.GRANTED, expires_at=expires_at)
    )
    app.clock.advance(days=2)
    await app.ledger.submit(ACCOUNT, ExpireLot("lot-2", 0))
    await app.ledger.submit(ACCOUNT, leg(1, at=START, amount_micros=300_000))

    statement = (await add_up_month(app.ledger, ACCOUNT, "2026-01", "UTC")).statement

    assert statement.re_adds
    assert statement.restored_micros == statement.by_kind["reversal"].amount_micros > 0
    assert statement.charges.amount_micros == 300_000
    assert statement.by_destination["United Kingdom"].count == 1

"""A month of 100,000 legs and 10,000 parked legs in a browser: `console/tests/hostile.mjs` against
the product in this process, whose rows its own stores wrote. The expected lists and groups come
from the legs themselves. The time of each page is a figure in `build/console-100k.json`, not a
limit of the test."""

import asyncio
import gc
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.stack import ROOT
from shared.adapters.clock import SystemClock
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.ledger.statements import last_month
from shared.domain.legs.parking import ParkedLeg, ParkReason
from tests.bench.bench_usage import ACCOUNT, fill, month_leg
from tests.console.browser import MISSING, play
from tests.console.served import served
from tests.support.memory_tables import MemoryTables
from tests.support.product import ADMIN_KEY, ManualClock, Product

LEGS, PARKED, PAGE = 100_000, 10_000, 50
REPORT = ROOT / "build/console-100k.json"
REASONS = (ParkReason.RATE_MISSING, ParkReason.NUMBER_INVALID, ParkReason.INCOMPLETE)
PUBLISHED = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = (
    *("organizer", "cost_center", "conference", "kind", "region", "destination", "bridge"),
    "conference,organizer",
)


@pytest.mark.extended
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
@pytest.mark.timeout(1800)
def test_a_huge_month_and_ten_thousand_parked_legs_in_a_browser() -> None:
    measure_pages()


def measure_pages() -> dict[str, int]:
    """The milliseconds of each page. Raises AssertionError for a wrong page."""
    tables = MemoryTables()
    month = last_month(datetime.now(UTC), "UTC")
    first = datetime.fromisoformat(f"{month}-01T00:10:00+00:00")
    with Product(tables, ManualClock(first)) as past:
        past.account(ACCOUNT, time_zone="UTC")
        past.run(fill(past.container.ledger, past.clock, first, LEGS))
        past.run(_park(past, datetime.now(UTC) - timedelta(hours=1)))
    gc.collect()
    gc.freeze()  # rows of a table are in another process, out of the collector's reach
    with Product(tables, SystemClock()) as product, served(product, ACCOUNT) as base_url:
        play(
            "hostile.mjs",
            base_url=base_url,
            admin_key=ADMIN_KEY,
            account=ACCOUNT,
            month=month,
            legs=LEGS,
            parked=PARKED,
            report=str(REPORT),
            expected=_expected(),
        )
    gc.unfreeze()
    times: dict[str, int] = json.loads(REPORT.read_text())
    return times


@dataclass(frozen=True, slots=True)
class _Leg:
    """A leg of the month; `number` is its place."""

    number: int
    micros: int
    values: dict[str, str]

    @property
    def key(self) -> str:
        return f"studio~{self.number}"


def _legs() -> list[_Leg]:
    found = []
    for number in range(LEGS):
        debit = month_leg(number, PUBLISHED)
        charge: Any = debit.charge
        values = {
            name: str(charge[name])
            for name in ("cost_center", "conference", "kind", "region", "bridge", "status")
        }
        values |= {"destination": charge["rate"]["destination"]}
        values |= {name: str(debit.person[name]) for name in ("organizer", "from", "to")}
        found.append(_Leg(number, debit.amount_micros, values))
    return found


def _expected() -> dict[str, object]:
    legs = _legs()
    orders: dict[str, Callable[[_Leg], tuple[int, int]]] = {
        "": lambda leg: (-leg.number, 0),
        "&order=oldest": lambda leg: (leg.number, 0),
        "&order=amount": lambda leg: (-leg.micros, -leg.number),
    }
    one = legs[LEGS * 7 // 9].values
    filters: dict[str, Callable[[_Leg], bool]] = {
        "": lambda _: True,
        **{
            f"&{name}={one[name]}": lambda leg, name=name: leg.values[name] == one[name]  # type: ignore[misc]
            for name in (
                *("organizer", "conference", "cost_center", "kind", "region", "destination"),
                *("bridge", "status"),
            )
        },
        f"&number=%2B{one['to'][1:]}": lambda leg: leg.values["to"] == one["to"],
        f"&number=%2B{one['from'][1:]}": lambda leg: leg.values["from"] == one["from"],
        "&number=%2B4912345678": lambda _: False,
        "&status=zero": lambda _: False,
        "&flag=late": lambda _: False,
        "&min_amount=0.1019": lambda leg: leg.micros >= 101_900,
        f"&organizer={one['organizer']}&region=FR&min_amount=0.05": lambda leg: (
            leg.values["organizer"] == one["organizer"]
            and leg.values["region"] == "FR"
            and leg.micros >= 50_000
        ),
    }
    lists: dict[str, object] = {}
    for number, (wanted, admits) in enumerate(filters.items()):
        admitted = [leg for leg in legs if admits(leg)]
        for order, key in (
            list(orders.items()) if not wanted else [list(orders.items())[number % 3]]
        ):
            page = [leg.key for leg in sorted(admitted, key=key)[:PAGE]]
            found = {"legs": page, "more": len(admitted) > PAGE}
            lists[wanted + order] = found
            if "amount" in order:
                lists[f"{wanted}{order}&time=answered"] = found
    second = sorted(legs, key=orders["&order=amount"])[PAGE : 2 * PAGE]
    return {
        "total": format_amount(sum(leg.micros for leg in legs)),
        "usage": {by: _usage(legs, by.split(",")) for by in GROUPS},
        "lists": lists,
        "second": [leg.key for leg in second],
    }


def _usage(legs: list[_Leg], groups: list[str]) -> list[list[object]]:
    """The first three groups: names, legs, amount."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for leg in legs:
        total = sums[tuple(leg.values[name] for name in groups)]
        total[0] += 1
        total[1] += leg.micros
    first = sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))[:3]
    return [[*names, count, format_amount(micros)] for names, (count, micros) in first]


async def _park(product: Product, received_at: datetime) -> None:
    for start in range(0, PARKED, 500):
        await asyncio.gather(
            *(
                product.container.parking.park(_parked(number, received_at))
                for number in range(start, min(start + 500, PARKED))
            )
        )


def _parked(number: int, received_at: datetime) -> ParkedLeg:
    received_at += timedelta(milliseconds=number)
    at = format_time(received_at)
    original = {
        "leg_id": f"parked-{number}",
        "kind": "dial_out",
        "to": f"+99931{number:07}",
        "started_at": at,
        "answered_at": at,
        "ended_at": at,
        "talk_seconds": 60,
    }
    return ParkedLeg(
        id=f"{number:032x}.{number:032x}",
        leg=f"studio~parked-{number}",
        bridge="studio",
        reason=REASONS[number % len(REASONS)],
        detail="Rate card default has no dial_out rate for the number.",
        received_at=received_at,
        account=ACCOUNT,
        original=original,
    )

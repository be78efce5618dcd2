"""Usage, statements and lists of legs agree with a model on random histories."""

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.domain.common import limits
from tests.model import usage_model
from tests.support.charging_app import JANUARY, LONDON, PARIS, ChargingApp
from tests.support.product import ManualClock

ACCOUNT = "fund"
PATH = f"/api/v1/accounts/{ACCOUNT}"
STARTS = {  # before the clocks go back, a month's end, and neither
    "Europe/Paris": datetime(2026, 10, 24, 5, tzinfo=UTC),
    "America/New_York": datetime(2026, 10, 30, 9, tzinfo=UTC),
    "Asia/Tokyo": datetime(2026, 11, 27, 3, tzinfo=UTC),
}
ORGANIZERS = {"ken": "subscription", "amy": "pay_per_minute", None: ""}
GROUPS = (
    "organizer,destination",
    "cost_center,conference,kind",
    "region,number_class,bridge",
    "day,hour",
    "week,month",
)
SUMS = ("legs", "answered_legs", "talk_seconds", "billed_seconds", "pool_seconds", "amount")
BASE, EXTENDED = range(6), range(6, 300)
PARTS = 6


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each closed day is put into columns, however few its entries are."""
    monkeypatch.setattr(limits, "INDEX_ENTRIES_MIN", 1)


class History:
    """A product to which random things happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zone = list(STARTS)[seed % len(STARTS)]
        clock = ManualClock()
        clock.moment = STARTS[self.zone]
        self.app = ChargingApp(clock=clock)
        self.app.settle()
        self.app.account(ACCOUNT, time_zone=self.zone, subscription_licenses=1)
        body = {"amount": "500.00"}
        self.app.post(f"{PATH}/top-ups", body, headers={"idempotency-key": "one"})
        for name, license_name in ORGANIZERS.items():
            if name:
                facts = {"license": license_name, "cost_center": f"cc-{name}"}
                self.app.put(f"{PATH}/organizers/{name}", facts)
        self.legs: list[str] = []
        self.is_cheaper = False

    def leg(self) -> None:
        late = self.random.choice((2000, 2000, 2000, 3600, 86_400, 40 * 3600))
        answered_at = self.app.clock.now() - timedelta(seconds=late)
        is_answered = self.random.random() < 0.85
        seconds = self.random.randrange(1, 2000)
        self.legs.append(
            self.app.leg(
                ACCOUNT,
                to=self.random.choice((LONDON, PARIS)),
                organizer=self.random.choice(list(ORGANIZERS)),
                conference_id=self.random.choice(("3001", "3002")),
                answered_at=answered_at if is_answered else None,
                started_at=answered_at,
                ended_at=answered_at + timedelta(seconds=seconds),
                talk_seconds=seconds if is_answered else 0,
            )
        )

    def reverse(self) -> None:
        if self.legs:
            leg = self.random.choice(self.legs)
            self.app.post(f"{PATH}/legs/{leg}/reversal", {"reason": "Bad line"})

    def rerate(self) -> None:
        if not self.is_cheaper:
            self.app.cheaper()
            self.is_cheaper = True
        selection = {"accounts": [ACCOUNT], "from": JANUARY, "dry_run": False, "reason": "Cheaper"}
        assert self.app.post("/api/v1/reratings", selection).status == 200

    def erase(self) -> None:
        organizer = self.random.choice(("ken", "amy"))
        self.app.post(f"{PATH}/erasures", {"organizer": organizer})

    def night(self) -> None:
        self.app.run(self.app.container.audit_ledgers())

    def play(self) -> None:
        steps = (self.leg, self.reverse, self.rerate, self.erase, self.night)
        for _ in range(30):
            self.random.choices(steps, weights=(20, 4, 1, 1, 4))[0]()
            self.app.clock.advance(self.random.randrange(60, 12 * 3600))

    def entries(self) -> list[Any]:
        commits = self.app.run(self.app.container.ledger.journal(ACCOUNT, after=0, limit=1000))
        return [entry for commit in commits for entry in commit.entries]


def spans(history: History) -> list[tuple[datetime, datetime]]:
    zone = ZoneInfo(history.zone)
    start = STARTS[history.zone].astimezone(zone)
    day = datetime(start.year, start.month, start.day, tzinfo=zone)
    days = [day + timedelta(days=number) for number in (0, 2, 5, 40)]
    odd = STARTS[history.zone] + timedelta(hours=31, minutes=7)
    return [(days[0], days[3]), (days[0], days[1]), (days[1], days[2]), (odd, days[3])]


def compare(history: History) -> None:
    entries = history.entries()
    for span in spans(history):
        bounds = "&".join(
            f"{name}={at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            for name, at in zip(("from", "to"), span, strict=True)
        )
        for time in ("booked", "answered"):
            for groups in GROUPS:
                query = f"usage?{bounds}&time={time}&group_by={groups}"
                items = history.app.get(f"{PATH}/{query}").json["items"]
                found = {
                    tuple(each[name] for name in groups.split(",")): [
                        Fraction(each[name]) for name in SUMS
                    ]
                    for each in items
                }
                names = groups.split(",")
                made = usage_model.usage(entries, span, time, names, history.zone)
                assert found == made, query
            query = f"legs?{bounds}&time={time}&order=oldest&limit=1000"
            listed = {
                each["leg"]: (
                    Fraction(each["amount"]),
                    Fraction(each["charged"]),
                    each["corrections"],
                )
                for each in history.app.get(f"{PATH}/{query}").json["items"]
            }
            assert listed == usage_model.legs(entries, span, time), query


def statements(history: History) -> None:
    entries = history.entries()
    months = {entry.at.astimezone(ZoneInfo(history.zone)).strftime("%Y-%m") for entry in entries}
    always = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    for month in months:
        statement = history.app.get(f"{PATH}/statements/{month}").json
        assert statement["re_adds"]
        for name in ("organizer", "cost_center"):
            groups = ["month", name]
            made = usage_model.usage(entries, always, "booked", groups, history.zone)
            found = {
                (month, each["name"]): [
                    each["count"],
                    each["billed_seconds"],
                    each["pool_seconds"],
                    Fraction(each["amount"]),
                ]
                for each in statement[f"by_{name}"]
            }
            of_month = {
                key: [sums[0], sums[3], sums[4], sums[5]]
                for key, sums in made.items()
                if key[0] == month and any((sums[0], sums[3], sums[4], sums[5]))
            }
            assert found == of_month, (month, name)


def check(seed: int) -> None:
    history = History(seed)
    history.play()
    compare(history)
    history.app.clock.advance(2 * 86_400)
    history.night()
    compare(history)
    statements(history)
    assert history.app.get(f"{PATH}/verify").json["problems"] == []


@pytest.mark.parametrize("seed", BASE)
def test_a_history_agrees_with_the_model(seed: int) -> None:
    check(seed)


@pytest.mark.extended
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_histories_agree_with_the_model(part: int) -> None:
    for seed in EXTENDED[part::PARTS]:
        check(seed)

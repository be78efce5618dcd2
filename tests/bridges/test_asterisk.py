"""The recipe of docs/bridges/asterisk.md, played by a real Asterisk and real SIP calls.

All calls run at the same time, each with an account and a conference of its own. What is billed is
compared with the phones' own clocks, and every account with the sum of its legs.
"""

import itertools
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from local.stack import ROOT, Stack
from tests.bridges.asterisk import (
    EXAMPLES,
    LAST,
    Asterisk,
    Installation,
    NotInstalled,
    installation,
    run_at_once,
)
from tests.bridges.gateway import Exchange, Gateway, Hook
from tests.bridges.phones import Clock, Phones
from tests.e2e.deployment import card, rate, slot
from tests.support.client import Admin, Http, Json, eventually

pytestmark = [pytest.mark.extended, pytest.mark.timeout(900)]

PAGE = ROOT / "docs" / "bridges" / "asterisk.md"
SECRET = "a-bridge-secret-of-the-tests"
MANAGER_SECRET = "choose-another-long-one"  # as the page says
CONTROL_SECRET = "whsec_" + "QUJD" * 12
CARD = "bridges"
FEE, PER_MINUTE_OUT, PER_MINUTE_IN = Decimal("0.05"), Decimal("0.60"), Decimal("0.30")
CALLER = "+3317018"  # and two digits of the room, two of the caller
PHONE = "+442079460"  # and two digits of the room, one that says what the phone does
SERVICE, OPERATOR = "+4989123450", "+4989123457"  # and two digits of the room
CHARGED_SECONDS_MAX = 180.0
LAG_PROBE_SECONDS = 0.02
CROWDED_LOAD, CROWDED_LAG_SECONDS = 3.0, 1.0
WAKE_UPS = 4  # sipp, the bridge's transport, its channel, its dial plan
UNANSWERED = Clock(None, None)
ANSWER_SECONDS_MAX = 15.0  # less than the bridge waits
STEP_SECONDS_MAX = 180.0  # of a bridge and a product on a busy machine


def recipe() -> dict[str, str]:
    """The configuration files of the page, by name."""
    found = re.findall(r"^`(\w+\.conf)`.*?\n\n```ini\n(.*?)```", PAGE.read_text(), re.M | re.S)
    return dict(found)


@dataclass(slots=True)
class Room:
    """An account with a conference and a service number of its own."""

    site: "Site"
    number: int
    credit: Decimal
    clocks: dict[str, Clock] = field(default_factory=dict)  # of callers, by their numbers
    legs_expected: int = 0

    @property
    def account(self) -> str:
        return f"room-{self.number}"

    @property
    def conference(self) -> str:
        return f"30{self.number:02}"

    @property
    def service_number(self) -> str:
        return f"{SERVICE}{self.number:02}"

    @property
    def operator_number(self) -> str:
        """A service number that an operator answers."""
        return f"{OPERATOR}{self.number:02}"

    def phone(self, behaviour: int) -> str:
        """The number of a phone of this room that the bridge dials."""
        return f"{PHONE}{self.number:02}{behaviour}"

    def caller(self, index: int) -> str:
        """The number of a caller of this room."""
        return f"{CALLER}{self.number:02}{index:02}"

    def call_in(self, index: int, seconds: float, number: str = "") -> None:
        """A caller in the conference."""
        caller = self.caller(index)
        clock = self.site.phones.call(number or self.service_number, seconds, caller=caller)
        self.clocks[caller] = clock

    def dial_out(self, behaviour: int, number: str = "", **variables: str) -> str:
        """Dial a phone into the conference, as a moderator does; returns its number."""
        number = number or self.phone(behaviour)
        self.site.dial(self, number, variables)
        return number

    def question(self, number: str) -> Json:
        """The answer to the question for a dial-out, once the product has answered."""
        found = eventually(lambda: self.site.exchanges("dial-outs", to=number), STEP_SECONDS_MAX)
        assert found, number
        return dict(found[0].answer)

    def reported(self, number: str, seconds: float = STEP_SECONDS_MAX) -> Json:
        """What the bridge posted when the leg to that number ended."""
        found = eventually(lambda: self.site.reports(number), seconds)
        assert found, number
        return dict(found[0].body)

    def check(self) -> None:
        """Every leg is billed within its phone's clock, no hold is left, and the ledger adds up."""
        if not eventually(self._is_settled, CHARGED_SECONDS_MAX):
            state = self.site.admin.get(f"accounts/{self.account}/dial-out-policy/state")
            legs, parked = self.site.legs(self.account), self.site.admin.get("parked-legs")
            pytest.fail(f"{self.account} is not settled: {legs} {state} {parked}", pytrace=False)
        # A phone logs the end of a call after the bridge may have reported it.
        eventually(lambda: all(each.is_over for each in self._dialled().values()), STEP_SECONDS_MAX)
        dialled = self._dialled()
        clocks = self.clocks | {
            number: clock for number, clock in dialled.items() if number not in self.operators
        }
        legs = {self._other(leg): leg for leg in self.site.legs(self.account)}
        total = sum((price_of(leg) for leg in legs.values()), Decimal(0))
        problems = [
            f"{number}: {leg['amount']}, the model says {price_of(leg)}"
            for number, leg in legs.items()
            if Decimal(leg["amount"]) != price_of(leg)
        ]
        problems += [f"{number}: no phone had that call" for number in legs if number not in clocks]
        for number, clock in clocks.items():
            billed = legs[number]["talk_seconds"] if number in legs else None
            lag = self.site.lag.seconds
            least, most = clock.billable_seconds(lag)
            if billed is None or not least <= billed <= most:
                problems.append(
                    f"{number}: {clock.seconds:.3f} s, billed {billed} s, lag {lag:.3f} s, {clock}"
                )
        state = self.site.admin.get(f"accounts/{self.account}")
        if Decimal(state["balance"]) != self.credit - total:
            problems.append(f"balance {state['balance']}, the model says {self.credit - total}")
        if not self.site.admin.get(f"accounts/{self.account}/verify")["ok"]:
            problems.append("the ledger does not verify")
        assert not problems, (self.account, problems)

    def talked_seconds(self, number: str) -> float:
        """The time on the clock of a phone, once its call is over."""
        assert eventually(
            lambda: self._dialled().get(number, UNANSWERED).ended_at, STEP_SECONDS_MAX
        ), number
        return self._dialled()[number].seconds

    def _dialled(self) -> dict[str, Clock]:
        """The clocks of this room's phones that the bridge has dialled."""
        own = f"{PHONE}{self.number:02}"
        found = self.site.phones.dialled()
        return {number: clock for number, clock in found.items() if number.startswith(own)}

    @property
    def operators(self) -> set[str]:
        """Phones that are no participants."""
        return {self.phone(7)}

    def _is_settled(self) -> bool:
        """Whether all legs are booked and no hold is open."""
        is_booked = len(self.site.legs(self.account)) == self.legs_expected
        held = self.site.admin.get(f"accounts/{self.account}")["held"]
        return is_booked and Decimal(held) == 0

    def _other(self, leg: Json) -> str:
        return str(leg["from"] if leg["kind"] == "dial_in" else leg["to"])


def price_of(leg: Json) -> Decimal:
    """The charge of a booked leg by the card of the tests, reckoned from scratch."""
    seconds = leg["talk_seconds"]
    if leg["answered_at"] is None or seconds == 0:
        return Decimal(0)
    if leg["kind"] == "dial_in":
        return PER_MINUTE_IN * seconds / 60
    return FEE + PER_MINUTE_OUT * seconds / 60


class Lag:
    """How late the busy machine wakes a process: phone and bridge see an event so far apart. A few
    milliseconds on a quiet machine, seconds where dozens of processes want two cores. A process
    that mostly sleeps, as this probe, is woken earlier than a busy one, so a second is assumed on a
    crowded machine where bridge and phones can't have real-time priority."""

    def __init__(self) -> None:
        self.seconds = 0.0
        threading.Thread(target=self._measure, daemon=True).start()

    def _measure(self) -> None:
        is_prompt = run_at_once(0)
        while True:
            began = time.monotonic()
            time.sleep(LAG_PROBE_SECONDS)
            late = time.monotonic() - began - LAG_PROBE_SECONDS
            is_crowded = not is_prompt and os.getloadavg()[0] > CROWDED_LOAD * (os.cpu_count() or 1)
            self.seconds = max(
                self.seconds, WAKE_UPS * late, CROWDED_LAG_SECONDS if is_crowded else 0.0
            )


class Site:
    """Product, Asterisk and phones."""

    bridge = "pbx1"

    def __init__(
        self, stack: Stack, gateway: Gateway, installed: Installation, switch: type[Asterisk]
    ) -> None:
        self.gateway = gateway
        self.admin = Admin(Http(stack.base_url), stack.admin_key)
        self._numbers = itertools.count(1)
        self.control_url = ""
        self.lag = Lag()
        environment = {
            "PERMINUTE_URL": f"{gateway.url}/api/v1",
            "PERMINUTE_BRIDGE": "pbx1",
            "PERMINUTE_USER": "pbx1",
            "PERMINUTE_SECRET": SECRET,
            "PERMINUTE_ANSWER_SECONDS": "60",  # a busy machine may be slow, and is not denied
        }
        self.asterisk = switch(installed, recipe(), environment)
        self.phones = Phones(self.asterisk)

    @contextmanager
    def control(self) -> Iterator[None]:
        """The recipe's adapter, which extends and ends calls."""
        from control import Control, server
        from perminute import Perminute

        url = f"{self.gateway.url}/api/v1"
        perminute = Perminute(url, self.bridge, self.bridge, SECRET)
        with server(
            Control(self.calls(), [CONTROL_SECRET], perminute, 900), "127.0.0.1:0"
        ) as running:
            self.control_url = f"http://127.0.0.1:{running.server_port}/control"
            threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
            yield
            running.shutdown()

    def calls(self) -> Any:
        """What the adapter acts on."""
        from asterisk_control import AsteriskCalls

        return AsteriskCalls(self.manager_address, "perminute", MANAGER_SECRET)

    def register_card(self) -> None:
        """The card of all accounts."""
        version = card(
            rate("44", slot(str(PER_MINUTE_OUT), 1), fee=str(FEE)),
            rate("49", slot(str(PER_MINUTE_IN), 1), kind="dial_in"),
        )
        self.admin.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", version)

    def register(self) -> None:
        """The card and the bridge."""
        self.register_card()
        self.admin.put(
            "bridges/pbx1",
            {
                "dialect": "asterisk",
                "auth": {"scheme": "basic", "username": "pbx1", "secrets": [SECRET]},
                "accounts": ["*"],
                "outbound_contexts": ["conference-dial-out"],
                "control": {"url": self.control_url, "secrets": [CONTROL_SECRET]},
            },
        )

    def room(self, credit: str = "100.00", *, legs: int) -> Room:
        """A new account with credit, a conference and two service numbers, for so many legs."""
        room = Room(self, next(self._numbers), Decimal(credit), legs_expected=legs)
        path = f"accounts/{room.account}"
        self.admin.put(path, {"currency": "USD", "rate_card": CARD, "usage_location": "FR"})
        self.admin.request(
            *("POST", f"{path}/top-ups", {"amount": credit}), idempotency_key=room.account
        )
        self.admin.put(f"{path}/organizers/ken", {"policy": "DialoutCPCandPSTNInternational"})
        self.admin.put(f"{path}/conferences/{room.conference}", {"organizer": "ken"})
        for number in (room.service_number, room.operator_number):
            self.admin.put(f"{path}/service-numbers/%2B{number[1:]}", {"kind": "toll"})
        return room

    @property
    def manager_address(self) -> str:
        """The address of the manager interface."""
        return f"127.0.0.1:{self.asterisk.manager_port}"

    def manager(self) -> Any:
        """A login to the manager interface, through the recipe's own client."""
        from asterisk_control import Manager

        return Manager(self.manager_address, "perminute", MANAGER_SECRET)

    def dial(self, room: Room, number: str, variables: dict[str, str]) -> None:
        """Dial a number into the conference of a room."""
        values = {"PERMINUTE_CONFERENCE": room.conference, **variables}
        with self.manager() as manager:
            manager.action(
                "Originate",
                Channel=f"Local/{number}@conference-dial-out",
                Application="ConfBridge",
                Data=room.conference,
                CallerID=f"<{room.caller(0)}>",
                Variable=[f"{name}={value}" for name, value in values.items()],
                Async="true",
                Timeout="240000",
            )

    def reports(self, number: str) -> list[Exchange]:
        """Records of legs to a number that the product has taken."""
        return self.exchanges("call-ended", dst=number)

    def exchanges(self, route: str, **fields: str) -> list[Exchange]:
        """Requests to a route that have these fields, with their answers."""
        return [
            each
            for each in list(self.gateway.exchanges)
            if each.path.partition("?")[0].endswith(f"/{route}")
            and fields.items() <= each.body.items()
        ]

    def legs(self, account: str) -> list[Json]:
        """The booked legs of an account."""
        return self.admin.items(f"accounts/{account}/legs", limit=100)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything started, nothing called yet."""
    try:
        installed = installation()
    except NotInstalled as reason:
        if os.environ.get("REQUIRE_ASTERISK"):
            raise
        pytest.skip(f"Asterisk can not be installed here: {reason}")
    sys.path.insert(0, str(EXAMPLES))
    with Stack(tmp_path_factory.mktemp("bridges") / "data") as stack:
        gateway = Gateway(stack.base_url)
        gateway.open()
        site = Site(stack, gateway, installed, Asterisk)
        try:
            with site.control(), site.asterisk.running():
                site.register()
                site.phones.answer()
                yield site
        finally:
            gateway.close()
            LAST.mkdir(parents=True, exist_ok=True)
            (LAST / "exchanges.jsonl").write_text(gateway.text())
            sys.path.remove(str(EXAMPLES))


def test_calls(site: Site, subtests: pytest.Subtests) -> None:
    """All scenarios at once, then an outage; each is checked for itself."""
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        played = {play.__name__: pool.submit(play, site) for play in SCENARIOS}
    played["product_away"] = Future()
    played["product_away"].set_result(product_away(site))
    for name, room in played.items():
        with subtests.test(name):
            room.result().check()
    with subtests.test("nothing is lost or refused"):
        assert list(site.asterisk.spool.rglob("*.json")) == []
        assert site.admin.get("parked-legs")["items"] == []
        assert {each.status for each in site.gateway.exchanges} <= {200, 202, 204}


def at_once(*calls: Callable[[], object]) -> None:
    """Play calls at the same time and wait for all of them."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


def two_members(site: Site) -> Room:
    room = site.room(legs=2)
    at_once(lambda: room.call_in(1, 6.5), lambda: room.call_in(2, 9.5))
    return room


def three_members(site: Site) -> Room:
    """Two callers and a phone that the bridge dials: Asterisk's own records count pairs here."""
    room = site.room(legs=3)
    number = room.dial_out(2)
    at_once(lambda: room.call_in(1, 5.5), lambda: room.call_in(2, 10.5))
    room.reported(number)
    return room


def unanswered(site: Site) -> Room:
    room = site.room(legs=1)
    room.reported(room.dial_out(3, RING_SECONDS="5"))
    return room


def busy_declined_and_missing(site: Site) -> Room:
    room = site.room(legs=3)
    for number in [room.dial_out(behaviour) for behaviour in (4, 5, 6)]:
        room.reported(number)
    return room


def denied(site: Site) -> Room:
    """A number that the account's card has no rate for: nothing is dialled, nothing is booked."""
    room = site.room(legs=0)
    number = "+390669812345"
    room.dial_out(1, number=number)
    assert room.question(number)["reason"] == "rate_missing"
    return room


def cancelled_before_the_question_arrives(site: Site) -> Room:
    """The caller gives up while the question is on its way to the product."""
    return cancelled(site, site.gateway.before)


def cancelled_during_the_question(site: Site) -> Room:
    """The caller gives up when the product has placed the hold, before its answer arrives."""
    return cancelled(site, site.gateway.after)


def cancelled(site: Site, hooks: list[Hook]) -> Room:
    room = site.room(legs=1)
    number = room.phone(1)
    requested, gone = threading.Event(), threading.Event()

    def until_gone(path: str, body: Json) -> None:
        if path.endswith("/dial-outs") and body["to"] == number:
            requested.set()
            gone.wait(ANSWER_SECONDS_MAX)

    hooks.append(until_gone)
    site.phones.cancelled_call(number, room.conference, requested, caller=room.caller(1))
    gone.set()
    room.reported(number)
    room.clocks[number] = UNANSWERED
    return room


def granted_seconds_are_reached(site: Site) -> Room:
    """Credit for 12 s: Asterisk ends the call, and the balance ends at 0."""
    room = site.room("0.17", legs=1)
    number = room.dial_out(1)
    assert room.question(number)["granted_seconds"] == 12
    room.reported(number)
    assert room.talked_seconds(number) >= 12
    return room


def extended(site: Site) -> Room:
    """Granted 15 s, extended after `call.warning`: the phone hangs up after 20.5 s."""
    room = site.room(legs=1)
    number = room.dial_out(8, PERMINUTE_REQUESTED_SECONDS="15")
    assert room.question(number)["granted_seconds"] == 15
    room.reported(number)
    assert room.talked_seconds(number) > 20
    return room


def stopped(site: Site) -> Room:
    """An operator stops dial-out of the account: `call.end` hangs up."""
    room = site.room(legs=1)
    number = room.dial_out(1)
    assert eventually(
        lambda: site.phones.dialled().get(number, UNANSWERED).answered_at, STEP_SECONDS_MAX
    )
    path = f"accounts/{room.account}/dial-out-policy/stop"
    answer = site.admin.request("POST", path, {"reason": "a test of call.end"})
    assert answer.status == 200, answer
    room.reported(number)
    return room


def service_number_with_transfer(site: Site) -> Room:
    """An operator takes the call and transfers the caller: one leg for the whole time."""
    room = site.room(legs=1)
    room.call_in(1, 8.5, number=room.operator_number)
    return room


def product_away(site: Site) -> Room:
    """The product refuses connections for 20 s, in which calls end and the spooler is killed."""
    room = site.room(legs=2)
    with ThreadPoolExecutor() as pool:
        number = room.dial_out(2)
        caller = pool.submit(room.call_in, 1, 6.5)
        assert eventually(lambda: number in site.phones.dialled(), STEP_SECONDS_MAX)
        site.gateway.close()
        caller.result()
        refused = room.dial_out(1)
        assert eventually(lambda: len(site.asterisk.spooled()) >= 3, STEP_SECONDS_MAX), (
            site.asterisk.spooled()
        )
        away_since = time.monotonic()
        site.asterisk.restart_spooler()
        eventually(lambda: time.monotonic() - away_since > 20, 30)
        site.gateway.open()
    room.reported(number)
    assert refused not in site.phones.dialled()
    return room


SCENARIOS: tuple[Callable[[Site], Room], ...] = (
    two_members,
    three_members,
    unanswered,
    busy_declined_and_missing,
    denied,
    cancelled_before_the_question_arrives,
    cancelled_during_the_question,
    granted_seconds_are_reached,
    extended,
    stopped,
    service_number_with_transfer,
)

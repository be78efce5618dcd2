"""Whatever dies or stalls on the way, no leg is lost or doubled."""

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.world import World, leg, london_price
from tests.support.client import Answer, Json, eventually

KILLED = ("background", "http", "bus")
LEGS, POSTED_BEFORE, POSTED_AT_ONCE = 300, 250, 10
POST_SECONDS_MAX = 50.0
CHARGED_SECONDS_MAX = 120.0  # a lock of a killed process has to end first

pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]


@contextmanager
def stalled(world: World, name: str) -> Iterator[None]:
    """The process does nothing meanwhile, but is not dead: nobody starts it again."""
    pid = world.stack.pids[name]
    with world.outage():
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def post_until_taken(world: World, legs: list[Json]) -> None:
    """Does what a bridge does: posts again after no answer or 503, until it has its 202."""

    def is_taken() -> bool:
        try:
            answer = world.bridge.ended(legs)
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status in {202, 503}, answer
        return answer.status == 202

    assert eventually(is_taken, POST_SECONDS_MAX)


def test_300_legs_on_the_way_survive_the_death_of_every_process(world: World) -> None:
    """Some are charged at that instant, some queued, some just being posted."""
    account = world.account()
    legs = [leg(account) for _ in range(LEGS)]
    before = world.stack.pids
    world.post(*legs[:POSTED_BEFORE])
    assert eventually(lambda: len(world.entries(account)) > 1)
    charged_before = len(world.entries(account)) - 1

    with world.outage():
        for name in KILLED:
            os.kill(before[name], signal.SIGKILL)
        for start in range(POSTED_BEFORE, LEGS, POSTED_AT_ONCE):
            post_until_taken(world, legs[start : start + POSTED_AT_ONCE])
        assert eventually(
            lambda: not set(before.items()) & {(n, world.stack.pids[n]) for n in KILLED}
        )
        world.stack.wait_ready()

    assert charged_before < POSTED_BEFORE
    debits = world.debits(account, LEGS, CHARGED_SECONDS_MAX)
    assert {entry["leg"] for entry in debits} == {f"local~{ended['leg_id']}" for ended in legs}
    assert world.balance(account) == 100 - LEGS * london_price(183)
    assert world.verified(account)["legs"] == LEGS


def test_a_leg_is_durable_while_the_queue_does_not_answer(world: World) -> None:
    account = world.account()
    ended = leg(account)

    with stalled(world, "bus"):
        post_until_taken(world, [ended])
    world.post(ended)

    assert world.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)["status"] == "charged"
    assert len(world.debits(account, 1)) == 1


def test_while_storage_does_not_answer_nothing_is_granted_and_legs_wait(world: World) -> None:
    account = world.account()
    organizer = world.organizer(account)
    world.charged(account, leg(account))
    ended = leg(account)

    with stalled(world, "azurite"):
        post_until_taken(world, [ended])
        question = {"to": ended["to"], "account": account, "organizer_id": organizer}
        assert_try_later(world.bridge.ask(question))

    world.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)
    assert len(world.debits(account, 2)) == 2
    assert world.admin.get(f"accounts/{account}")["held"] == "0.00"


def test_a_bridge_is_told_to_come_back_when_a_leg_can_not_be_kept_anywhere(world: World) -> None:
    account = world.account()
    ended = leg(account)

    with stalled(world, "bus"), stalled(world, "azurite"):
        assert_try_later(world.bridge.ended(ended))

    post_until_taken(world, [ended])
    world.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)
    assert len(world.debits(account, 1)) == 1


def assert_try_later(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "unavailable"), answer
    assert int(answer.headers["retry-after"]) > 0

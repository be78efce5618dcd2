"""Whatever dies or stalls on the way, no leg is lost or doubled."""

import http.client
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.deployment import LONDON, Deployment, leg, london_price
from tests.support.client import Answer, Json, eventually

KILLED = ("background", "http", "bus")
LEGS, CHARGED_BEFORE, POSTED_BEFORE, POSTED_AT_ONCE = 300, 50, 250, 10
STRANDED, STRANDED_SECONDS_MAX = 600, 200.0
POST_SECONDS_MAX = 50.0
CHARGED_SECONDS_MAX = 120.0  # a lock of a killed process has to end first

pytestmark = [pytest.mark.extended, pytest.mark.timeout(300)]


@contextmanager
def stalled(deployment: Deployment, name: str) -> Iterator[None]:
    """The process does nothing meanwhile, but is not dead: no one starts it again."""
    pid = deployment.stack.pids[name]
    with deployment.outage():
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def post_until_taken(deployment: Deployment, legs: list[Json]) -> None:
    """Does what a bridge does: posts again after no answer or 503, until it has its 202."""

    def is_taken() -> bool:
        try:
            answer = deployment.bridge.ended(legs)
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status in {202, 503}, answer
        return answer.status == 202

    assert eventually(is_taken, POST_SECONDS_MAX)


def test_300_legs_on_the_way_survive_the_death_of_every_process(deployment: Deployment) -> None:
    """Some are charged at that instant, some queued, some just being posted."""
    account = deployment.account()
    legs = [leg(account) for _ in range(LEGS)]
    before = deployment.stack.pids
    deployment.post(*legs[:CHARGED_BEFORE])
    deployment.debits(account, CHARGED_BEFORE, CHARGED_SECONDS_MAX)
    deployment.post(*legs[CHARGED_BEFORE:POSTED_BEFORE])

    with deployment.outage():
        for name in KILLED:
            os.kill(before[name], signal.SIGKILL)
        for start in range(POSTED_BEFORE, LEGS, POSTED_AT_ONCE):
            post_until_taken(deployment, legs[start : start + POSTED_AT_ONCE])
        assert eventually(
            lambda: not set(before.items()) & {(n, deployment.stack.pids[n]) for n in KILLED}
        )
        deployment.stack.wait_ready()

    debits = deployment.debits(account, LEGS, CHARGED_SECONDS_MAX)
    assert {entry["leg"] for entry in debits} == {f"local~{ended['leg_id']}" for ended in legs}
    assert deployment.balance(account) == 100 - LEGS * london_price(183)
    assert deployment.verified(account)["legs"] == LEGS


def test_a_leg_is_durable_while_the_queue_does_not_answer(deployment: Deployment) -> None:
    account = deployment.account()
    ended = leg(account)

    with stalled(deployment, "bus"):
        post_until_taken(deployment, [ended])
    deployment.post(ended)

    assert (
        deployment.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)["status"] == "charged"
    )
    assert len(deployment.debits(account, 1)) == 1


def test_while_storage_does_not_answer_nothing_is_granted_and_legs_wait(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    organizer = deployment.organizer(account)
    deployment.charged(account, leg(account))
    ended = leg(account)

    with stalled(deployment, "azurite"):
        post_until_taken(deployment, [ended])
        question = {"to": ended["to"], "account": account, "organizer_id": organizer}
        assert_try_later(deployment.bridge.authorise(question))

    deployment.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)
    assert len(deployment.debits(account, 2)) == 2
    assert deployment.admin.get(f"accounts/{account}")["held"] == "0.00"


def test_a_leg_that_can_not_be_kept_anywhere_is_answered_with_retry_after(
    deployment: Deployment,
) -> None:
    account = deployment.account()
    ended = leg(account)

    with stalled(deployment, "bus"), stalled(deployment, "azurite"):
        assert_try_later(deployment.bridge.ended(ended))

    post_until_taken(deployment, [ended])
    deployment.leg(account, ended["leg_id"], seconds=CHARGED_SECONDS_MAX)
    assert len(deployment.debits(account, 1)) == 1


def assert_try_later(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "unavailable"), answer
    assert int(answer.headers["retry-after"]) > 0


def test_a_stranded_backlog_is_charged_without_a_dead_letter(deployment: Deployment) -> None:
    """The background is away for a while: legs wait on the queue and are charged once it is back,
    dial-outs are answered before, meanwhile and afterwards."""
    account = deployment.account("1000.00")
    ken = deployment.organizer(account)
    question = {"to": LONDON, "account": account, "organizer_id": ken}
    legs = [leg(account, talk_seconds=60) for _ in range(STRANDED)]
    with stalled(deployment, "background"):
        for start in range(0, STRANDED, 100):
            deployment.post(*legs[start : start + 100])
        assert deployment.bridge.authorise(question).json()["decision"] == "allow"
        assert deployment.balance(account) == 1000
    assert deployment.bridge.authorise(question).json()["decision"] == "allow"
    left = 1000 - STRANDED * london_price(60)
    eventually(lambda: deployment.balance(account) == left, STRANDED_SECONDS_MAX)
    assert deployment.balance(account) == left
    assert deployment.admin.get("status")["queue"]["dead_letters"] == 0
    assert deployment.verified(account)["legs"] == STRANDED

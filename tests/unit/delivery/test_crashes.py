"""A process dies between any two steps of commit, outbox, topic and webhook: nothing is lost.

The process is stopped before or after its nth step outside: a transaction, a publication, a post.
Another one on the same tables goes on, and the topic hands over again what was not completed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from shared.domain.credits.recharge import RechargeStatus
from shared.domain.directory.access import Principal, Role
from shared.usecases.credits.record_recharge_results import RechargeResult
from tests.support.credits_app import ACCOUNT, AUTO
from tests.support.delivery_app import DeliveryApp

LOW = {"name": "low", "below": "20.50"}
EMAILS = ["finance@contoso.example"]
PAYMENTS = Principal("payments", frozenset({Role.PAYMENTS}), frozenset({"*"}))
PUBLISHED = ["credits.low", "recharge.requested"]


class Crash(BaseException):
    """The process is gone: nothing of it does anything any more."""


class Dying(DeliveryApp):
    """A process whose nth step outside is its last; with `after`, that step still happens."""

    def __init__(self, last_step: int, *, after: bool) -> None:
        super().__init__()
        self._last_step, self._after = last_step, after
        self._steps = 0
        self._armed = False
        self.crashed = asyncio.Event()
        tables: Any = self.tables
        for owner, name in (
            *((tables, "transact"), (self.topic, "publish")),
            *((self.receiver, "post"), (self.mail, "send")),
        ):
            setattr(owner, name, self._step(getattr(owner, name)))

    def _step(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def step(*arguments: Any) -> Any:
            if self.crashed.is_set():
                raise Crash
            if not self._armed:
                return await real(*arguments)
            self._steps += 1
            if self._steps < self._last_step:
                return await real(*arguments)
            if self._after:
                await real(*arguments)
            self.crashed.set()
            raise Crash

        return step

    def live(self, work: Awaitable[Any]) -> bool:
        """Whether the work was done before the process died."""
        self._armed = True
        done: bool = self.run(self._until_crash(work))
        self._armed = False
        return done

    async def _until_crash(self, work: Awaitable[Any]) -> bool:
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.crashed.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, *tasks, return_exceptions=True)
        return not self.crashed.is_set()

    async def debit_and_publish(self) -> None:
        """What a batch does, and then the subscriber of the topic."""
        await self.container.ledger.submit(ACCOUNT, self.leg("2.00"))
        await self.container.publish_events(ACCOUNT)
        bodies = [message.body for message in self.topic.published]
        await self.container.deliver_events(bodies, seconds=80)

    async def answered(self, status: str) -> None:
        """The payment side says so."""
        result = RechargeResult(RechargeStatus(status), 50_000_000, "USD", "p-1")
        await self.container.recharge_service.answer(PAYMENTS, "contoso~1", result)


def survivor(dead: Dying) -> DeliveryApp:
    """Another process, to which the topic hands over again what the dead one had taken."""
    del dead.tables.transact  # what the dead process did it by
    one = DeliveryApp(dead.tables, dead.clock)
    one.legs = dead.legs
    one.receiver.got, one.mail.mails = dead.receiver.got, dead.mail.mails
    one.topic.published = dead.topic.published
    return one


def first_seen(ids: list[str]) -> list[str]:
    return list(dict.fromkeys(ids))


@pytest.mark.parametrize("after", [False, True])
def test_whichever_step_is_the_last_one_every_event_arrives_in_order(*, after: bool) -> None:
    for last_step in count(1):
        dead = Dying(last_step, after=after)
        dead.open(balance="21.00", alerts=[LOW], auto_recharge=AUTO, emails=EMAILS)
        dead.hook()
        dead.forget()

        lived = dead.live(dead.debit_and_publish())
        other = survivor(dead)
        debited = other.state.balance_micros < 21_000_000
        if not debited:
            other.spend("2.00")  # the queue hands the leg over again
        for _ in range(3):
            other.relay()
            other.tick(seconds=80)  # in all longer than a lease, shorter than to the next request
            other.retry()
        other.relay()

        events = {event["id"]: event for event in other.events}
        arrived = first_seen(other.receiver.ids)
        assert [events[each]["type"] for each in arrived] == PUBLISHED, (last_step, after)
        assert first_seen([mail.mail_id for mail in other.mail.mails]) == arrived[:1]
        assert other.shown_balance == "19.00"
        assert [each["status"] for each in other.items("alerts")] == ["open"]
        assert len(other.items("recharges")) == 1
        assert {status for status, _ in other.statuses.values()} == {"delivered"}
        other.verified()
        for each in (dead, other):
            each.close()
        if lived:
            assert last_step > 10  # it was a way of many steps
            return


@pytest.mark.parametrize("status", ["succeeded", "declined"])
@pytest.mark.parametrize("after", [False, True])
def test_an_answer_of_the_payment_side_counts_once_whichever_step_is_the_last_one(
    status: str, *, after: bool
) -> None:
    for last_step in count(1):
        dead = Dying(last_step, after=after)
        dead.open(balance="21.00", auto_recharge=AUTO)
        dead.spend("2.00")
        lived = dead.live(dead.answered(status))
        other = survivor(dead)
        assert other.answer("contoso~1", status).status == 200  # it is said again
        other.tick(minutes=3)

        assert other.shown_balance == ("69.00" if status == "succeeded" else "19.00")
        assert [each["status"] for each in other.items("recharges")] == [status]
        assert len(other.of_type(f"recharge.{status}")) == 1
        other.verified()
        for each in (dead, other):
            each.close()
        if lived:
            return

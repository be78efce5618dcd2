"""A listener of the topic that never pauses, so that it sees events as the broker has them."""

import asyncio
import json
import threading
from types import TracebackType
from typing import Self

from local.bus.receiver import LockedMessage, QueueReceiver
from tests.support.client import Json

SUBSCRIPTION = "credit-events/Subscriptions/all"
AT_ONCE_MAX = 1_000
WAIT_SECONDS = 0.5


class TopicListener:
    """Reads the subscription in a thread of its own, from `with` to its end.

    A receiver that is called now and then would not do: between two calls the SDK releases what
    reaches it, and that comes again behind what was sent meanwhile.
    """

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._arrived: list[LockedMessage] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def events(self, account: str) -> list[Json]:
        """The account's events by their first arrivals, each once.

        What the topic promises is asserted: a first arrival never comes behind a later event's, and
        what comes again says the same (but for `available`, which is as of the publication).
        """
        first: dict[str, Json] = {}
        last = (0, 0)
        for message in list(self._arrived):
            event = json.loads(message.body)
            if event["data"]["account"] != account:
                continue
            assert message.message_id == event["id"]
            known = first.setdefault(event["id"], event)
            assert _as_of_the_commit(known) == _as_of_the_commit(event), (known, event)
            if known is event:
                _, commit, number = event["id"].rsplit(":", 2)
                assert last < (int(commit), int(number)), f"{event['id']} came after {last}"
                last = (int(commit), int(number))
        return list(first.values())

    async def _listen(self) -> None:
        receiver = QueueReceiver(self._connection_string, SUBSCRIPTION)
        while not self._ends.is_set():
            batch = await receiver.next_batch(AT_ONCE_MAX, WAIT_SECONDS)
            self._arrived += batch
            await receiver.complete(batch)
        await receiver.close()


def _as_of_the_commit(event: Json) -> Json:
    reported = {name: value for name, value in event["data"].items() if name != "available"}
    return {**event, "data": reported}

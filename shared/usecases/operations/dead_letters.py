"""Dead letters of the queue `call-ended` and of the subscription `webhooks`, and their replay."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.common import limits
from shared.domain.common.errors import NotFound
from shared.domain.directory.access import Principal
from shared.domain.legs.dead_letters import DeadLetter, DeadLetterSource
from shared.ports.clock import Ids
from shared.ports.queues import CallQueue, Message, QueueManagement
from shared.usecases.legs.receive_legs import leg_messages

_ID = re.compile(rf"(?:({DeadLetterSource.WEBHOOKS})-)?([0-9]{{1,19}})", re.ASCII)
_ID_BYTES = 12
_NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Lists and replays dead letters. The account of a dead letter is not known, so the caller has
    to see all accounts. `deliver` takes the body of an event and stores its deliveries."""

    queue: CallQueue
    managements: Mapping[DeadLetterSource, QueueManagement]
    deliver: Callable[[bytes], Awaitable[object]]
    ids: Ids

    async def page(
        self, principal: Principal, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[DeadLetter], str | None]:
        """Dead letters and the next cursor: those of the queue first, the oldest of each first.

        Raises NotAllowed, QueueUnavailable.
        """
        principal.require_all_accounts()
        start, last = _place(cursor) if cursor else (DeadLetterSource.QUEUE, -1)
        sources = list(DeadLetterSource)
        page_letters: list[DeadLetter] = []
        for source in sources[sources.index(start) :]:
            first = last + 1 if source is start else 0
            count = limit + 1 - len(page_letters)
            letters = await self.managements[source].dead_letters(first=first, limit=count)
            page_letters += (replace(letter, source=source) for letter in letters)
            if len(page_letters) > limit:
                return page_letters[:limit], page_letters[limit - 1].id
        return page_letters, None

    async def replay(self, principal: Principal, letter_id: str) -> DeadLetter:
        """Process a dead letter again and remove it. A repetition is safe.

        A leg is queued again and charged once. An event is stored for each webhook that subscribes
        to its type. Raises NotAllowed, NotFound `dead_letter_unknown`, QueueUnavailable.
        """
        principal.require_all_accounts()
        source, number = _place(letter_id)
        again = self._queue_again if source is DeadLetterSource.QUEUE else self._deliver_again
        letter = await self.managements[source].take(number, again)
        if letter is None:
            raise _unknown()
        return replace(letter, source=source)

    async def _queue_again(self, letter: DeadLetter) -> None:
        """The broker drops an id that it has seen, so the message gets a new one."""
        legs = [replace(leg, attempt=leg.attempt + 1) for leg in letter.queued]
        again = leg_messages(legs) or [Message("", letter.body, letter.properties)]
        suffix = self.ids.token(_ID_BYTES)
        names = (f"{each.message_id}.{suffix}".lstrip(".") for each in again)
        await self.queue.send(
            [
                replace(each, message_id=name[-limits.MESSAGE_ID_CHARS_MAX :])
                for each, name in zip(again, names, strict=True)
            ]
        )

    async def _deliver_again(self, letter: DeadLetter) -> None:
        """Other subscriptions have the event already, so it is not published again."""
        await self.deliver(letter.body)


def _place(letter_id: str) -> tuple[DeadLetterSource, int]:
    """(source, sequence number) of an id. Raises NotFound `dead_letter_unknown`."""
    match = _ID.fullmatch(letter_id)
    if not match or int(match[2]) > _NUMBER_MAX:
        raise _unknown()
    return DeadLetterSource(match[1] or DeadLetterSource.QUEUE), int(match[2])


def _unknown() -> NotFound:
    return NotFound(
        "The dead-letter queue has no message with this number. "
        "List the dead letters for the numbers.",
        code="dead_letter_unknown",
    )

"""Dead letters of the queue `call-ended`, which the broker gave up: each can be queued again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.domain.common import limits
from shared.domain.common.errors import NotFound
from shared.domain.directory.access import Principal
from shared.domain.legs.dead_letters import DeadLetter
from shared.ports.clock import Ids
from shared.ports.queues import CallQueue, Message, QueueManagement
from shared.usecases.legs.receive_legs import leg_messages

_ID_BYTES = 12
_NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Lists and replays dead letters. The account of a dead letter is not known, so the caller has
    to see all accounts."""

    queue: CallQueue
    management: QueueManagement
    ids: Ids

    async def page(
        self, principal: Principal, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[DeadLetter], str | None]:
        """Dead letters, the oldest first, and the next cursor.

        Raises NotAllowed, QueueUnavailable.
        """
        principal.require_all_accounts()
        first = int(cursor) + 1 if cursor else 0
        found = await self.management.dead_letters(first=first, limit=limit + 1)
        following = str(found[limit - 1].number) if len(found) > limit else None
        return found[:limit], following

    async def replay(self, principal: Principal, number: str) -> DeadLetter:
        """Queue a dead letter again and remove it; its leg is charged once however often.

        Raises NotAllowed, NotFound `dead_letter_unknown`, QueueUnavailable.
        """
        principal.require_all_accounts()
        is_number = number.isascii() and number.isdecimal() and len(number) <= 19
        if not is_number or int(number) > _NUMBER_MAX:
            raise _unknown()
        found = await self.management.take(int(number), self._queue_again)
        if found is None:
            raise _unknown()
        return found

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


def _unknown() -> NotFound:
    return NotFound("There is no such dead letter.", code="dead_letter_unknown")

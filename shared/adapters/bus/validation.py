"""The requirements of a message, for every adapter."""

from collections.abc import Sequence

from shared.domain.common import limits
from shared.domain.common.errors import TooLarge
from shared.ports.queues import Message


def check_messages(messages: Sequence[Message]) -> None:
    """Raises TooLarge for a body over its limit, ValueError for an id that no broker takes."""
    for message in messages:
        if not 1 <= len(message.message_id) <= limits.MESSAGE_ID_CHARS_MAX:
            raise ValueError(f"a message id of {len(message.message_id)} characters")
        if len(message.body) > limits.MESSAGE_BODY_BYTES_MAX:
            raise TooLarge(
                f"A message has {len(message.body)} bytes;"
                f" at most {limits.MESSAGE_BODY_BYTES_MAX} can be queued."
            )

"""Whether the queue takes messages: a sender is opened and closed, and nothing is sent.

A connection of its own: one that was opened long ago may be dead without knowing it yet.
"""

from typing import TYPE_CHECKING

from shared.domain.errors import QueueUnavailable

if TYPE_CHECKING:
    from azure.servicebus.aio import ServiceBusClient


class QueueCheck:
    """A check of one queue, by a connection string or by a managed identity."""

    def __init__(
        self,
        queue: str,
        *,
        connection_string: str | None = None,
        namespace: str | None = None,
        client_id: str | None = None,
    ) -> None:
        self._queue = queue
        self._connection_string = connection_string
        self._namespace = namespace
        self._client_id = client_id

    async def __call__(self) -> None:
        """Returns when the broker has let us in. Raises QueueUnavailable."""
        from azure.core.exceptions import AzureError
        from azure.servicebus.aio import ServiceBusClient

        try:
            if self._connection_string:
                client = ServiceBusClient.from_connection_string(
                    self._connection_string, retry_total=0
                )
                async with client:
                    await self._open(client)
                return
            from azure.identity.aio import ManagedIdentityCredential

            credential = ManagedIdentityCredential(client_id=self._client_id)
            async with (
                credential,
                ServiceBusClient(self._namespace or "", credential, retry_total=0) as client,
            ):
                await self._open(client)
        except (AzureError, OSError, ValueError) as error:
            raise QueueUnavailable("The queue can't be reached.") from error

    async def _open(self, client: "ServiceBusClient") -> None:
        async with client.get_queue_sender(self._queue) as sender:
            await sender.create_message_batch()  # asks the open link for its size limit

"""The identity with which Azure is reached where no connection string is set."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core import AsyncPipelineClient
    from azure.core.rest import AsyncHttpResponse, HttpRequest
    from azure.identity.aio import ChainedTokenCredential, ManagedIdentityCredential


def azure_credential(
    client_id: str | None,
) -> "ManagedIdentityCredential | ChainedTokenCredential":
    """The managed identity with this client id. Without one, as for a person who runs a tool: the
    account of `az login`, or else the machine's own identity."""
    from azure.identity import aio

    if client_id is not None:
        return aio.ManagedIdentityCredential(client_id=client_id)
    return aio.ChainedTokenCredential(aio.AzureCliCredential(), aio.ManagedIdentityCredential())


type Credential = "ManagedIdentityCredential | ChainedTokenCredential"


def connection_parts(connection_string: str | None) -> dict[str, str]:
    """The parts of a connection string by name; none without one."""
    parts = (connection_string or "").split(";")
    return dict(part.split("=", 1) for part in parts if "=" in part)


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """Requests to Azure, with a number of attempts for each and a time limit for each attempt.
    `identify`: with a token for `scope` of the identity with `client_id`."""

    scope: str
    client_id: str | None
    identify: bool
    tries: int
    seconds: float
    _client: "AsyncPipelineClient[HttpRequest, AsyncHttpResponse] | None" = field(
        default=None, init=False
    )
    _credential: "Credential | None" = field(default=None, init=False)

    async def send(self, request: "HttpRequest") -> "AsyncHttpResponse":
        """The response. Raises AzureError."""
        from azure.core import AsyncPipelineClient
        from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy

        if self._client is None:
            policies: list[Any] = [AsyncRetryPolicy(retry_total=self.tries - 1)]
            if self.identify:
                self._credential = azure_credential(self.client_id)
                policies.append(AsyncBearerTokenCredentialPolicy(self._credential, self.scope))
            seconds = self.seconds
            self._client = AsyncPipelineClient(
                "", policies=policies, connection_timeout=seconds, read_timeout=seconds
            )
        return await self._client.send_request(request)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        for each in (client, credential):
            if each is not None:
                await each.close()

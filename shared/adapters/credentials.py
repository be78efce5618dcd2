"""The identity with which Azure is reached where no connection string is set."""

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


def pipeline_client(
    endpoint: str, credential: Credential | None, scope: str, *, tries: int, seconds: float
) -> "AsyncPipelineClient[HttpRequest, AsyncHttpResponse]":
    """A client with a number of attempts for each request, and a time limit for each attempt. With
    a credential it sends a token of the scope."""
    from azure.core import AsyncPipelineClient
    from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy, AsyncRetryPolicy

    policies: list[Any] = [AsyncRetryPolicy(retry_total=tries - 1)]
    if credential is not None:
        policies.append(AsyncBearerTokenCredentialPolicy(credential, scope))
    return AsyncPipelineClient(
        endpoint, policies=policies, connection_timeout=seconds, read_timeout=seconds
    )

"""The identity with which Azure is reached where no connection string is set."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

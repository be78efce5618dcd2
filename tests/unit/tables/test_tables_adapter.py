"""The adapter's own matters: how it connects, what it imports, what it does without an answer."""

import subprocess
import sys
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from shared.adapters.tables.azure_tables import AzureTables
from shared.adapters.tables.error_mapping import failed
from shared.domain.common.errors import OutcomeUnknown, StoreUnavailable
from shared.ports.tables import Insert
from tests.support.azurite import ROOT, free_port
from tests.support.sdk_tables import SdkTables


def test_importing_the_adapter_imports_no_library_of_azure() -> None:
    """They take a tenth of a second each, which a cold start does not have."""
    code = (
        "import sys, shared.adapters.tables.azure_tables\n"
        "slow = {name.split('.')[0] for name in sys.modules} & {'azure', 'aiohttp', 'msrest'}\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("both", [True, False])
def test_either_a_connection_string_or_an_endpoint_is_needed(both: bool) -> None:
    text = "x" if both else ""
    with pytest.raises(ValueError, match="Either"):
        AzureTables(connection_string=text, endpoint=text)


class FakeIdentity:
    """Stands in for ManagedIdentityCredential; records its requests."""

    made: list["FakeIdentity"]
    refuses = False

    def __init__(self, *, client_id: str | None) -> None:
        self.client_id = client_id
        self.scopes: list[str] = []
        self.closed = False
        self.made.append(self)

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self.refuses:
            raise ClientAuthenticationError("No identity here.")
        return AccessToken("token", 2**33)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> list[FakeIdentity]:
    monkeypatch.setattr(FakeIdentity, "made", [], raising=False)
    monkeypatch.setattr("azure.identity.aio.ManagedIdentityCredential", FakeIdentity)
    return FakeIdentity.made


@pytest.mark.parametrize("adapter", [AzureTables, SdkTables])
async def test_an_endpoint_is_used_with_the_identity_of_the_app(
    identities: list[FakeIdentity], adapter: type[AzureTables]
) -> None:
    store = adapter(endpoint=f"https://127.0.0.1:{free_port()}", client_id="app")
    with pytest.raises(StoreUnavailable):
        await store.transact("ledger", "p", [Insert("k", {})])
    with pytest.raises(StoreUnavailable):
        await store.get("ledger", "p", "k")
    await store.close()

    (identity,) = identities
    assert identity.client_id == "app"
    assert set(identity.scopes) == {"https://storage.azure.com/.default"}
    assert identity.closed


@pytest.mark.parametrize("adapter", [AzureTables, SdkTables])
async def test_without_a_token_nothing_was_sent(
    identities: list[FakeIdentity], adapter: type[AzureTables], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeIdentity, "refuses", True)
    store = adapter(endpoint=f"https://127.0.0.1:{free_port()}", client_id="app")
    with pytest.raises(StoreUnavailable, match="No credential"):
        await store.transact("ledger", "p", [Insert("k", {})])
    await store.close()
    assert len(identities) == 1


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), ConnectionResetError(), ValueError("garbage"), KeyError("x"), OSError()],
    ids=repr,
)
def test_whatever_else_ends_a_transaction_leaves_its_outcome_unknown(error: Exception) -> None:
    assert isinstance(failed(error), OutcomeUnknown)

"""The drill: tables are gone, ledgers are rebuilt from an export and held against their anchors."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from shared.bootstrap.composition import Container
from shared.domain.directory.access import ALL_ACCOUNTS, Principal
from shared.domain.directory.entities import AccountSettings
from shared.domain.ledger.model import TopUp
from shared.settings import Settings
from tests.contract.test_blobs import _container
from tests.support.azurite import Azurite, start_azurite

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "drill"
WHO = Principal("drill", frozenset(), frozenset({ALL_ACCOUNTS}))


@dataclass
class Services:
    """Tables and blobs, and the settings that lead to them."""

    tables: Azurite
    environment: dict[str, str]

    def tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The operator's tool."""
        return subprocess.run(
            [sys.executable, "-m", "infra.tools.ledgers", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def blob_service() -> Iterator[Azurite]:
    with start_azurite("blob") as running:
        yield running


async def _services(azurite: Azurite, blob_service: Azurite) -> Services:
    container = await _container(blob_service)
    await container.close()
    return Services(
        azurite,
        {
            "TABLES_CONNECTION_STRING": azurite.connection_string,
            "ServiceBus": "Endpoint=sb://localhost:1;SharedAccessKeyName=x;SharedAccessKey=x",
            "CALL_ENDED_QUEUE": "call-ended",
            "CREDIT_EVENTS_TOPIC": "credit-events",
            "CALL_ENDED_LOCK_SECONDS": "300",
            "PERMINUTE_CHAIN_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
            "ANCHORS_CONNECTION_STRING": blob_service.connection_string,
            "ANCHORS_CONTAINER": container._container,
        },
    )


async def _live(services: Services, *keys: str) -> None:
    """Make the account where it is missing, and top it up once for each key."""
    app = Container(Settings.from_environment(services.environment))
    if await app.facts.account(ACCOUNT) is None:
        await app.accounts.put(ACCOUNT, AccountSettings("USD"), None)
    for key in keys:
        command = TopUp(key=key, digest=key, amount_micros=10_000_000, actor="drill")
        await app.ledger.submit(ACCOUNT, command)
    await app.close()


async def _anchor(services: Services) -> None:
    app = Container(Settings.from_environment(services.environment))
    assert (await app.audit_ledgers()).anchored == 1
    await app.close()


@pytest.mark.extended
@pytest.mark.timeout(180)
async def test_a_lost_table_is_rebuilt_and_verifies_against_its_anchor(
    tmp_path: Path, blob_service: Azurite
) -> None:
    """An export that is older than the anchor is reported as a ledger that was rolled back."""
    with start_azurite() as azurite:
        services = await _services(azurite, blob_service)
        await _live(services, "one")
        old, new = str(tmp_path / "old.jsonl"), str(tmp_path / "new.jsonl")
        assert services.tool("export", ACCOUNT, old).returncode == 0
        await _live(services, "two", "three")
        await _anchor(services)
        exported = services.tool("export", ACCOUNT, new)
        assert (exported.returncode, exported.stderr) == (0, "")

        unknown = str(tmp_path / "unknown.jsonl")
        for arguments in (["export", "nosuch", unknown], ["verify", "nosuch"]):
            refused = services.tool(*arguments)
            assert refused.returncode == 1, arguments
            assert re.fullmatch(r"ledgers: (There is no|No account has) .*\n", refused.stderr), (
                refused.stderr
            )
        assert not Path(unknown).exists()

        for export, verifies in ((old, False), (new, True)):
            with TableServiceClient.from_connection_string(azurite.connection_string) as client:
                client.delete_table("ledger")
            restored = services.tool("restore", ACCOUNT, export)
            verified = services.tool("verify", ACCOUNT, "--anchors")

            assert restored.returncode == 0, restored.stderr
            assert verified.returncode == (0 if verifies else 1), verified.stdout
            assert ("rolled back" in verified.stdout) is not verifies
            if not verifies:
                assert services.tool("set-aside", ACCOUNT).returncode == 0
                assert services.tool("verify", ACCOUNT, "--anchors").returncode == 0

        assert "balance 30.00" in restored.stdout
        again = services.tool("restore", ACCOUNT, old)
        assert again.returncode == 1  # nothing older is written over a ledger that has gone on
        assert "ledgers:" in again.stderr

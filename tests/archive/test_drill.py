"""The drill: a region is lost, an older copy of its storage takes over, accepted legs come back."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.stack import AZURITE_ACCOUNT, AZURITE_KEY, ROOT, Stack
from tests.contract.test_blobs import _container
from tests.e2e.deployment import CARD, RATES, card
from tests.support.azurite import start_azurite
from tests.support.client import Admin, Http, SigningBridge, eventually

ACCOUNT = "drill"
KEY = "YXJjaGl2ZS1hcmNoaXZlLWFyY2hpdmUtYXJjaGl2ZSE="
LEG = {
    "kind": "dial_out",
    "account": ACCOUNT,
    "to": "+442079460123",
    "started_at": "2026-11-20T10:00:00Z",
    "answered_at": "2026-11-20T10:00:00Z",
    "ended_at": "2026-11-20T10:01:00Z",
}


def _post(stack: Stack, *legs: str) -> Admin:
    """Post legs and wait until they are charged."""
    http = Http(stack.base_url)
    admin, bridge = Admin(http, stack.admin_key), SigningBridge(http, "local", stack.bridge_secret)
    for leg in legs:
        assert bridge.ended({**LEG, "leg_id": leg}).status == 202
    for leg in legs:
        path = f"accounts/{ACCOUNT}/legs/local~{leg}"
        assert eventually(lambda path=path: admin.request("GET", path).status == 200)
    return admin


def _replay(stack: Stack, settings: dict[str, str]) -> str:
    """The operator's tool, with the settings of the app."""
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    reached = {
        "TABLES_CONNECTION_STRING": (
            f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};"
            f"AccountKey={AZURITE_KEY};TableEndpoint={stack.azurite_table_url};"
        ),
        "ServiceBus": stack.service_bus_connection_string,
        "CALL_ENDED_QUEUE": "call-ended",
        "CREDIT_EVENTS_TOPIC": "credit-events",
        "CALL_ENDED_LOCK_SECONDS": "30",
        "PERMINUTE_CHAIN_KEY": KEY,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.tools.replay", "--since", since],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **reached, **settings},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Unclosed" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.extended
@pytest.mark.timeout(300)
async def test_a_region_is_lost_and_no_leg_with_it(tmp_path: Path) -> None:
    """What the copy does not know is charged from the archive; what it knows is not charged twice,
    however often it is replayed."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with start_azurite("blob") as blob_service:
        container = await _container(blob_service)
        await container.close()
        settings = {
            "ARCHIVE_CONNECTION_STRING": blob_service.connection_string,
            "ARCHIVE_CONTAINER": container._container,
            "PERMINUTE_ARCHIVE_KEY": KEY,
        }
        with Stack(data, settings=settings) as stack:
            admin = Admin(Http(stack.base_url), stack.admin_key)
            admin.put(f"rate-cards/{CARD}/versions/2020-01-01T00:00:00Z", card(*RATES))
            admin.put(f"accounts/{ACCOUNT}", {"currency": "USD", "rate_card": CARD})
            _post(stack, "one")
        shutil.copytree(data, copy)  # what geo-replication had brought over
        with Stack(data, settings=settings) as stack:
            _post(stack, "two", "three")
        # The region is gone, with everything that is not in the copy.
        with Stack(copy, settings=settings) as stack:
            admin = Admin(Http(stack.base_url), stack.admin_key)
            entries = f"accounts/{ACCOUNT}/entries?kind=debit"
            assert [each["leg"] for each in admin.items(entries)] == ["local~one"]

            assert _replay(stack, settings) == (
                "3 legs queued again, 0 events of calls kept again, 0 posts parked again\n"
            )
            assert eventually(lambda: len(admin.items(entries)) == 3)
            _replay(stack, settings)
            # A leg that is posted after the second replay is charged after what it brought.
            _post(stack, "last")

            legs = sorted(each["leg"] for each in admin.items(entries))
            assert legs == ["local~last", "local~one", "local~three", "local~two"]
            assert admin.get(f"accounts/{ACCOUNT}/verify")["ok"]
            assert admin.items("parked-legs") == []

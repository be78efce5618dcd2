"""The smoke test of a deployment, against the whole product on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from local.stack import AZURITE_ACCOUNT, AZURITE_KEY, Stack
from tests.infra.bicep import ROOT


def _smoke(stack: Stack, key: str, secret: str, *more: str) -> subprocess.CompletedProcess[str]:
    """As a workflow runs it: by itself, with the standard library alone."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "infra" / "tools" / "smoke.py"), *more],
        env={
            "PATH": os.environ["PATH"],
            "PERMINUTE_URL": stack.base_url,
            "PERMINUTE_SMOKE_KEY": key,
            "PERMINUTE_SMOKE_SECRET": secret,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def _directory(stack: Stack) -> str:
    """All that someone finds who may read the table."""
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};"
        f"TableEndpoint={stack.azurite_table_url};"
    )
    with TableServiceClient.from_connection_string(text) as service:
        found = str(list(service.get_table_client("directory").list_entities()))
    assert "'canary'" in found
    return found


@pytest.mark.extended
@pytest.mark.timeout(240)
def test_a_deployment_is_prepared_once_and_tried_as_often_as_wanted(tmp_path: Path) -> None:
    """The same release is charged once; a wrong secret is refused, and leaves nothing behind."""
    with Stack(tmp_path / "data") as stack:
        prepared = _smoke(stack, stack.admin_key, "", "--prepare")
        assert prepared.returncode == 0, prepared.stderr
        made = dict(line.split("=", 1) for line in prepared.stdout.splitlines())
        key, secret = made["PERMINUTE_SMOKE_KEY"], made["PERMINUTE_SMOKE_SECRET"]

        assert secret not in _directory(stack)
        first = _smoke(stack, key, secret, "--release", "v1.0")
        again = _smoke(stack, key, secret, "--release", "v1.0")
        wrong = _smoke(stack, key, "whsec_" + "QUFB" * 8, "--release", "v1.0")
        prepared_again = _smoke(stack, stack.admin_key, "", "--prepare")

    assert first.returncode == 0, first.stderr
    assert "health: ok" in first.stdout
    assert "leg smoke-v1.0: queued" in first.stdout
    assert "charged: 0.0002, balance after 9.9998" in first.stdout
    assert "verified: 2 entries" in first.stdout
    assert again.stdout == first.stdout
    assert wrong.returncode == 1
    assert "call-ended: 401" in wrong.stderr
    assert prepared_again.returncode == 0
    assert "PERMINUTE_SMOKE_SECRET" not in prepared_again.stdout


@pytest.mark.parametrize(
    ("url", "key", "text"),
    [
        ("nonsense", "k", "no address of a deployment"),
        ("file:///etc/passwd", "k", "no address of a deployment"),
        ("https://[x/", "k", "no address of a deployment"),
        ("https://a b/", "k", "no address of a deployment"),
        ("https://x/?a=b", "k", "no address of a deployment"),
        ("", "k", "PERMINUTE_URL is not set"),
        ("http://127.0.0.1:9", "", "PERMINUTE_SMOKE_KEY is not set"),
        ("http://127.0.0.1:9", "a\nb", "no header carries"),
        ("http://127.0.0.1:9", "k", "no answer"),
    ],
)
@pytest.mark.extended
def test_a_wrong_setting_is_named(url: str, key: str, text: str) -> None:
    script = ROOT / "infra" / "tools" / "smoke.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), "--prepare"],
        env={"PERMINUTE_URL": url, "PERMINUTE_SMOKE_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("FAILED: ")
    assert text in done.stderr

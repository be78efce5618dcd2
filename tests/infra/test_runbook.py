"""Every block of commands of docs/operations.md is run: against the laptop stack with an account, a
parked leg and a dead letter; `az`, `azd`, `gh` are stand-ins that record their calls."""

import json
import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from infra.tools.smoke import RATES
from local.stack import Stack
from tests.infra.bicep import ROOT
from tests.openapi.session import LEG, NO_PRICE
from tests.support.client import Admin, Http, SigningBridge, eventually
from tests.support.recording_az import RecordingAz, Reply

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
BLOCKS = [
    (PAGE[: match.start()].count("\n") + 2, textwrap.dedent(match[2]))
    for match in re.finditer(r"^( *)```sh\n(.*?)^\1```", PAGE, re.M | re.S)
]
SITUATIONS = re.findall(r"^## .*?(?=^## |^# |\Z)", PAGE.partition("# Runbook\n")[2], re.M | re.S)
# What these do to tables has tests of its own (tests/archive); here a stand-in takes them.
ELSEWHERE = re.compile(r"infra\.tools\.(ledgers (restore|set-aside)|replay)")
NAMES = {
    "app": "perminute-x-api",
    "group": "g",
    "subscription": "00000000-0",
    "vault": "v",
}
SETTINGS = re.compile(r"(TABLES|ServiceBus|SERVICE_BUS|CALL_ENDED|CREDIT_EVENTS|PERMINUTE)")


def test_every_situation_has_its_four_parts_and_a_command() -> None:
    for text in SITUATIONS:
        title = text.splitlines()[0]
        if title in {"## Secrets", "## Restore", "## Region loss"}:
            break
        parts = ["**You see**", "**It means**", "**Do**", "**Over when**"]
        places = [text.find(part) for part in parts]
        assert -1 not in places, title
        assert places == sorted(places), title
        assert "```sh\n" in text, title


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which an operator of the laptop stack types."""
    folder = tmp_path_factory.mktemp("runbook")
    with Stack(folder / "data") as stack:
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        version = "rate-cards/default/versions/2026-01-01T00:00:00Z"
        assert admin.request("PUT", version, RATES).status == 201
        account = {"currency": "USD", "rate_card": "default"}
        assert admin.request("PUT", "accounts/contoso", account).status == 201
        made = admin.request(
            "PUT", "bridges/studio", {"dialect": "perminute", "accounts": ["contoso"]}
        ).json()
        bridge = SigningBridge(http, "studio", made["auth"]["secrets"][0])
        legs = [{**LEG, "account": "contoso"}, {**NO_PRICE, "account": "contoso"}]
        assert bridge.ended(legs).status == 202
        assert eventually(lambda: admin.get("parked-legs?summary=true")["total"] == 1)
        italy = {**RATES["rates"][0], "prefix": "39"}
        both = {**RATES, "rates": [*RATES["rates"], italy]}
        later = "rate-cards/default/versions/2026-02-01T00:00:00Z?backdate=true"
        assert admin.request("PUT", later, both).status == 201
        place = f"{stack.service_bus_management_url}/call-ended/$deadletterqueue"
        urlopen(Request(place, b"no leg", method="POST")).close()
        secrets = json.loads((folder / "data" / "secrets.json").read_text())
        settings = stack._settings(secrets)
        yield {
            **{name: text for name, text in settings.items() if SETTINGS.match(name)},
            "PERMINUTE_URL": stack.base_url,
            "PERMINUTE_KEY": stack.admin_key,
            "PERMINUTE_PAUSE_SECONDS": "0",
            "PERMINUTE_TRIES": "2",
            "DATA": str(folder / "data"),
            "HOME": str(folder),
            "account": "contoso",
            "ledger": "pmledger0",
            "first": "pmledger0",
            "second": "pmledger1",
            "proof": "pmproof",
        }


@pytest.mark.extended
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("line", "block"), BLOCKS, ids=[f"line {line}" for line, _ in BLOCKS])
def test_the_block_runs(run: dict[str, str], tmp_path: Path, line: int, block: str) -> None:
    az = RecordingAz(
        tmp_path / "bin",
        [
            (r"functionapp show", [Reply("/subscriptions/0/site\n")]),
            (r"account show", [Reply("the-tenant\n")]),
        ],
    )
    if ELSEWHERE.search(block):
        (az.folder / "python").symlink_to(az.folder / "az")
    (ROOT / "build").mkdir(exist_ok=True)
    for export in (ROOT / "build").glob("contoso-now.jsonl"):
        export.unlink()
    (ROOT / "build" / "export.jsonl").unlink(missing_ok=True)
    path = f"{az.folder}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=ROOT,
        env={
            "group": "g",
            "app": "perminute-x-api",
            "vault": "v",
            "subscription": "00000000-0",
            **run,
            "PATH": path,
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, f"operations.md:{line}\n{block}\n{done.stdout}\n{done.stderr}"
    # A laptop anchors nothing.
    refused = re.findall(r'"status": [45]\d\d.*?"code": "(\w+)"', done.stdout)
    assert [code for code in refused if code != "anchors_off"] == [], done.stdout

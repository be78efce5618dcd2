"""The commands of the documentation do what they say."""

import re
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.adapters.bridges import DIALECTS, parse
from shared.domain.directory.credentials import verify_bridge
from shared.domain.directory.request_signatures import AuthScheme, BridgeAuth
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.leg import EndedLeg

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "bridge-integration.md").read_text()
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def shell_block(first_words: str) -> str:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    found = [block for block in blocks if block.startswith(first_words)]
    assert len(found) == 1
    return str(found[0])


def test_the_signed_curl_of_the_page_is_let_in_and_read(tmp_path: Path) -> None:
    """Only curl itself is replaced, by a function that prints its arguments."""
    script = "\n".join(
        [
            "set -eu",
            "curl() { printf '%s\\n' \"$@\"; }",
            shell_block("cat > leg.json").removesuffix("signed call-ended leg.json\n"),
            shell_block("signed() {"),
            "signed call-ended leg.json",
        ]
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "STUDIO_SECRET": SECRET,
        "BASE": "http://127.0.0.1:1",
        "AUTHORIZATION": "au_1.litware",
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    headers = dict(re.findall(r"^(webhook-[a-z]+): (.*)$", done.stdout, re.MULTILINE))
    body = (tmp_path / "leg.json").read_bytes()
    auth = BridgeAuth(AuthScheme.STANDARD_WEBHOOKS, (SECRET,))
    assert verify_bridge(auth, headers, body, datetime.now(UTC)).webhook_id == headers["webhook-id"]
    assert isinstance(parse("perminute", BridgePayload("studio", body))[0], EndedLeg)


def test_the_configuration_of_the_page_is_sound_xml() -> None:
    page = (ROOT / "docs" / "bridges" / "freeswitch.md").read_text()
    blocks = re.findall(r"```xml\n(.*?)```", page, re.DOTALL)
    roots = [ET.fromstring(block) for block in blocks]
    assert [root.tag for root in roots] == ["configuration", "extension"]
    names = [param.get("name") for param in roots[0].iter("param")]
    assert len(names) == len(set(names))


SECTIONS = [
    "Facts that the bridge reports",
    "Configuration",
    "Authorize a dial-out",
    "End the call at the granted second",
    "Extend a call",
    "During an outage of Perminute",
    "A sample event",
    "Troubleshooting",
]
PAGES = sorted((ROOT / "docs" / "bridges").glob("[!R]*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_bridge_has_a_page_with_the_same_sections(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == SECTIONS
    parts = dict(re.findall(r"^## ([^\n]+)\n\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert "```sh\ncurl" in parts["Configuration"]
    assert '"amount": ' in parts["A sample event"]
    assert "| symptom | cause |" in parts["Troubleshooting"]


def test_every_dialect_has_its_page() -> None:
    assert {page.stem for page in PAGES} == set(DIALECTS)

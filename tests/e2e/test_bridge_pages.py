"""The commands of docs/bridges, run as they stand, and the answers that the pages show."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.stack import ROOT
from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.extended

PAGES = sorted((ROOT / "docs" / "bridges").glob("[!R]*.md"))
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```", re.M | re.S)


def agrees(shown: Any, found: Any) -> bool:
    """Whether an answer has what the page shows of it."""
    if isinstance(shown, dict) and isinstance(found, dict):
        return all(name in found and agrees(shown[name], found[name]) for name in shown)
    return bool(shown == found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(
    deployment: Deployment, page: Path, tmp_path: Path
) -> None:
    """Each block by a shell of its own; only the account has another name."""
    account = deployment.account()
    environment = os.environ | {
        "BASE": deployment.http.base_url,
        "KEY": deployment.admin.key,
        "CONTROL_URL": "http://127.0.0.1:9/control",
    }
    output, ran = "", 0
    for language, text in BLOCK.findall(page.read_text("utf-8").replace("contoso", account)):
        if language == "json":
            assert agrees(json.loads(text), json.loads(output)), output
            continue
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (text, done.stderr)
        output, ran = done.stdout, ran + 1
        assert not str(json.loads(output).get("type", "")).startswith("/problems"), (text, output)
    assert ran >= 2

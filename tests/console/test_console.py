"""The console in a browser against the real stack: `console/tests/browser.mjs` plays it, with
playwright-core on an installed Chromium. Pictures of every page stay in build/screenshots."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.demo.seed import seed
from local.stack import ROOT, Stack
from tests.console.seed import ACCOUNT, play
from tests.support.client import Admin, Http, SigningBridge, eventually

CONSOLE = ROOT / "console"
SCREENSHOTS = ROOT / "build" / "screenshots"
PLAY_SECONDS_MAX = 900
CHARGED_SECONDS_MAX = 240.0


def _missing() -> str:
    """What the tests lack, "" if nothing."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if _browser() is None:
        return "no Chromium is installed (apt-get install chromium)"
    if not (CONSOLE / "node_modules" / "playwright-core").is_dir():
        return "console/node_modules is missing (make setup)"
    if not (CONSOLE / "dist" / "index.html").is_file():
        return "the console is not built (make setup)"
    return ""


def _browser() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.extended
@pytest.mark.skipif(bool(_missing()), reason=_missing() or "all there")
@pytest.mark.timeout(PLAY_SECONDS_MAX + 120)
def test_the_console_in_a_browser(tmp_path: Path) -> None:
    """Sign-in, every page at two widths, and the tasks that people do there."""
    with Stack(tmp_path / "data") as stack:
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        seed(stack.base_url, stack.admin_key)
        charged, parked = play(admin, SigningBridge(http, "local", stack.bridge_secret))

        def is_played() -> bool:
            found = admin.get("parked-legs?status=open&summary=true")["total"]
            return found == parked and len(admin.items(f"accounts/{ACCOUNT}/legs")) == charged

        assert eventually(is_played, CHARGED_SECONDS_MAX)
        found = {**stack.describe(), "account": ACCOUNT}
        done = subprocess.run(
            ["node", "--test", "--test-reporter=spec", str(CONSOLE / "tests" / "browser.mjs")],
            cwd=CONSOLE,
            env={
                **os.environ,
                "STACK": json.dumps(found),
                "CHROMIUM": str(_browser()),
                "SCREENSHOTS": str(SCREENSHOTS),
            },
            capture_output=True,
            text=True,
            timeout=PLAY_SECONDS_MAX,
            check=False,
        )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.extended
@pytest.mark.skipif(bool(_missing()), reason=_missing() or "all there")
def test_the_console_is_typed_and_every_text_is_in_french() -> None:
    """The client is generated from the present OpenAPI document: a route that changed is an error
    of types."""
    document = ROOT / "build" / "openapi.json"
    for command in (
        [str(ROOT / ".venv/bin/python"), "-m", "local.openapi", str(document)],
        ["npm", "run", "--silent", "api"],
        ["npm", "run", "--silent", "check"],
        ["node", "tests/texts.mjs"],
    ):
        cwd = ROOT if command[0] not in {"npm", "node"} else CONSOLE
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

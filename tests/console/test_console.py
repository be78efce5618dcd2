"""The console in a browser against the real stack: `console/tests/browser.mjs`, `states.mjs`."""

import subprocess
from pathlib import Path

import pytest

from local.demo.seed import seed
from local.stack import ROOT, Stack
from tests.console.browser import CONSOLE, MISSING, PLAY_SECONDS_MAX
from tests.console.browser import play as play_browser
from tests.console.seed import ACCOUNT, play
from tests.support.client import Admin, Http, SigningBridge, eventually

CHARGED_SECONDS_MAX = 240.0


@pytest.mark.extended
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
@pytest.mark.timeout(max(1800, PLAY_SECONDS_MAX + 300))
@pytest.mark.parametrize("script", ["browser.mjs", "states.mjs"])
def test_the_console_in_a_browser(script: str, tmp_path: Path) -> None:
    """Sign-in, every page at two widths, the tasks of users; keyboard, roles, addresses, failures,
    the ends of a session, Entra, French."""
    with Stack(tmp_path / "data") as stack:
        http = Http(stack.base_url)
        admin = Admin(http, stack.admin_key)
        seed(stack.base_url, stack.admin_key)
        charged, parked = play(admin, SigningBridge(http, "local", stack.bridge_secret))

        def is_played() -> bool:
            found = admin.get("parked-legs?status=open&summary=true")["total"]
            return found == parked and len(admin.items(f"accounts/{ACCOUNT}/legs")) == charged

        assert eventually(is_played, CHARGED_SECONDS_MAX)
        play_browser(script, **stack.describe(), account=ACCOUNT)


@pytest.mark.extended
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "all there")
@pytest.mark.timeout(600)
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
            command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

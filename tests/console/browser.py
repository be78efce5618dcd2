"""The tests of `console/tests`, with playwright-core on an installed Chromium. Pictures of every
page stay in build/screenshots."""

import json
import os
import shutil
import subprocess

from local.stack import ROOT

CONSOLE = ROOT / "console"
SCREENSHOTS = ROOT / "build" / "screenshots"
PLAY_SECONDS_MAX = 900


def missing() -> str:
    """What the tests lack, "" if nothing."""
    if shutil.which("node") is None:
        return "Node.js is missing. Install Node.js 20 or later with npm."
    if _chromium() is None:
        return "Chromium is missing. Install it with `apt-get install chromium`."
    if not (CONSOLE / "node_modules" / "playwright-core").is_dir():
        return "console/node_modules is missing. Run `make setup`."
    if not (CONSOLE / "dist" / "index.html").is_file():
        return "The console is not built. Run `make setup`."
    return ""


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


MISSING = missing()


def play(script: str, **stack: object) -> None:
    """Run a script of tests against a stack; fails with the output of Node's test runner."""
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(CONSOLE / "tests" / script)],
        cwd=CONSOLE,
        env={
            **os.environ,
            "STACK": json.dumps(stack),
            "CHROMIUM": str(_chromium()),
            "SCREENSHOTS": str(SCREENSHOTS),
        },
        capture_output=True,
        text=True,
        timeout=PLAY_SECONDS_MAX,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr

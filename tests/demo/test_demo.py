"""`make demo` as its reader runs it, and its own judgement."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from local.demo.report import COLUMNS
from local.stack import ROOT
from tests.support.client import Admin, Http

DEMO_SECONDS_MAX = 240.0  # on a machine that does ten things at once; about ten seconds alone

pytestmark = pytest.mark.timeout(DEMO_SECONDS_MAX + 60)
PARTS = 4
README = ROOT / "README.md"
# The demo as `-m local.demo` plays it; what it played is then judged once more, by a script that
# expects a cent more at the end.
JUDGED_TWICE = """
import sys
from local.demo import __main__, meeting
reported = __main__._report
def judged_twice(result, data):
    code = reported(result, data)
    print("---- a cent more")
    data.mkdir()
    meeting.BALANCE_AT_LAST = "104.1297"
    print("exit code", reported(result, data))
    return code
__main__._report = judged_twice
sys.exit(__main__.main())
"""
type Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python with these arguments; what still runs at the end of the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEMO_SECONDS_MAX)


def processes() -> dict[int, int]:
    """The parent of every process."""
    completed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = (line.split() for line in completed.stdout.splitlines())
    return {int(pid): int(parent) for pid, parent in pairs}


@pytest.mark.extended
def test_the_demo_begins_with_the_summary_of_the_readme_and_fails_over_a_cent(
    start: Start,
) -> None:
    """The summary is before the details, and the counts are the last line. No line is wider than 80
    columns or coloured. A difference is a sentence."""
    demo = start("-c", JUDGED_TWICE)
    played, _ = demo.communicate(timeout=DEMO_SECONDS_MAX)
    text, _, wrong = played.partition("---- a cent more\n")
    lines = text.splitlines()

    assert demo.returncode == 0, text
    (summary,) = re.findall(r"^```text\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert f"\nSUMMARY\n{summary}\nDETAILS\n" in text
    assert lines[-1].startswith(
        "demo ok: 12 legs, 16 entries, 10 dial-outs, 1 alert, 2 recharges, 3 mails"
    )
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert "\x1b" not in text

    *_, failed, code = wrong.splitlines()
    assert code == "exit code 1"
    assert "  The balance at last is 104.1197, expected 104.1297.\n" in wrong
    assert "demo ok" not in wrong
    assert failed.startswith("demo failed: ")
    shutil.rmtree(failed.partition("Logs: ")[2])


@pytest.mark.extended
def test_an_interrupted_demo_leaves_no_process(start: Start) -> None:
    """Ctrl-C while the meeting is played."""
    demo = start("-m", "local.demo")
    assert demo.stdout is not None
    next(line for line in demo.stdout if "serves at" in line)
    parts = [pid for pid, parent in processes().items() if parent == demo.pid]
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=DEMO_SECONDS_MAX)

    assert demo.returncode == 130
    assert len(parts) == PARTS
    assert not processes().keys() & set(parts)


@pytest.mark.extended
def test_a_kept_demo_serves_the_played_quarter_until_ctrl_c(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP", "1")
    demo = start("-m", "local.demo")
    assert demo.stdout is not None
    outcome = next(
        line for line in demo.stdout if line.startswith(("played a quarter", "Traceback"))
    )
    run = json.loads((ROOT / "build" / "run.json").read_text("utf-8"))
    http = Http(run["base_url"])
    usage = Admin(http, run["admin_key"]).get("accounts/northwind/usage")

    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=DEMO_SECONDS_MAX)
    assert " legs, " in outcome
    assert usage["total"]["legs"] >= 0
    assert (demo.returncode, "Traceback" in rest) == (0, False)
    assert not (ROOT / "build" / "run.json").exists()

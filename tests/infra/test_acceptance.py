"""The hour after a first deployment, run against the laptop stack."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.tools.acceptance import LEGS_MAX, STEPS, Outcome, main, report
from local.stack import Stack
from tests.infra.bicep import ROOT

LEGS = 1_000


def _accept(url: str, key: str, report: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.tools.acceptance", "--url", url, "--report", report]
    return subprocess.run(
        [*map(str, command), "--legs", str(LEGS)],
        cwd=ROOT,
        env={**os.environ, "PERMINUTE_KEY": key},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.extended
@pytest.mark.timeout(500)
def test_a_deployment_is_accepted_and_the_report_states_it(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        done = _accept(stack.base_url, stack.admin_key, tmp_path / "report.md")
        refused = _accept(stack.base_url, "a-wrong-key-of-some-length", tmp_path / "refused.md")

    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    # A machine that runs other tests answers dial-outs slowly.
    assert [line for line in failed if "dial out latency" not in line] == [], done.stdout
    report = (tmp_path / "report.md").read_text("utf-8")
    assert report.count("\n| ") == 2 + len(STEPS)
    assert f"{LEGS} legs accepted" in report
    assert refused.returncode == 1
    assert "401" in (tmp_path / "refused.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--url", "https://x", "--legs", "0"], "k"),
        (["--url", "https://x", "--legs", str(LEGS_MAX + 1)], "k"),
        (["--url", "https://x"], ""),
        (["--url", "https://x", "--report", "/dev/null/report.md"], "k"),
    ],
)
def test_wrong_options_end_it_before_a_request(
    arguments: list[str], key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERMINUTE_KEY", key)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "http://127.0.0.1:9"])
def test_an_address_without_a_deployment_is_reported(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERMINUTE_KEY", "k")
    file = tmp_path / "report.md"
    assert main(["--url", url, "--report", str(file)]) == 1
    assert "| prepare | **failed** | SmokeError" in file.read_text("utf-8")


def test_an_answer_can_not_end_a_row_of_the_report() -> None:
    row = report("https://x", [Outcome("a step", False, "a | b\n| c |")]).splitlines()[-1]
    assert row == r"| a step | **failed** | a \| b \| c \| |"

"""The hour after a first deployment, run against the laptop stack."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.tools.acceptance import STEPS
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
def test_a_deployment_is_accepted_and_the_report_says_so(tmp_path: Path) -> None:
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

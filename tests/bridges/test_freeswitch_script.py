"""The script for a real FreeSWITCH, played with a stand-in for FreeSWITCH and sipp."""

import os
import sys
from pathlib import Path

import pytest

from local.stack import ROOT
from tests.bridges import freeswitch
from tests.bridges.asterisk import EXAMPLES

pytestmark = [pytest.mark.extended, pytest.mark.timeout(600)]


def test_the_script_plays_all_scenarios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("freeswitch", "sipp"):
        program = tmp_path / name
        words = f'{sys.executable} -m tests.bridges.stand_in {name} "$@"'
        program.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} exec {words}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert freeswitch.main() == 0, capsys.readouterr()
    played = [each.__name__ for each in freeswitch.SCENARIOS]
    expected = [f"{name} ok" for name in (*played, "product_away")]
    assert capsys.readouterr().out.splitlines()[-len(expected) :] == expected
    assert str(EXAMPLES) in sys.path


def test_the_script_names_the_programs_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert freeswitch.main() == 2
    assert capsys.readouterr().err == "not on the path: freeswitch, sipp\n"

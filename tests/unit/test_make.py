"""`make` names a missing program or a wrong variable with its remedy; its help has all targets."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("bash", "make", "env", "touch", "mkdir", "cat", "date", "dirname")
PYTHON = "make: Python 3.13 was not found. Install it ("
NODE = "make: node and npm were not found. Install Node.js 20 or later with npm ("
# Stamps of steps that need what is missing here, in the order in which they are made.
INSTALLED = (
    ".venv/.installed-local",
    ".venv/.installed-cli",
    ".venv/.installed",
    "local/node_modules/.installed",
    "tests/infra/node_modules/.installed",
    "console/node_modules/.installed",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone in which nothing is installed, and a PATH without Python and Node.js."""
    for name in subprocess.run(
        ["git", "ls-files", "Makefile", "*requirements*", "*package*.json", "cli/pyproject.toml"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for program in SHELL:
        found = shutil.which(program)
        assert found is not None, program
        (tmp_path / "bin" / program).symlink_to(found)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder, env={"PATH": str(folder / "bin")}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "installed", "sentence"),
    [
        *((target, 0, PYTHON) for target in ("demo", "run", "test", "test-all", "check")),
        *((target, 0, PYTHON) for target in ("bench", "cost", "infra", "package", "requirements")),
        ("docs", 0, NODE),
        *((target, 2, NODE) for target in ("demo", "run")),
        *((target, 3, NODE) for target in ("test", "check", "bench", "mutate", "bridges")),
        ("test", 4, NODE),
        ("test", 5, NODE),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    folder: Path, target: str, installed: int, sentence: str
) -> None:
    for name in INSTALLED[:installed]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    done = make(folder, target)

    assert done.returncode != 0
    line, *rest = done.stderr.splitlines()
    assert line.startswith(sentence)
    assert line.endswith("then repeat the command.")
    assert not [each for each in rest if "make: ***" not in each]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sim", "SEED=x"), "make: SEED=x is no whole number. Write SEED=7, for example."),
        (("sim", "STEPS=1.5"), "make: STEPS=1.5 is no whole number. Write STEPS=30, for example."),
        (("soak", "MINUTES=ten"), "make: MINUTES=ten is no whole number. Write MINUTES=10,"),
        (("soak", "ACCOUNTS=-1"), "make: ACCOUNTS=-1 is no whole number. Write ACCOUNTS=2000,"),
        (("infra", "BICEP=/no/bicep"), "make: BICEP=/no/bicep does not exist. Write the path"),
    ],
)
def test_a_wrong_variable_is_named_with_its_values(
    folder: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    stamps = ("console/dist/.built", "build/tools/checkov/.installed")
    for name in (*INSTALLED, *stamps):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    done = make(folder, *arguments)

    assert done.returncode != 0
    line, *rest = done.stderr.splitlines()
    assert line.startswith(sentence)
    assert not [each for each in rest if "make: ***" not in each]


def test_every_target_is_in_the_help() -> None:
    phony = next(
        line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if ".PHONY" in line
    )
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    ).stdout
    targets = set(phony.split()[1:]) - {"help"}
    assert targets == {line.split()[1] for line in shown.splitlines() if line.startswith("make ")}

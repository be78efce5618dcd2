"""Every command names a wrong argument, file or setting with its remedy, without a traceback."""

import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import refusal
from tests.console import browser

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("PERMINUTE_URL", "PERMINUTE_KEY", "TABLES_CONNECTION_STRING", "PORT", "DATA", "SEED")


@pytest.mark.parametrize(
    ("command", "variables", "sentence"),
    [
        ("local.run", {"PORT": "x"}, "PORT=x is no port. PORT is 0 to 65535 (0: any free port)."),
        ("local.run", {"PORT": "70000"}, "PORT=70000 is no port."),
        ("local.run", {"SEED": "x"}, "SEED=x is unknown. SEED is `demo` or `none`."),
        ("local.run", {"DATA": "/proc/x", "SEED": "none"},
         "the data folder /proc/x cannot be written (No such file or directory). Choose a folder"),
        ("local.run", {"DATA": "DAMAGED", "SEED": "none"}, "Restore the file, or delete the data"),
        ("local.demo", {"KEEP": "x"}, "KEEP=x is unknown. KEEP is 1 (serve on) or 0."),
        ("tests.planted x-y", {}, "No bug is named x-y. tests/planted/bugs.py has the names."),
        ("tests.mutation x", {}, "No module is named x. Choose of money, terms,"),
        ("tests.bench x", {}, "The argument x is unknown. Write ONLY=name, or nothing."),
        ("tests.unit.credits.year x", {}, "Write the number of accounts and a seed"),
        ("tests.sim --seed x", {}, "argument --seed: invalid int value: 'x'"),
        ("infra.tools.package --out /proc/x", {},
         "/proc/x cannot be written (No such file or directory). Choose a folder with --out."),
        ("infra.tools.try_package x", {}, "x is no zip: make package builds it"),
        ("infra.tools.checkov /no/checkov", {}, "/no/checkov"),
        ("infra.tools.replay --since x", {}, "x is no time. Write 2026-11-20T10:00:00Z"),
        ("infra.tools.replay --since 2026-11-20T10:00:00Z", {},
         "one of the settings TABLES_CONNECTION_STRING and TABLES_ENDPOINT is needed"),
        ("infra.tools.ledgers x", {}, "argument verb: invalid choice: 'x'"),
        ("infra.tools.ledgers verify contoso", {}, "TABLES_CONNECTION_STRING"),
        ("infra.tools.proof_key --data /no", {}, "/no/secrets.json does not exist."),
        ("infra.tools.proof_key --vault x", {"PATH": ""},
         "`az` was not found. Install the Azure CLI, and sign in with `az login`."),
        ("infra.tools.acceptance", {}, "--url (or PERMINUTE_URL) and PERMINUTE_KEY are needed"),
        ("infra.tools.smoke", {}, "PERMINUTE_URL is not set"),
        ("infra.tools.what_if", {}, "standard input"),
    ],
    ids=str,
)  # fmt: skip
def test_a_command_names_the_fault_and_the_remedy(
    command: str,
    variables: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    name, *arguments = command.split()
    (tmp_path / "secrets.json").write_text("{", "utf-8")
    for setting in SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    for setting, value in variables.items():
        monkeypatch.setenv(setting, str(tmp_path) if value == "DAMAGED" else value)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "stdin", (tmp_path / "secrets.json").open("r"))
    place = name if name != "tests.bench" else "tests.bench.__main__"
    package = ROOT / name.replace(".", "/")
    module = importlib.import_module(f"{name}.__main__" if package.is_dir() else place)

    try:
        code = module.main(arguments) if name == "tests.mutation" else module.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else print(end.code, file=sys.stderr) or 1

    shown = "".join(capfd.readouterr())
    assert code not in (0, None)
    assert sentence in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("file", ["verify_month.py", "verify_receipt.py"])
@pytest.mark.parametrize("content", [None, "{", json.dumps([1])])
def test_a_verifier_names_a_file_that_it_cannot_read(
    file: str, content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "given.json"
    if content is not None:
        path.write_text(content, "utf-8")

    done = subprocess.run(
        [sys.executable, ROOT / "tools" / file, path, "--keys", path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    assert re.search(f"{path}|the keys", done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["local.run", "local.demo", "infra.tools.package"])
def test_a_python_without_the_packages_is_named(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); import {name}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith("Perminute needs Python 3.13 with its packages, and ")
    assert "make setup" in done.stderr


def test_the_set_up_of_the_pipeline_names_its_arguments() -> None:
    script = ROOT / "infra" / "tools" / "setup_github.sh"
    shell = shutil.which("sh")
    assert shell is not None

    done = subprocess.run([shell, script], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0
    assert "OWNER/REPOSITORY SUBSCRIPTION_ID LOCATION [--apply]" in done.stderr


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            {"code": "schema_unknown", "detail": "The row was written by a newer version."},
            (
                "the data folder was written by a newer version of Perminute. Run that version, or"
                " choose another folder with `make run DATA=…`."
            ),
        ),
        ({"code": "x", "detail": "Send it."}, "the bridge was not created (status 503). Send it."),
        (None, "the bridge was not created (status 503). Read the logs."),
    ],
)
def test_a_stack_on_data_that_it_cannot_use_names_the_remedy(problem: object, text: str) -> None:
    assert refusal("the bridge", 503, problem) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((), "Node.js is missing. Install Node.js 20 or later with npm."),
        (("node",), "Chromium is missing. Install it with `apt-get install chromium`."),
    ],
)
def test_a_missing_browser_is_named_with_the_remedy(
    found: tuple[str, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in found else None)

    assert browser.missing() == text

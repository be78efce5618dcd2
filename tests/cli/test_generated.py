"""What is generated agrees with its source: the requests and types, and the reference."""

import resource
import subprocess
import sys
from pathlib import Path

from perminute_cli.failures import advice
from tests.cli.generate import GENERATED, generated
from tests.cli.reference import PAGE, commands, page, root

ROOT = Path(__file__).resolve().parents[2]
CPU_SECONDS_MAX = 0.4


def test_requests_and_types_are_those_of_the_document() -> None:
    """`python -m tests.cli.generate` writes the file again after a change of the API."""
    assert GENERATED.read_text("utf-8") == generated()


def test_the_reference_is_that_of_the_commands() -> None:
    """`python -m tests.cli.reference` writes it again."""
    assert PAGE.read_text("utf-8") == page()


def test_every_command_has_help_and_examples_that_parse() -> None:
    names = [name for name, _ in commands(root)]
    for name, command in commands(root):
        assert command.help, name
        examples = (command.epilog or "").partition("Examples:\n")[2]
        assert name.split()[1] in examples, name
        for option in command.params:
            assert option.name not in {"is_json"} or "--json" in option.opts
    assert len(names) > 30


def test_every_documented_error_has_advice() -> None:
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("| `"):
            assert advice(line.split("`")[1], 400)


def test_help_needs_little_processor_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "perminute_cli", "--help"]
    ran = subprocess.run(command, cwd=ROOT / "cli", capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert "bridges" in ran.stdout
    assert used < CPU_SECONDS_MAX

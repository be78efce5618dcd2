"""Every command of the pages below does what its page says, against the whole stack."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.stack import ROOT, Stack

PAGES = ["README.md", "docs/getting-started.md", "docs/rate-cards.md"]
BLOCK = re.compile(r"^```(sh|json|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
END = "---- end of a block ----"
SECONDS_MAX = 240.0  # on a machine that does ten things at once; it takes a few seconds alone
ANYTHING = "…"


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, and the block that follows it, if that reports its output."""

    commands: str
    kind: str | None
    output: str


def steps_of(page: str) -> Iterator[Step]:
    """The blocks of commands, in order."""
    text = (ROOT / page).read_text("utf-8")
    blocks = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    for (kind, block), (next_kind, next_block) in zip(
        blocks, [*blocks[1:], ("sh", "")], strict=True
    ):
        if kind == "sh":
            has_output = next_kind != "sh"
            yield Step(block, next_kind if has_output else None, next_block if has_output else "")


def differs(expected: object, actual: object, where: str = "") -> str:
    """The first place where the answer is not as the page says; "" if there is none."""
    if expected == ANYTHING:
        return ""
    if isinstance(expected, str):
        pattern = ".*".join(re.escape(part) for part in expected.split(ANYTHING))
        same = isinstance(actual, str) and re.fullmatch(pattern, actual, re.DOTALL)
        return "" if same else f"{where}: {actual!r}, the page says {expected!r}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return f"{where}: the fields {sorted(expected.keys() ^ actual.keys())}"
        found = (differs(expected[name], actual[name], f"{where}/{name}") for name in expected)
        return next((text for text in found if text), "")
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        found = (differs(first, second, f"{where}/{n}") for n, (first, second) in pairs)
        return next((text for text in found if text), "")
    return "" if expected == actual else f"{where}: {actual!r}, the page says {expected!r}"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with `build/run.json`, while an empty stack serves."""
    with Stack(tmp_path / "data") as stack:
        run_json = tmp_path / "build" / "run.json"
        run_json.parent.mkdir()
        run_json.write_text(json.dumps(stack.describe()))
        yield tmp_path


@pytest.mark.timeout(SECONDS_MAX + 60)
@pytest.mark.parametrize(
    "page", [*PAGES[:2], *(pytest.param(page, marks=pytest.mark.extended) for page in PAGES[2:])]
)
def test_the_page_is_followed_from_top_to_bottom(page: str, folder: Path) -> None:
    """One shell runs all blocks; each output is what the next block shows."""
    steps = list(steps_of(page))
    script = "".join(f"{step.commands}\necho '{END}'\n" for step in steps)
    try:
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"out of time after {late.stdout!r}")
    outputs = done.stdout.split(f"{END}\n")

    assert done.returncode == 0, (outputs[-1], done.stderr)
    for step, output in zip(steps, outputs[:-1], strict=True):
        if step.kind == "json":
            assert differs(json.loads(step.output), json.loads(output)) == "", step.commands
        elif step.kind == "text":
            assert differs(step.output, output) == "", step.commands

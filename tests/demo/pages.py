"""Pages of the documentation, run: each block of commands, and the output that the page shows."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.run import shell_settings
from local.stack import ROOT, Stack

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
END = "---- end of a block ----"
SECONDS_MAX = 600.0  # on a busy machine; a page takes a few seconds on a quiet one
COLUMNS = 100
ANYTHING = "…"
FAILURES = ("Error: ", '"type": "/problems/')


@dataclass(frozen=True, slots=True)
class Step:
    """A block of commands, and the block that follows it, if that shows the output."""

    commands: str
    kind: str
    output: str


def steps_of(page: str) -> Iterator[Step]:
    """The blocks of commands, in order."""
    text = (ROOT / page).read_text("utf-8")
    blocks = [(match[1], match[2]) for match in BLOCK.finditer(text)]
    for (kind, block), (next_kind, next_block) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh":
            has_output = next_kind in {"json", "text"}
            yield Step(block, next_kind if has_output else "", next_block if has_output else "")


def differs(expected: object, actual: object, where: str = "") -> str:
    """The first place where the answer is not as the page shows it; "" if there is none."""
    if expected == ANYTHING:
        return ""
    if isinstance(expected, str):
        same = isinstance(actual, str) and matches(expected, actual)
        return "" if same else f"{where}: {actual!r}, the page has {expected!r}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return f"{where}: the fields {sorted(expected.keys() ^ actual.keys())}"
        found = (differs(expected[name], actual[name], f"{where}/{name}") for name in expected)
        return next((text for text in found if text), "")
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        found = (differs(first, second, f"{where}/{n}") for n, (first, second) in pairs)
        return next((text for text in found if text), "")
    return "" if expected == actual else f"{where}: {actual!r}, the page has {expected!r}"


def matches(expected: str, actual: str) -> bool:
    """Whether a text is as shown: `…` stands for anything within a line, a line of it for lines."""
    pattern = "".join(
        r"(?s:.*)" if line.strip() == ANYTHING else _line_pattern(line)
        for line in expected.splitlines(keepends=True)
    )
    text = re.sub(r"[ \r]+$", "", actual, flags=re.MULTILINE)
    return re.fullmatch(pattern, text) is not None


def _line_pattern(line: str) -> str:
    """Spaces after `…` keep the columns of a table below each other: their number is free."""
    return re.sub(rf"{ANYTHING}(?:\\ )*", r"[^\\n]*", re.escape(line))


@dataclass(frozen=True, slots=True)
class Reader:
    """A person with a shell in a folder, beside a running stack."""

    folder: Path

    @classmethod
    def of(cls, stack: Stack, folder: Path) -> "Reader":
        """A reader whose folder has the files that `make run` writes."""
        (folder / "build").mkdir(parents=True)
        (folder / "build" / "run.json").write_text(json.dumps(stack.describe()))
        (folder / "build" / "run.env").write_text(shell_settings(stack))
        (folder / "docs").symlink_to(ROOT / "docs")
        return cls(folder)

    def follow(self, page: str) -> list[str]:
        """What each block of a page printed, on both streams. Raises AssertionError where it is
        not what the page shows, or where a block fails and the page shows no error."""
        steps = list(steps_of(page))
        script = "".join(f'{step.commands}\necho "{END} $?"\n' for step in steps)
        environment = os.environ | {
            "HOME": str(self.folder),
            "COLUMNS": str(COLUMNS),
            "TZ": "UTC",
            "PYTHONPATH": str(ROOT / "cli"),
        }
        done = subprocess.run(
            ["bash", "-u", "-c", script],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        outputs = re.split(rf"{END} (\d+)\n", done.stdout)
        printed, codes = outputs[:-1:2], outputs[1::2]
        assert len(printed) == len(steps), done.stdout[-2000:]
        for step, output, code in zip(steps, printed, codes, strict=True):
            _judge(page, step, output, int(code))
        return printed


def _judge(page: str, step: Step, output: str, code: int) -> None:
    about = f"{page}:\n{step.commands}\n{output}"
    shows_failure = any(each in step.output for each in FAILURES)
    assert shows_failure or code == 0, about
    if step.kind == "json":
        assert differs(json.loads(step.output), json.loads(output)) == "", about
    else:
        assert matches(step.output, output), about

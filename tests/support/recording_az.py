"""A stand-in for `az`, `azd` and `gh`: records each call, and answers what a test planned.

`RecordingAz` writes executables into a folder, to be put first on the PATH. A plan is a list of
(pattern, answers): each call that the pattern fits takes the next answer, the last one for ever. A
call that no pattern fits succeeds and prints nothing.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = """#!{python}
import fcntl, json, re, sys
from pathlib import Path
folder = Path({folder!r})
line = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
with (folder / "lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    plan = json.loads((folder / "plan.json").read_text())
    content = ""
    if "--file" in sys.argv:
        content = Path(sys.argv[sys.argv.index("--file") + 1]).read_text()
    with (folder / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps([line, content]) + "\\n")
    answer = ["", "", 0]
    for each in plan:
        if re.search(each[0], line):
            answer = each[1].pop(0) if len(each[1]) > 1 else each[1][0]
            break
    (folder / "plan.json").write_text(json.dumps(plan))
sys.stdout.write(answer[0])
sys.stderr.write(answer[1])
sys.exit(answer[2])
"""


@dataclass(frozen=True)
class Reply:
    """What a call prints, and its exit code."""

    out: str = ""
    err: str = ""
    code: int = 0


FORBIDDEN = Reply(err="ERROR: (Forbidden) Caller is not authorized to perform action", code=1)
NO_SECRET = Reply(err="ERROR: (SecretNotFound) A secret with (name/id) x was not found", code=1)


@dataclass
class RecordingAz:
    """The stand-ins in `folder`."""

    folder: Path
    plan: Sequence[tuple[str, Sequence[Reply]]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for name in ("az", "azd", "gh"):
            program = self.folder / name
            program.write_text(PROGRAM.format(python=sys.executable, folder=str(self.folder)))
            program.chmod(0o755)
        self.replan(self.plan)

    def replan(self, plan: Sequence[tuple[str, Sequence[Reply]]]) -> None:
        """Answer so from now on."""
        answers = [
            [pattern, [[s.out, s.err, s.code] for s in results]] for pattern, results in plan
        ]
        (self.folder / "plan.json").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[str]:
        """Every call as one line, in order."""
        return [line for line, _ in self._recorded()]

    @property
    def contents(self) -> dict[str, str]:
        """What each `--file` held, by the call."""
        return {line: content for line, content in self._recorded() if content}

    def fitting(self, pattern: str) -> list[str]:
        return [call for call in self.calls if re.search(pattern, call)]

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script with the stand-ins first on the PATH."""
        return subprocess.run(
            [str(part) for part in command],
            env={
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                **self.environment,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run_without(self, tool: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a script where one program is not installed."""
        tools = self.folder.parent / "tools"
        tools.mkdir(exist_ok=True)
        for folder in (Path("/usr/bin"), Path("/bin"), Path("/usr/local/bin")):
            for program in folder.iterdir():
                if program.name != tool and not (tools / program.name).exists():
                    (tools / program.name).symlink_to(program)
        (self.folder / tool).unlink(missing_ok=True)
        return self.run(*command, PATH=f"{self.folder}:{tools}")

    def _recorded(self) -> list[tuple[str, str]]:
        file = self.folder / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(line, content) for line, content in map(json.loads, lines)]

"""The Bicep compiler, and what it makes of infra/.

After a wanted change: `python -m tests.infra.bicep` writes the snapshots again.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
MODULES = sorted((INFRA / "modules").glob("*.bicep"))
PARAMETER_FILES = sorted(INFRA.glob("*.bicepparam"))
ENVIRONMENTS = [path.stem for path in PARAMETER_FILES]
NO_COMPILER = "no Bicep compiler: set BICEP to one, or put `bicep` on the PATH"
# It takes seconds; a busy machine may make a minute of them.
COMPILER_SECONDS_MAX = 280
TEST_SECONDS_MAX = 300
# What a snapshot is taken for: no real subscription, tenant or repository.
SNAPSHOT = (
    *("--subscription-id", "00000000-0000-0000-0000-000000000000"),
    *("--tenant-id", "00000000-0000-0000-0000-000000000001"),
    *("--location", "westeurope"),
)
VARIABLES = {
    "GITHUB_SUBJECT_PREFIX": "repo:example@1/perminute@2",
    "PERMINUTE_ALERT_EMAILS": "oncall@example.com, finance@example.com",
    "PERMINUTE_OWNER": "owner@example.com",
    "FINANCE_GROUP_ID": "00000000-0000-0000-0000-000000000002",
}


def compiler() -> str | None:
    """The compiler's path, None where there is none."""
    named = os.environ.get("BICEP")
    return named if named and Path(named).exists() else shutil.which("bicep")


def bicep(*arguments: str, folder: Path = INFRA) -> subprocess.CompletedProcess[str]:
    """Run the compiler with variables of our own only, so that a snapshot is the same anywhere."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [compiler() or "bicep", *arguments],
        cwd=folder,
        env={**kept, **VARIABLES, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        timeout=COMPILER_SECONDS_MAX,
        check=False,
    )


@cache
def templates() -> dict[str, dict[str, Any]]:
    """The built ARM JSON of main.bicep and of every module, by name."""
    with tempfile.TemporaryDirectory() as folder:
        built = bicep("build", "--pattern", "**/*.bicep", "--outdir", folder)
        assert built.returncode == 0, built.stderr
        return {
            path.stem: json.loads(path.read_text("utf-8")) for path in Path(folder).rglob("*.json")
        }


@cache
def snapshot(environment: str) -> list[dict[str, Any]]:
    """The evaluated resources of a parameter file, as the golden file has them."""
    text = (INFRA / f"{environment}.snapshot.json").read_text("utf-8")
    return json.loads(text)["predictedResources"]


def resources(environment: str, kind: str) -> list[dict[str, Any]]:
    """The evaluated resources of one type, which must exist."""
    found = [each for each in snapshot(environment) if each["type"] == f"Microsoft.{kind}"]
    assert found, f"{environment} has no {kind}"
    return found


def take_snapshot(parameters: Path, mode: str) -> subprocess.CompletedProcess[str]:
    """Write the snapshot beside the parameter file, or hold it against the one that is there."""
    return bicep("snapshot", str(parameters), "--mode", mode, *SNAPSHOT)


def sort_outputs(path: Path) -> None:
    """The compiler writes outputs in another order each time: a difference that means nothing."""
    found = json.loads(path.read_text("utf-8"))
    found["outputs"] = dict(sorted(found["outputs"].items()))
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    for parameter_file in PARAMETER_FILES:
        taken = take_snapshot(parameter_file, "overwrite")
        print(parameter_file.name, taken.returncode, taken.stderr)
        if taken.returncode:
            sys.exit(1)
        sort_outputs(parameter_file.with_suffix(".snapshot.json"))

"""`python -m infra.tools.checkov CHECKOV`: security rules over what would be deployed.

The golden snapshots are given to Checkov as plain ARM templates, since it can read neither newer
Bicep nor nested templates: so it sees every resource with its evaluated values. infra/checkov.json
has what is not followed, each with its reason; a reason that nothing needs any more is an error.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
OUT = ROOT / "build" / "checkov"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
SECONDS_MAX = 120


@dataclass(frozen=True)
class Finding:
    """A check that failed for a resource of an environment."""

    check: str
    name: str
    where: str
    resource: str

    def is_excused_by(self, excuse: dict[str, Any]) -> bool:
        """Whether infra/checkov.json gives a reason for it."""
        return (
            excuse["check"] == self.check
            and excuse["where"] in self.resource
            and self.where in excuse.get("in", [self.where])
        )


def main() -> int:
    """Check templates and workflows. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.checkov")
    parser.add_argument("checkov", help="path of the program")
    program = parser.parse_args().checkov
    excuses = json.loads((INFRA / "checkov.json").read_text("utf-8"))
    templates = write_templates(OUT)
    findings = [
        *_findings(_run(program, "arm", OUT), {path.name: path.stem for path in templates}),
        *_findings(_run(program, "github_actions", ROOT / ".github"), {}),
    ]
    open_findings = [f for f in findings if not any(f.is_excused_by(e) for e in excuses)]
    needless = [e for e in excuses if not any(f.is_excused_by(e) for f in findings)]
    for finding in open_findings:
        print(f"{finding.check} {finding.where}: {finding.resource}: {finding.name}")
    for excuse in needless:
        print(f"infra/checkov.json: {excuse['check']} for {excuse['where']} excuses nothing")
    print(f"checkov: {len(open_findings)} findings, {len(findings) - len(open_findings)} excused")
    return 1 if open_findings or needless else 0


def write_templates(folder: Path) -> list[Path]:
    """A flat template for each golden snapshot."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for snapshot in sorted(INFRA.glob("*.snapshot.json")):
        resources = json.loads(snapshot.read_text("utf-8"))["predictedResources"]
        flat = {
            "$schema": SCHEMA,
            "contentVersion": "1.0.0.0",
            "parameters": {},
            "resources": [{k: v for k, v in each.items() if k != "id"} for each in resources],
        }
        path = folder / f"{snapshot.name.partition('.')[0]}.json"
        path.write_text(json.dumps(flat, indent=1), "utf-8")
        written.append(path)
    return written


def _run(program: str, framework: str, folder: Path) -> dict[str, Any]:
    command = [program, "-d", str(folder), "--framework", framework, "--compact"]
    done = subprocess.run(
        [*command, "--skip-download", "--output", "json", "--soft-fail"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"checkov failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found["summary"]["parsing_errors"] or not found["summary"]["passed"]:
        raise SystemExit(f"checkov could not read {folder}: {found['summary']}")
    return found


def _findings(found: dict[str, Any], names: dict[str, str]) -> Iterator[Finding]:
    for each in found["results"]["failed_checks"]:
        file = Path(each["file_path"]).name
        yield Finding(
            each["check_id"], each["check_name"], names.get(file, ".github"), each["resource"]
        )


if __name__ == "__main__":
    sys.exit(main())

"""`python -m infra.tools.checkov CHECKOV`: security rules for the deployed resources.

Checkov reads neither newer Bicep nor nested templates. It therefore gets the golden snapshots as
plain ARM templates, with every resource and its evaluated values. infra/checkov.json lists the
rules that are not followed, each with its reason. A reason without a finding is an error, and so is
a file that Checkov passes over.
"""

import argparse
import json
import re
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
# Checkov's schema of workflows is older than these two forms, and a file with one is passed over.
NEWER_FORMS = (
    (re.compile(r"^ +attestations: (?:read|write)\b.*\n", re.M), ""),
    (re.compile(r"(?<=cancel-in-progress: )\$\{\{.*\}\}"), "true"),
)


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
    templates, workflows = write_templates(OUT), write_workflows(OUT)
    arm = _run(program, "arm", OUT, templates)
    actions = _run(program, "github_actions", OUT, workflows)
    findings = [
        *_findings(arm, {path.name: path.stem for path in templates}),
        *_findings(actions, {}),
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


def write_workflows(folder: Path) -> list[Path]:
    """A copy of each workflow in forms that Checkov knows."""
    target = folder / ".github" / "workflows"
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for workflow in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        text = workflow.read_text("utf-8")
        for form, known in NEWER_FORMS:
            text = form.sub(known, text)
        path = target / workflow.name
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def _run(program: str, framework: str, folder: Path, files: list[Path]) -> dict[str, Any]:
    command = [program, "-d", str(folder), "--framework", framework, "--compact"]
    try:
        done = subprocess.run(
            [*command, "--skip-download", "--output", "json", "--soft-fail"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except OSError as error:
        raise SystemExit(f"checkov can not be started: {error}") from error
    if done.returncode:
        raise SystemExit(f"checkov failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if found["summary"]["parsing_errors"] or not found["summary"]["passed"]:
        raise SystemExit(f"checkov could not read {folder}: {found['summary']}")
    results = found["results"]
    checks = [*results["passed_checks"], *results["failed_checks"]]
    missing = {path.name for path in files} - {Path(each["file_path"]).name for each in checks}
    if missing:
        raise SystemExit(f"checkov passed over {', '.join(sorted(missing))}")
    return found


def _findings(found: dict[str, Any], names: dict[str, str]) -> Iterator[Finding]:
    for each in found["results"]["failed_checks"]:
        file = Path(each["file_path"]).name
        yield Finding(
            each["check_id"], each["check_name"], names.get(file, ".github"), each["resource"]
        )


if __name__ == "__main__":
    sys.exit(main())

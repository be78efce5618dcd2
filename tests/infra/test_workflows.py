"""The workflows: nothing that moves, no more rights than needed, and zizmor has no objection."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.tools.checkov import write_workflows
from infra.tools.what_if import lines
from tests.infra.bicep import ROOT

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*-? ?uses: (?:\$/\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$")


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return document


def _steps() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.stem}.{name}", step)
        for path in WORKFLOWS
        for name, job in _read(path)["jobs"].items()
        for step in job.get("steps", [])
    ]


def test_zizmor_finds_nothing() -> None:
    """The strictest persona that is meant for everybody, without a network."""
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [program, "--offline", "--no-progress", "--persona=pedantic", "--format=json", str(FOLDER)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [each["ident"] for each in json.loads(done.stdout)] == []
    assert done.returncode == 0, done.stderr


def test_checkov_gets_every_workflow_in_forms_that_its_schema_knows(tmp_path: Path) -> None:
    """It passes over a file that its schema refuses (infra/tools/checkov.py)."""
    copies = write_workflows(tmp_path)
    texts = [path.read_text("utf-8") for path in copies]

    assert [path.name for path in copies] == [path.name for path in WORKFLOWS]
    assert not any("attestations:" in text for text in texts)
    assert not any("cancel-in-progress: $" in text for text in texts)


def test_every_action_is_pinned_by_its_commit() -> None:
    """With the version as a comment, which Dependabot keeps up to date."""
    uses = [
        (path.name, line)
        for path in FOLDER.rglob("*.yml")
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]

    assert len(uses) > 10
    assert [each for each in uses if not PINNED.fullmatch(each[1])] == []


def _rights(job: dict[str, Any]) -> set[str]:
    return {f"{name}: {right}" for name, right in job["permissions"].items()}


def test_only_what_ci_built_on_main_is_deployed() -> None:
    """By its digest and its attestation, before anything logs in to Azure."""
    job = _read(FOLDER / "workflows" / "deploy.yml")["jobs"]["deploy"]
    steps = job["steps"]
    names = [step.get("name", step.get("uses", "").partition("@")[0]) for step in steps]
    verify = steps[names.index("Verify the package")]

    order = ["Fetch the package", "Verify the package", "azure/login", "Deploy"]
    assert [name for name in names if name in order] == order
    assert verify["env"]["SOURCE"] == (
        "${{ github.event_name == 'push' && github.ref || 'refs/heads/main' }}"
    )
    assert verify["env"]["DIGEST"] == "${{ inputs.digest }}"
    assert "sha256sum --check --strict" in verify["run"]
    assert 'merge-base --is-ancestor "$GITHUB_SHA" origin/main' in verify["run"]
    for step in steps:
        if script := step.get("run"):
            fetched = len(re.findall(r"gh run download", script))
            assert fetched == 0 or "gh attestation verify" in script + verify["run"]
    for script in (verify["run"], steps[names.index("Fetch the package that serves now")]["run"]):
        assert '--signer-workflow "$GITHUB_REPOSITORY/.github/workflows/ci.yml"' in script
    assert "if" not in verify
    assert "continue-on-error" not in verify


def test_a_pull_requests_package_is_never_attested() -> None:
    jobs = _read(FOLDER / "workflows" / "ci.yml")["jobs"]
    attesting = {
        name
        for name, job in jobs.items()
        for step in job["steps"]
        if "attest-build-provenance" in step.get("uses", "")
    }

    assert attesting == {"attest"}
    assert jobs["attest"]["if"] == "github.event_name == 'push'"
    assert set(jobs["attest"]["needs"]) == set(jobs) - {"attest"}
    assert {name for name, job in jobs.items() if "id-token: write" in _rights(job)} == {"attest"}


ENVIRONMENTS = ["plan", "infrastructure", "production"]
ENVIRONMENTS += [{"name": "github-pages", "url": "${{ steps.publish.outputs.page_url }}"}]
HASHED = ["requirements", "requirements-local", "requirements-dev"]
HASHED += ["infra/tools/checkov-requirements", "infra/tools/uv-requirements", "site/requirements"]


@pytest.mark.parametrize("name", HASHED)
def test_every_pinned_version_has_its_hashes(name: str) -> None:
    """And nothing but what is pinned by hand; no file names a registry."""
    pins = _pins(ROOT / f"{name}.in")
    hashed = (ROOT / f"{name}.txt").read_text("utf-8")
    blocks = re.findall(
        r"^([\w.\[\]-]+)==(\S+)[^\n]*((?:\n {4}--hash=sha256:[0-9a-f]{64}[ \\]*)+)", hashed, re.M
    )

    wanted = re.findall(r"^([\w.\[\]-]+)==(\S+)", pins, re.M)
    assert {(_plain(each), version) for each, version, _ in blocks} == {
        (_plain(each), version) for each, version in wanted
    }
    assert "://" not in hashed + pins
    assert "index-url" not in hashed + pins


def _pins(path: Path) -> str:
    """The text of a file of pins, with the files that it includes."""
    text = path.read_text("utf-8")
    included = re.findall(r"^-r (\S+)", text, re.M)
    return text + "".join(_pins(path.parent / name) for name in included)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_nothing_is_installed_without_its_hash() -> None:
    texts = [(ROOT / "Makefile").read_text("utf-8")]
    texts += [path.read_text("utf-8") for path in FOLDER.rglob("*.yml")]
    lines_of = [line for text in texts for line in text.splitlines()]
    # `cli` is this repository's own, without what it needs.
    installs = [
        line for line in lines_of if "pip install" in line and "--no-deps --no-build" not in line
    ]

    assert len(installs) == 5
    assert [line for line in installs if "--require-hashes" not in line] == []
    assert "--require-hashes" in (ROOT / "infra/tools/package.py").read_text("utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_are_given_job_by_job(path: Path) -> None:
    """None to the workflow; a token for Azure only where an environment may require approval."""
    workflow = _read(path)

    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert "write-all" not in str(job["permissions"])
        if "id-token" in job["permissions"] and "attestations: write" not in _rights(job):
            assert job["environment"] in ENVIRONMENTS
        for step in job.get("steps", []):
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_no_secret_logs_in_to_azure() -> None:
    """OIDC: who may act as which identity is written in Azure (infra/modules/deployer.bicep)."""
    logins = [step for _, step in _steps() if "azure/login" in step.get("uses", "")]

    assert logins
    for step in logins:
        assert set(step["with"]) == {"client-id", "tenant-id", "subscription-id"}
        assert all(value.startswith("${{ vars.") for value in step["with"].values())


def test_scripts_hold_no_expressions_and_are_sound() -> None:
    """What a stranger may have chosen reaches a script as a variable, never as its text."""
    for where, step in _steps():
        if script := step.get("run"):
            assert "${{" not in script, where
            checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
            assert checked.returncode == 0, where


def test_what_is_run_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for where, step in _steps():
        for target in re.findall(r"\bmake (\w+)", step.get("run", "")):
            assert f"\n{target}:" in makefile, (where, target)
        for path in re.findall(r"\binfra/[\w./-]+", step.get("run", "")):
            assert (ROOT / path).exists(), (where, path)


def test_the_package_that_is_deployed_was_tested_and_approved() -> None:
    """Infrastructure first: a release that needs a new table finds it there (ADR 0021)."""
    jobs = _read(FOLDER / "workflows" / "deploy.yml")["jobs"]
    names = [step.get("name", "") for step in jobs["deploy"]["steps"]]

    assert jobs["ci"]["uses"] == "$/.github/workflows/ci.yml"
    assert jobs["infra"]["needs"] == "ci"
    assert jobs["deploy"]["needs"] == ["ci", "infra"]
    assert jobs["deploy"]["environment"] == "production"
    assert names.index("Deploy") < names.index("Smoke test") < names.index("Roll back")


def test_every_variable_of_the_parameter_file_is_given() -> None:
    """One that is missing would be deployed as its default: Entra or mail switched off by CI."""
    text = (ROOT / "infra" / "prod.bicepparam").read_text("utf-8")
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", text))
    deploying = {
        where: set(step["env"])
        for where, step in _steps()
        if "infra/prod.bicepparam" in step.get("run", "")
    }

    assert {where: read - given for where, given in deploying.items()} == {
        "deploy.infra": set(),
        "what-if.what-if": set(),
    }


def test_a_package_that_was_rolled_back_to_is_tried_too() -> None:
    (step,) = (step for where, step in _steps() if step.get("name") == "Roll back")

    assert step["if"] == (
        "failure() && (steps.deploy.outcome == 'failure' || steps.smoke.outcome == 'failure')"
    )
    assert [each["id"] for _, each in _steps() if each.get("name") == "Deploy"] == ["deploy"]
    assert step["run"].index("last/perminute.zip") < step["run"].index("infra/tools/smoke.py")


def test_every_ecosystem_is_kept_up_to_date_after_a_week() -> None:
    """A release that is withdrawn at once never gets here."""
    updates = _read(FOLDER / "dependabot.yml")["updates"]

    assert {each["package-ecosystem"] for each in updates} == {"github-actions", "pip", "npm"}
    assert all(each["cooldown"]["default-days"] >= 7 for each in updates)
    for each in updates:
        for folder in each.get("directories", [each.get("directory")]):
            assert (ROOT / folder.lstrip("/")).is_dir()


def test_the_comment_reports_what_would_change() -> None:
    reported = list(
        lines(
            {
                "changes": [
                    {"resourceId": "/subscriptions/0/resourceGroups/g/a", "changeType": "NoChange"},
                    {"resourceId": "/subscriptions/0/resourceGroups/g/c", "changeType": "Create"},
                    {
                        "resourceId": "/subscriptions/0/resourceGroups/g/b",
                        "changeType": "Modify",
                        "delta": [
                            {
                                "path": "properties",
                                "propertyChangeType": "Modify",
                                "children": [
                                    {
                                        "path": "lock",
                                        "propertyChangeType": "Modify",
                                        "before": "PT5M",
                                        "after": "PT1M",
                                    },
                                    {"path": "x", "propertyChangeType": "NoEffect"},
                                ],
                            }
                        ],
                    },
                ]
            }
        )
    )

    assert reported == ["! g/b", '    properties.lock: "PT5M" -> "PT1M"', "+ g/c"]


def _what_if(text: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "infra" / "tools" / "what_if.py"
    return subprocess.run(
        [sys.executable, "-I", "-S", str(script)],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.extended
@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"changes": [{}]}', '{"changes": 7}'])
def test_an_answer_in_another_form_fails_the_step(text: str) -> None:
    done = _what_if(text)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("what_if: standard input is no answer")


@pytest.mark.extended
def test_a_comment_holds_the_changes_and_keeps_its_block() -> None:
    """GitHub refuses more than 65,536 characters; three backticks would end the block."""
    change = {
        "resourceId": "/subscriptions/0/resourceGroups/g/x",
        "changeType": "Modify",
        "delta": [
            {"path": f"p{number}", "before": "```", "after": "y" * 1_000} for number in range(100)
        ],
    }
    done = _what_if(json.dumps({"changes": [change]}))

    assert done.returncode == 0, done.stderr
    assert len(done.stdout) < 65_000
    assert "```" not in done.stdout
    assert re.search(r"and \d+ more lines", done.stdout)

"""The real compiler has nothing to say against infra/, and the golden snapshots are current."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.infra.bicep import (
    ENVIRONMENTS,
    INFRA,
    MODULES,
    NO_COMPILER,
    PARAMETER_FILES,
    ROOT,
    TEST_SECONDS_MAX,
    bicep,
    compiler,
    take_snapshot,
    templates,
)
from tests.infra.test_safety import SECRET

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason=NO_COMPILER),
    pytest.mark.timeout(TEST_SECONDS_MAX),
]
LINES_MAX = 140
NAMES = [path.stem for path in MODULES]


def test_lint_finds_nothing() -> None:
    """Neither errors nor warnings: `lint` exits 0 on a warning, so what it prints counts too. It
    examines every module that main.bicep uses, and that is all of them (below)."""
    linted = bicep("lint", "main.bicep")

    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_lint_would_find_something(tmp_path: Path) -> None:
    """An unknown property of a module is reported: the schema of every resource type is there."""
    broken = tmp_path / "infra"
    shutil.copytree(INFRA, broken)
    vault = broken / "modules" / "vault.bicep"
    vault.write_text(vault.read_text("utf-8").replace("enableSoftDelete", "notAThing"))

    assert "Warning BCP037" in bicep("lint", str(vault), folder=broken).stderr


def test_every_module_builds() -> None:
    assert set(templates()) == {"main", *NAMES}
    assert all(
        built["$schema"].startswith("https://schema.management.azure.com/")
        for built in templates().values()
    )


def test_modules_and_their_parameters_state_what_they_are_for() -> None:
    """Roles, names and types have no resources, but are reported too."""
    silent = [name for name, built in templates().items() if "metadata" not in built]
    undocumented = [
        f"{name}.{parameter}"
        for name, built in templates().items()
        for parameter, described in built.get("parameters", {}).items()
        if not described.get("metadata", {}).get("description")
    ]

    assert (silent, undocumented) == ([], [])


def test_no_output_or_default_holds_a_secret() -> None:
    for name, built in templates().items():
        text = json.dumps([built.get("outputs"), built.get("parameters"), built.get("variables")])
        assert not SECRET.search(text), name


def test_azd_the_pipeline_and_the_runbook_get_the_outputs_that_they_use() -> None:
    outputs = set(templates()["main"]["outputs"])

    assert outputs == {
        "AZURE_RESOURCE_GROUP",
        "DEPLOYER_CLIENT_ID",
        "FUNCTION_APP_NAME",
        "KEY_VAULT_NAME",
        "LEDGER_STORAGE_NAMES",
        "PERMINUTE_URL",
        "PROOF_STORAGE_NAME",
    }
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert all(f"`{name}`" in runbook or f"output {name})" in runbook for name in outputs)


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(path, marks=[] if path.stem == "prod" else pytest.mark.extended, id=path.stem)
        for path in PARAMETER_FILES
    ],
)
def test_the_snapshot_is_what_would_be_deployed(parameters: Path) -> None:
    """After a wanted change: `python -m tests.infra.bicep`, and read the difference."""
    validated = take_snapshot(parameters, "validate")

    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_modules_are_short() -> None:
    """One concern each."""
    long = [path.name for path in MODULES if len(path.read_text().splitlines()) > LINES_MAX]

    assert long == []


def test_everything_is_formatted(tmp_path: Path) -> None:
    """The compiler's own format, so that differences are real ones."""
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy)
    for pattern in ("**/*.bicep", "*.bicepparam"):
        assert bicep("format", "--pattern", pattern, folder=copy).returncode == 0

    changed = [
        path.name
        for path in [*MODULES, INFRA / "main.bicep", *PARAMETER_FILES]
        if (copy / path.relative_to(INFRA)).read_bytes() != path.read_bytes()
    ]
    assert changed == []


def test_modules_come_from_here() -> None:
    """No registry: infra/ compiles without a network (docs/adr/0020)."""
    for path in [*MODULES, INFRA / "main.bicep"]:
        sources = re.findall(r"^module \w+ '([^']+)'", path.read_text("utf-8"), re.M)
        assert all((path.parent / source).exists() for source in sources), path.name


def test_every_module_is_used() -> None:
    texts = "\n".join(path.read_text("utf-8") for path in [*MODULES, INFRA / "main.bicep"])

    assert [name for name in NAMES if f"{name}.bicep'" not in texts] == []


def test_each_environment_has_its_snapshot() -> None:
    found = {path.name.removesuffix(".snapshot.json") for path in INFRA.glob("*.snapshot.json")}

    assert found == set(ENVIRONMENTS)
    assert all(
        json.loads((INFRA / f"{name}.snapshot.json").read_text("utf-8"))["diagnostics"] == []
        for name in ENVIRONMENTS
    )

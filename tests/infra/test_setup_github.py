"""The script that sets up the pipeline: what it changes, that a second run changes nothing, and
that its roles are those which the workflows' calls need."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.infra.bicep import ROOT
from tests.support.recording_az import RecordingAz, Reply

pytestmark = pytest.mark.extended  # each plays the script as a process

SCRIPT = ROOT / "infra" / "tools" / "setup_github.sh"
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
PREFIX = "repo:example@1/perminute@2"
ARGUMENTS = ("example/perminute", SUBSCRIPTION, "westeurope")
OUTPUTS = json.dumps(
    {
        "deployeR_CLIENT_ID": {"value": "client-of-production"},
        "azurE_RESOURCE_GROUP": {"value": "perminute-prod"},
        "functioN_APP_NAME": {"value": "app"},
        "perminutE_URL": {"value": "https://app.example"},
    }
)
GIVEN: list[tuple[str, list[Reply]]] = [
    (r"^gh api repos/\S+/actions/oidc", [Reply(f"{PREFIX}\n")]),
    (r"^az account show", [Reply("the-tenant\n")]),
    (r"^az deployment sub show", [Reply(OUTPUTS)]),
]
CHANGES = r"\b(create|update|set|PUT|delete)\b"


@pytest.fixture
def az(tmp_path: Path) -> RecordingAz:
    environment = {"PERMINUTE_PAUSE_SECONDS": "0", "PERMINUTE_TRIES": "3"}
    return RecordingAz(tmp_path / "bin", GIVEN, environment)


def test_it_is_a_sound_script() -> None:
    assert subprocess.run(["sh", "-n", SCRIPT], check=False).returncode == 0
    assert SCRIPT.stat().st_mode & 0o100


def test_by_default_it_only_states_what_it_would_do(az: RecordingAz) -> None:
    done = az.run(SCRIPT, *ARGUMENTS)

    assert done.returncode == 0, done.stderr
    assert [call for call in az.calls if re.search(CHANGES, call)] == []
    assert "would run: az identity create" in done.stdout
    assert "Nothing was changed" in done.stdout


def test_it_makes_identities_roles_and_environments(az: RecordingAz) -> None:
    made = [(rf"^az identity list .*{name}", [Reply(), Reply(), Reply("id-of-it\n")])
            for name in ("plan", "infrastructure")]  # fmt: skip
    az.replan([*GIVEN, *made])
    done = az.run(SCRIPT, *ARGUMENTS, "--apply", PERMINUTE_OWNER="owner@example.com")

    assert done.returncode == 0, done.stderr
    subjects = [re.search(r"--subject (\S+)", call) for call in az.fitting("credential create")]
    assert [match and match[1] for match in subjects] == [
        f"{PREFIX}:environment:plan",
        f"{PREFIX}:environment:infrastructure",
    ]
    assert len(az.fitting("^gh api --silent --method PUT")) == 3
    assert az.fitting("AZURE_CLIENT_ID .*--env production --body client-of-production")
    assert az.fitting("PERMINUTE_OWNER .*--body owner@example.com")
    assert az.fitting("OIDC_SUBJECT_PREFIX")


def test_the_roles_are_those_that_a_deployment_needs(az: RecordingAz) -> None:
    """Locks and a role definition need User Access Administrator; the planner writes nothing."""
    az.replan([*GIVEN, (r"^az identity list .*plan", [Reply("id-of-plan\n")]),
               (r"^az identity list", [Reply("id-of-infra\n")])])  # fmt: skip
    az.run(SCRIPT, *ARGUMENTS, "--apply")
    held = {
        (match[2], match[1])
        for call in az.fitting("role assignment create")
        if (match := re.search(r"--role (.+?) --scope .*--assignee-object-id (\S+)", call))
    }

    assert held == {
        ("id-of-plan", "Reader"),
        ("id-of-plan", "Perminute planner 00000000"),
        ("id-of-infra", "Contributor"),
        ("id-of-infra", "User Access Administrator"),
    }
    (definition,) = az.fitting("role definition create")
    actions = re.findall(r'"(Microsoft\.[^"]+)"', definition)
    assert actions == [
        "Microsoft.Resources/deployments/validate/action",
        "Microsoft.Resources/deployments/whatIf/action",
    ]


def test_a_second_run_makes_nothing_in_azure(az: RecordingAz) -> None:
    az.replan(
        [
            *GIVEN,
            (r"^az group exists", [Reply("true\n")]),
            (r"role (definition|assignment) list|^az identity list", [Reply("there\n")]),
            (r"credential list .*-plan", [Reply(f"{PREFIX}:environment:plan\n")]),
            (r"credential list", [Reply(f"{PREFIX}:environment:infrastructure\n")]),
        ]
    )
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 0, done.stderr
    assert [call for call in az.fitting("^az") if re.search(CHANGES, call)] == []


def test_an_older_repository_keeps_its_subject_and_a_moved_one_gets_the_new_one(
    az: RecordingAz,
) -> None:
    az.replan(
        [
            (r"^gh api repos/\S+/actions/oidc", [Reply()]),
            (r"credential list", [Reply("repo:old/name:environment:plan\n")]),
            (r"^az identity list", [Reply("id-of-it\n")]),
            *GIVEN[1:],
        ]
    )
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 0, done.stderr
    assert az.fitting("credential update .*--subject repo:example/perminute:environment:plan")


@pytest.mark.parametrize(
    "arguments",
    [("example/perminute",), ("perminute", SUBSCRIPTION, "x"), (*ARGUMENTS, "--yes"),
     ("a/b;rm", SUBSCRIPTION, "x"), ("a/b", "My subscription", "x")],
)  # fmt: skip
def test_wrong_arguments_change_nothing(az: RecordingAz, arguments: tuple[str, ...]) -> None:
    done = az.run(SCRIPT, *arguments)

    assert done.returncode != 0
    assert az.calls == []


# What the workflows call, and which identity needs what for it.
def test_every_call_of_a_workflow_has_its_role(az: RecordingAz) -> None:
    """`az deployment` by plan and infrastructure, `config-zip` by production; no other call."""
    called = {
        match
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for match in re.findall(r"\baz ([a-z-]+(?: [a-z][a-z-]*)*)", path.read_text("utf-8"))
    }

    assert called == {
        "bicep install",
        "deployment sub create",
        "deployment sub what-if",
        "functionapp deployment source config-zip",
    }


NO_PRINCIPAL = Reply(err="ERROR: Cannot find user or service principal in graph database", code=1)
NO_ROLE = Reply(err="ERROR: Role 'Perminute planner 00000000' doesn't exist.", code=1)


def test_a_first_run_shows_its_commands_though_azure_knows_no_principal(az: RecordingAz) -> None:
    az.replan([*GIVEN, (r"role assignment list", [NO_PRINCIPAL])])
    done = az.run(SCRIPT, *ARGUMENTS)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would run: az role assignment create") == 4
    assert "--role 'User Access Administrator' --scope" in done.stdout


def test_a_role_that_azure_does_not_know_yet_is_assigned_later(az: RecordingAz) -> None:
    az.replan([*GIVEN, (r"^az identity list", [Reply("id\n")]),
               (r"assignment create .*planner", [NO_ROLE, NO_ROLE, Reply()])])  # fmt: skip
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 0, done.stderr
    assert len(az.fitting("assignment create .*planner")) == 3


def test_a_role_that_never_arrives_ends_the_script(az: RecordingAz) -> None:
    az.replan([*GIVEN, (r"^az identity list", [Reply("id\n")]),
               (r"assignment create .*planner", [NO_ROLE])])  # fmt: skip
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 1
    assert "doesn't exist" in done.stderr


def test_an_identity_that_never_appears_ends_the_script(az: RecordingAz) -> None:
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 1
    assert "perminute-plan" in done.stderr
    assert az.fitting("assignment create") == []


def test_carriage_returns_and_warnings_are_no_part_of_a_value(az: RecordingAz) -> None:
    """As az prints them on Windows."""
    az.replan(
        [
            (r"^gh api repos/\S+/actions/oidc", [Reply(f"{PREFIX}\r\n")]),
            (
                r"^az account show",
                [Reply("WARNING: a newer version exists\r\nthe-tenant\r\n")],
            ),
            (r"^az group exists", [Reply("true\r\n")]),
            (r"^az identity list", [Reply("WARNING: x\nid\r\n")]),
            (r"role assignment list", [Reply("there\r\n")]),
            GIVEN[2],
        ]
    )
    done = az.run(SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 0, done.stderr
    assert not any("\r" in call or "WARNING" in call for call in az.calls)
    assert az.fitting("AZURE_TENANT_ID .*--body the-tenant$")
    assert az.fitting("group create|assignment create") == []


@pytest.mark.parametrize("tool", ["az", "gh", "jq"])
def test_a_missing_tool_is_named(az: RecordingAz, tool: str) -> None:
    done = az.run_without(tool, SCRIPT, *ARGUMENTS, "--apply")

    assert done.returncode == 2
    assert done.stderr.startswith(f"{tool} is missing")
    assert az.calls == []

"""Every `az` call of a script, workflow or runbook is allowed to the one who makes it.

No role of a person or of the pipeline is idle: each is needed by a call that no other role allows.
"""

import re
from fnmatch import fnmatch

import pytest

from tests.infra.bicep import ROOT, resources

# Actions and data actions of Azure's own roles, as its documentation lists them; "!" takes away.
ROLES = {
    "Owner": ["*", "!Microsoft.KeyVault/vaults/secrets/*/action"],  # no data action
    "Contributor": [
        "*",
        *("!Microsoft.Authorization/*/delete", "!Microsoft.Authorization/*/write"),
        "!Microsoft.Authorization/elevateAccess/action",
    ],
    "User Access Administrator": ["*/read", "Microsoft.Authorization/*"],
    "Reader": ["*/read"],
    "planner": [
        "Microsoft.Resources/deployments/validate/action",
        "Microsoft.Resources/deployments/whatIf/action",
    ],
    "Website Contributor": [
        "Microsoft.Web/sites/*",  # it is held on the site, so it reads no plan
        *("Microsoft.Authorization/*/read", "Microsoft.Resources/deployments/*"),
    ],
    "Key Vault Secrets Officer": ["Microsoft.KeyVault/vaults/secrets/*"],
}
SECRETS = "Microsoft.KeyVault/vaults/secrets"
HOLD = {
    "plan": ["Reader", "planner"],
    "infrastructure": ["Contributor", "User Access Administrator"],
    "production": ["Website Contributor", "Reader"],
    "administrator": ["Owner", "Key Vault Secrets Officer"],
}
KINDS = sorted({each["type"] for each in resources("prod", "Authorization/locks")}) + sorted(
    {
        each["type"]
        for kind in ("Authorization/roleDefinitions", "Authorization/roleAssignments")
        for each in resources("prod", kind)
    }
)
DEPLOYED = [f"{kind}/write" for kind in [*KINDS, "Microsoft.Web/sites"]]
# By call: who makes it, and what they must be allowed to do.
CALLS: dict[str, tuple[str, list[str]]] = {
    "deployment sub what-if": (
        "plan",
        ["Microsoft.Resources/deployments/whatIf/action", "Microsoft.Web/sites/read"],
    ),
    "deployment sub create": (
        "infrastructure",
        ["Microsoft.Resources/deployments/write", *DEPLOYED],
    ),
    "functionapp deployment source": (
        "production",
        ["Microsoft.Web/sites/publish/action", "Microsoft.Web/serverfarms/read"],
    ),
    "keyvault secret show": (
        "administrator",
        ["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
    ),
    "keyvault secret set": (
        "administrator",
        ["Microsoft.KeyVault/vaults/secrets/setSecret/action"],
    ),
    "keyvault secret recover": (
        "administrator",
        ["Microsoft.KeyVault/vaults/secrets/recover/action"],
    ),
    "role assignment create": ("administrator", ["Microsoft.Authorization/roleAssignments/write"]),
    "role definition create": ("administrator", ["Microsoft.Authorization/roleDefinitions/write"]),
}
# Reads, and changes that Owner makes: by their beginnings.
OF_OWNER = (
    *("account", "ad", "bicep", "functionapp", "group", "identity", "keyvault show", "lock list"),
    *("monitor", "resource list", "rest", "role assignment list", "role definition list"),
    *("servicebus", "storage", "deployment sub show"),
)


def _texts() -> dict[str, str]:
    paths = [
        *(ROOT / ".github" / "workflows").glob("*.yml"),
        *(ROOT / "infra" / "tools").rglob("*.sh"),
        ROOT / "docs" / "operations.md",
    ]
    return {path.name: path.read_text("utf-8") for path in paths}


def _calls() -> set[str]:
    """The first three words of each call."""
    found = set()
    pattern = re.compile(r"(?:^|[\s(\"])az ((?:[a-z][a-z-]+ ?){2,4})(?=\W|$)", re.M)
    for text in _texts().values():
        for words in pattern.findall(re.sub(r"echo \"[^\"]*\"", "", text)):
            found.add(" ".join(words.split()[:3]))
    return found


def _allows(role: str, action: str) -> bool:
    taken = [each[1:] for each in ROLES[role] if each.startswith("!")]
    given = [each for each in ROLES[role] if not each.startswith("!")]

    def fits(patterns: list[str]) -> bool:
        return any(fnmatch(action.lower(), pattern.lower()) for pattern in patterns)

    return fits(given) and not fits(taken)


def test_every_call_is_known() -> None:
    unknown = [
        call
        for call in _calls()
        if not call.startswith(tuple(CALLS)) and not call.startswith(OF_OWNER)
    ]

    assert len(_calls()) > 15
    assert unknown == []


@pytest.mark.parametrize("call", CALLS)
def test_who_makes_a_call_may(call: str) -> None:
    who, actions = CALLS[call]
    refused = [a for a in actions if not any(_allows(role, a) for role in HOLD[who])]

    assert refused == []


@pytest.mark.parametrize(
    ("who", "role"), [(who, role) for who, held in HOLD.items() for role in held]
)
def test_no_role_is_held_without_a_call_that_needs_it(who: str, role: str) -> None:
    """Take it away, and a call is refused."""
    others = [each for each in HOLD[who] if each != role]
    lost = [
        action
        for maker, actions in CALLS.values()
        if maker == who
        for action in actions
        if _allows(role, action) and not any(_allows(each, action) for each in others)
    ]

    assert lost


def test_contributor_alone_can_not_deploy() -> None:
    """Nor with RBAC Administrator, which may assign roles, but make neither a lock nor a role."""
    refused = {each for each in DEPLOYED if not _allows("Contributor", each)}

    assert refused == {
        "Microsoft.Authorization/locks/write",
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Authorization/roleDefinitions/write",
    }


def test_the_set_up_script_gives_these_roles() -> None:
    script = (ROOT / "infra" / "tools" / "setup_github.sh").read_text("utf-8")
    given = re.findall(r'assign "\$principal" "?([A-Za-z ]+?)"?$', script, re.M)

    assert sorted(given) == ["Contributor", "Reader", "User Access Administrator"]
    assert all(action in script for action in ROLES["planner"])

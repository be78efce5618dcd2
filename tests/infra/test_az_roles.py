"""Every `az` call of a script, workflow or runbook, and every verb of a tool, is allowed to its
caller.

Callers are the pipeline's identities, the administrator, the finance group and operators. No role
is idle or wider than its calls: a call needs each role, at its scope, and no other role allows it.
"""

import re
from fnmatch import fnmatch

import pytest

from tests.infra.bicep import ROOT, resources

TABLES = "Microsoft.Storage/storageAccounts/tableServices/tables"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
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
    "Monitoring Reader": [
        *("*/read", "Microsoft.OperationalInsights/workspaces/search/action"),
        "Microsoft.Support/*",
    ],
    "Workbook Reader": [
        *("Microsoft.Insights/workbooks/read", "Microsoft.Insights/workbooks/revisions/read"),
        "Microsoft.Insights/workbooktemplates/read",
    ],
    "Storage Table Data Reader": [f"{TABLES}/entities/read"],
    "Storage Table Data Contributor": [
        *(f"{TABLES}/{action}" for action in ("read", "write", "delete")),
        *(f"{TABLES}/entities/{action}" for action in ("read", "write", "delete")),
        *(f"{TABLES}/entities/{action}/action" for action in ("add", "update")),
    ],
    "Storage Blob Data Reader": [f"{BLOBS}/read"],
    "Storage Blob Data Contributor": [
        *(f"{BLOBS}/{action}" for action in ("read", "write", "delete")),
        *(f"{BLOBS}/{action}/action" for action in ("add", "move", "filter")),
    ],
    "Azure Service Bus Data Sender": ["Microsoft.ServiceBus/*/send/action"],
}
SUBSCRIPTION, SITE, PLAN, VAULT = "", "/site", "/plan", "/vault"
WORKSPACE, WORKBOOK, QUEUE = "/workspace", "/workbook", "/queue"
LEDGER, LEDGER_TABLE = "/ledger", "/ledger/table"
ARCHIVE, ANCHORS = "/proof/accepted-legs", "/proof/anchors"
# By caller: (role, scope). A role at a scope holds for all scopes below it.
HOLD: dict[str, list[tuple[str, str]]] = {
    "plan": [("Reader", SUBSCRIPTION), ("planner", SUBSCRIPTION)],
    "infrastructure": [
        *(("Contributor", SUBSCRIPTION), ("User Access Administrator", SUBSCRIPTION)),
    ],
    "production": [("Website Contributor", SITE), ("Reader", PLAN)],
    "administrator": [("Owner", SUBSCRIPTION), ("Key Vault Secrets Officer", VAULT)],
    "finance": [
        *(("Monitoring Reader", WORKSPACE), ("Workbook Reader", WORKBOOK)),
        ("Storage Table Data Reader", LEDGER_TABLE),
    ],
    "export": [("Storage Table Data Reader", LEDGER)],
    "restore": [("Storage Table Data Contributor", LEDGER)],
    "verify": [("Storage Table Data Reader", LEDGER), ("Storage Blob Data Reader", ANCHORS)],
    "set-aside": [("Storage Blob Data Contributor", ANCHORS)],
    "replay": [
        *(("Storage Table Data Contributor", LEDGER), ("Storage Blob Data Reader", ARCHIVE)),
        ("Azure Service Bus Data Sender", QUEUE),
    ],
}
READ_ROWS = (f"{TABLES}/entities/read", LEDGER)
WRITE_ROWS = [
    (f"{TABLES}/entities/{action}", LEDGER) for action in ("add/action", "update/action", "delete")
]
KINDS = sorted({each["type"] for each in resources("prod", "Authorization/locks")}) + sorted(
    {
        each["type"]
        for kind in ("Authorization/roleDefinitions", "Authorization/roleAssignments")
        for each in resources("prod", kind)
    }
)
DEPLOYED = [f"{kind}/write" for kind in [*KINDS, "Microsoft.Web/sites"]]
# By call: who makes it, and what they must be allowed to do, where.
CALLS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "deployment sub what-if": (
        "plan",
        [
            ("Microsoft.Resources/deployments/whatIf/action", SUBSCRIPTION),
            ("Microsoft.Web/sites/read", SITE),
        ],
    ),
    "deployment sub create": (
        "infrastructure",
        [(action, SUBSCRIPTION) for action in ("Microsoft.Resources/deployments/write", *DEPLOYED)],
    ),
    "functionapp deployment source": (
        "production",
        [
            ("Microsoft.Web/sites/publish/action", SITE),
            ("Microsoft.Web/serverfarms/read", PLAN),
        ],
    ),
    "keyvault secret show": (
        "administrator",
        [("Microsoft.KeyVault/vaults/secrets/getSecret/action", VAULT)],
    ),
    "keyvault secret set": (
        "administrator",
        [("Microsoft.KeyVault/vaults/secrets/setSecret/action", VAULT)],
    ),
    "keyvault secret recover": (
        "administrator",
        [("Microsoft.KeyVault/vaults/secrets/recover/action", VAULT)],
    ),
    "role assignment create": (
        "administrator",
        [("Microsoft.Authorization/roleAssignments/write", SUBSCRIPTION)],
    ),
    "role definition create": (
        "administrator",
        [("Microsoft.Authorization/roleDefinitions/write", SUBSCRIPTION)],
    ),
}
# By use of the portal, and by verb of a tool: the same.
USES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "query the logs": (
        "finance",
        [("Microsoft.OperationalInsights/workspaces/query/read", WORKSPACE)],
    ),
    "open the workbook": ("finance", [("Microsoft.Insights/workbooks/read", WORKBOOK)]),
    "read the ledger": ("finance", [(f"{TABLES}/entities/read", LEDGER_TABLE)]),
    "ledgers export": ("export", [READ_ROWS]),
    "ledgers restore": ("restore", [READ_ROWS, *WRITE_ROWS]),
    "ledgers verify": ("verify", [READ_ROWS, (f"{BLOBS}/read", ANCHORS)]),
    "ledgers set-aside": ("set-aside", [(f"{BLOBS}/read", ANCHORS), (f"{BLOBS}/write", ANCHORS)]),
    "replay": (
        "replay",
        [
            *(READ_ROWS, *WRITE_ROWS, (f"{BLOBS}/read", ARCHIVE)),
            ("Microsoft.ServiceBus/namespaces/queues/messages/send/action", QUEUE),
        ],
    ),
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
        for words in pattern.findall(re.sub(r"(?m)echo \"[^\"]*\"|^need .*$", "", text)):
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


def _holds(role: str, held_at: str, action: str, scope: str) -> bool:
    is_within = scope == held_at or scope.startswith(f"{held_at}/")
    return is_within and _allows(role, action)


@pytest.mark.parametrize("call", [*CALLS, *USES])
def test_who_makes_a_call_may(call: str) -> None:
    who, needs = {**CALLS, **USES}[call]
    refused = [need for need in needs if not any(_holds(*held, *need) for held in HOLD[who])]

    assert refused == []


@pytest.mark.parametrize(
    ("who", "role"), [(who, role) for who, held in HOLD.items() for role in held]
)
def test_no_role_is_held_without_a_call_that_needs_it(who: str, role: tuple[str, str]) -> None:
    """Take it away, and a call is refused."""
    others = [each for each in HOLD[who] if each != role]
    lost = [
        need
        for maker, needs in (*CALLS.values(), *USES.values())
        if maker == who
        for need in needs
        if _holds(*role, *need) and not any(_holds(*each, *need) for each in others)
    ]

    assert lost


def test_every_verb_of_the_tools_has_its_roles() -> None:
    text = (ROOT / "infra" / "tools" / "ledgers.py").read_text("utf-8")
    (choices,) = re.findall(r"choices=\[([^\]]+)\]", text)

    assert {f"ledgers {verb}" for verb in re.findall(r'"([\w-]+)"', choices)} == {
        use for use in USES if use.startswith("ledgers ")
    }


def test_the_templates_assign_the_roles_of_finance_and_of_the_pipeline() -> None:
    ids = {
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05": "Monitoring Reader",
        "b279062a-9be3-42a0-92ae-8b3cf002ec4d": "Workbook Reader",
        "76199698-9eea-4c19-bc75-cec21354c6b6": "Storage Table Data Reader",
        "de139f84-1756-47ae-9be6-808fbbe84772": "Website Contributor",
        "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    }
    kinds = {"workspaces": WORKSPACE, "workbooks": WORKBOOK, "tables": LEDGER_TABLE}
    kinds |= {"sites": SITE, "serverfarms": PLAN}
    assigned = {
        (
            ids[each["properties"]["roleDefinitionId"].rpartition("/")[2]],
            kinds[each["id"].partition("/providers/Microsoft.Auth")[0].split("/")[-2]],
        )
        for each in resources("prod", "Authorization/roleAssignments")
        if not re.search(r"outputs\.(app|keeper)\.value", each["properties"]["principalId"])
    }

    assert assigned == {*HOLD["finance"], *HOLD["production"]}


def test_the_runbook_names_the_roles_of_people() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    rows = page.partition("### Roles of people\n")[2].partition("\n## ")[0].splitlines()
    named = {
        row.split("|")[1].strip(): set(re.findall(r"\*([A-Z][\w ]+)\*", row))
        for row in rows
        if row.startswith("| ") and "---" not in row
    }
    named["the finance group"].discard("Reader")  # for the portal's storage browser only

    assert named["the finance group"] == {role for role, _ in HOLD["finance"]}
    for verb in ("export", "restore", "verify", "set-aside", "replay"):
        assert named[f"operators who run `{verb}`"] == {role for role, _ in HOLD[verb]}, verb


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

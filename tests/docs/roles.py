"""The page of roles: which role may call which route, from the declarations of the routes."""

from functions.http import ROUTES
from shared.domain.directory.access import Role
from tests.docs.markdown import code, page, table

SCOPES = {
    True: "all accounts",
    False: "its accounts",
}


def pages() -> dict[str, str]:
    """The text of docs/reference/roles.md."""
    admin = sorted(
        (each for each in ROUTES if each.roles is not None),
        key=lambda each: (each.path, each.method),
    )
    rows = []
    for route in sorted(admin, key=lambda each: (each.path, each.method)):
        roles = route.roles or frozenset()
        marks = ["yes" if role in roles or role is Role.ADMIN else "" for role in Role]
        rows.append((code(f"{route.method} /api/{route.path}"), *marks, SCOPES[route.all_accounts]))
    open_routes = sorted(f"{each.method} /api/{each.path}" for each in ROUTES if each.roles is None)
    bridges = [each for each in open_routes if "{bridge}" in each]
    lines = ["## Administrators", ""]
    lines += table(("route", *(role.value for role in Role), "key for"), rows)
    lines += ["## Bridges", "", "A bridge authenticates by its own secret, and may call only "]
    lines[-1] += "the routes that have its name in their path."
    lines += ["", *(f"- {code(each)}" for each in bridges), "", "## Without authentication", ""]
    lines += [f"- {code(each)}" for each in open_routes if each not in bridges]
    about = """
A caller needs one of the roles that a route names. An API key has its roles from its creation, a
Microsoft Entra principal has them as app roles ([access.md](../access.md)). *Its accounts*: a key
that names accounts may call the route for these accounts only. The product checks every account and
rate card that a path, query or body names. *All accounts*: only a key for
`"*"` may call the route."""
    return {"docs/reference/roles.md": page("Roles", about, lines)}

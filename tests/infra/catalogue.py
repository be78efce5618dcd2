"""The events that the code logs, with their fields, found in its text.

After a wanted change: `python -m tests.infra.catalogue` writes the rows of docs/telemetry.md.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache

from shared.usecases.charging.charge_legs import ChargeStatus
from tests.infra.bicep import ROOT

PAGE = ROOT / "docs" / "telemetry.md"
ROW = re.compile(
    r"^\| `(?P<event>\w+)` \| (?P<when>.*?) ?\| (?P<fields>(?:`\w+`(?:, )?)*) \|$", re.M
)
ADDED_BY_FAILURE = {"error", "stack"}


@cache
def events() -> dict[str, frozenset[str]]:
    """The fields of every event; of one that is logged in several places, all of them."""
    found: dict[str, frozenset[str]] = {}
    for folder in ("functions", "shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name, fields in _in_text(path.read_text("utf-8"), path.name):
                found[name] = found.get(name, frozenset()) | fields
    return found


def _in_text(text: str, where: str) -> Iterator[tuple[str, frozenset[str]]]:
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in {"event", "failure"} or where == "telemetry.py":
            continue
        fields = {keyword.arg for keyword in node.keywords} - {"level"}
        assert None not in fields, f"{where}: name the fields of an event, don't unpack them"
        if node.func.id == "failure":
            fields |= ADDED_BY_FAILURE
        for name in _names(node.args[0], where):
            yield name, frozenset(field for field in fields if field)


def _names(node: ast.expr, where: str) -> list[str]:
    """The name, or those that a name made of a leg's status stands for."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_names(node.body, where), *_names(node.orelse, where)]
    assert ast.unparse(node) == "f'leg_{outcome.status.value}'", f"{where}: name the event"
    return [f"leg_{status.value}" for status in ChargeStatus]


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """What docs/telemetry.md says of each event: when it is logged, and its fields."""
    return {
        match["event"]: (match["when"], frozenset(re.findall("`([^`]+)`", match["fields"])))
        for match in ROW.finditer(PAGE.read_text("utf-8"))
    }


def write() -> None:
    """Write the rows again; who adds an event says in its row when it is logged."""
    known = documented()
    rows = [
        f"| `{name}` | {known.get(name, ('', ()))[0]} "
        f"| {', '.join(f'`{field}`' for field in sorted(fields))} |"
        for name, fields in sorted(events().items())
    ]
    text = PAGE.read_text("utf-8")
    first, *_, last = [match.span() for match in ROW.finditer(text)]
    PAGE.write_text(text[: first[0]] + "\n".join(rows) + text[last[1] :], "utf-8")


if __name__ == "__main__":
    write()

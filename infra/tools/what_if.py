"""Reads the JSON of `az deployment sub what-if`, writes what would change, a line each.

Standard library only: it runs in a workflow that installs nothing.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

SIGNS = {"Create": "+", "Delete": "-", "Modify": "!", "Deploy": "!", "Unsupported": "?"}
DEPTH_MAX = 20
LINES_MAX = 500


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The resources that would be made, changed or deleted, with the properties that change."""
    changes = found.get("changes") or []
    for change in sorted(changes, key=lambda each: str(each["resourceId"])):
        sign = SIGNS.get(change["changeType"])
        if sign is None:
            continue
        inside = change["resourceId"].partition("/resourceGroups/")[2]
        yield f"{sign} {inside or change['resourceId']}"
        for each in change.get("delta") or []:
            yield from _properties(each, "", 0)


def _properties(change: dict[str, Any], above: str, depth: int) -> Iterator[str]:
    path = f"{above}.{change['path']}" if above else str(change["path"])
    if change.get("children") and depth < DEPTH_MAX:
        for child in change["children"]:
            yield from _properties(child, path, depth + 1)
        return
    if change.get("propertyChangeType") != "NoEffect":
        before, after = json.dumps(change.get("before")), json.dumps(change.get("after"))
        yield f"    {path}: {before} -> {after}"


if __name__ == "__main__":
    told = list(lines(json.load(sys.stdin)))
    print("\n".join(told[:LINES_MAX]) or "nothing")
    if len(told) > LINES_MAX:
        print(f"… and {len(told) - LINES_MAX} more lines")

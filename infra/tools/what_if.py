"""Reads the JSON of `az deployment sub what-if` and writes the changes, one line each.

Standard library only, because it runs in a workflow that installs nothing.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

SIGNS = {"Create": "+", "Delete": "-", "Modify": "!", "Deploy": "!", "Unsupported": "?"}
DEPTH_MAX = 20
LINES_MAX = 500
CHARS_MAX = 60_000  # GitHub refuses a comment of more than 65,536


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The resources to be created, changed or deleted, with their changed properties."""
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


def main() -> int:
    """Read standard input, write a block that a comment can hold. Returns the exit code."""
    try:
        found = list(lines(json.load(sys.stdin)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        print(f"what_if: standard input is no answer of `az`: {error!r}", file=sys.stderr)
        return 1
    shown, chars = [], 0
    for line in found[:LINES_MAX]:
        chars += len(line) + 1
        if chars > CHARS_MAX:
            break
        shown.append(line.replace("```", "` ` `"))
    print("\n".join(shown) or "nothing")
    if len(shown) < len(found):
        print(f"… and {len(found) - len(shown)} more lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs files of rating cases: a line per failed case, the counts, exit 0 only if all hold."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.card import Case
from tests.oracle.runner import Outcome, run_case

GOLDEN = Path(__file__).parent.parent / "golden" / "rating_cases.json"


def main(paths: list[Path]) -> int:
    """The exit code: 0 if every applicable case holds and there was one."""
    counts: Counter[Outcome] = Counter()
    for path in paths:
        for name, case in _cases(path):
            outcome, detail = (Outcome.FAILED, "is no case") if case is None else run_case(case)
            counts[outcome] += 1
            if outcome is Outcome.FAILED:
                print(f"FAILED {name}: {detail}")
    held, failed = counts[Outcome.HELD], counts[Outcome.FAILED]
    print(f"{held} held, {failed} failed, {counts[Outcome.NOT_APPLICABLE]} not applicable")
    return 0 if held and not failed else 1


def _cases(path: Path) -> Iterator[tuple[str, Case | None]]:
    """(name, case) of a file; None for what is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{path}: {error}")
        content = None
    cases = content.get("cases") if isinstance(content, dict) else content
    if not isinstance(cases, list):
        yield str(path), None
        return
    for number, case in enumerate(cases, 1):
        if isinstance(case, dict):
            yield f"{case.get('id', number)} ({case.get('kind')})", case
        else:
            yield f"{path} case {number}", None


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or [GOLDEN]))

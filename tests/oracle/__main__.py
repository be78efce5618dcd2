"""Runs files of rating cases: a line per failed case, the counts, exit 0 only if all hold."""

import json
import sys
from collections import Counter
from pathlib import Path

from tests.oracle.runner import Outcome, run_case

GOLDEN = Path(__file__).parent.parent / "golden" / "rating_cases.json"


def main(paths: list[Path]) -> int:
    """The exit code: 0 if every applicable case holds and there was one."""
    counts: Counter[Outcome] = Counter()
    for path in paths:
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            outcome, detail = run_case(case)
            counts[outcome] += 1
            if outcome is Outcome.FAILED:
                print(f"FAILED {case['id']} ({case['kind']}): {detail}")
    held, failed = counts[Outcome.HELD], counts[Outcome.FAILED]
    print(f"{held} held, {failed} failed, {counts[Outcome.NOT_APPLICABLE]} not applicable")
    return 0 if held and not failed else 1


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or [GOLDEN]))

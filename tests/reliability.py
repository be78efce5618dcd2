"""Writes docs/reliability.md from the figures that the tests left in build/: `make reliability`.

`make test-all` leaves those of the simulator, the fault proxy and the killed processes, and
`make planted` those of the planted bugs. Lines of several runs are added up, as long as the files
are kept.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.crash_points import PUTS_IT_RIGHT

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PAGE = ROOT / "docs/reliability.md"

type Json = dict[str, Any]


def main() -> int:
    """1 if there are no figures yet."""
    sims, killed, faults = (_lines(name) for name in ("sim", "killed", "faults"))
    if not (sims and killed and faults):
        print("No figures: `make test-all` leaves them in build/.", file=sys.stderr)
        return 1
    planted = _planted()
    parts = [_head(), _simulator(sims), _points(sims, killed), _proxy(faults), _bugs(planted)]
    PAGE.write_text("\n".join(parts), "utf-8")
    return 0


def _lines(name: str) -> list[Json]:
    path = BUILD / f"{name}.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _planted() -> list[Json]:
    path = BUILD / "planted.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def _head() -> str:
    return """# Reliability

This page lists the faults that the tests inject and the number of times that the promises of
[architecture.md](architecture.md#promises) held. `make reliability` writes it from the figures of
the last runs of `make test-all` and `make planted` on 2 cores.
"""


def _simulator(sims: list[Json]) -> str:
    total: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for each in sims:
        total.update({name: each[name] for name in ("seeds", "failed", "loop_steps", "calls")})
        faults.update(each["faults"])
        counts.update(each["counts"])
    ranges = sorted(each["range"] for each in sims if each.get("range"))
    seeds = "; ".join(f"{first:,} to {last:,}" for first, last in ranges)
    injected = "\n".join(
        f"| {_words(name)} | {count:,} |" for name, count in sorted(faults.items())
    )
    return f"""## The simulator

The product's own use cases and committer run in virtual time on tables, queue and topic that fail.
A seed determines one history of faults. Receivers of webhooks do not answer. A payment provider
accepts, declines, delays or repeats an answer, reports a wrong amount, or sends no answer at first.
Then the faults stop and all work must complete. An auditor that shares no code with the product
compares the answers with the stored results.
`make sim SEED=7` plays a history step by step, `make soak MINUTES=10` plays new ones.

| | |
| --- | --- |
| histories | {total["seeds"]:,} |
| seeds | {seeds} |
| histories with a lost leg, a double debit or another broken promise | {total["failed"]} |
| steps of the event loop | {total["loop_steps"]:,} |
| calls to storage, queue, topic and receivers | {total["calls"]:,} |
| legs posted | {counts["call_ended ok"] + counts["call_ended info"]:,} |
| duplicates that the broker dropped | {counts["duplicates the broker dropped"]:,} |
| ledger entries | {counts["entries"]:,} |

| fault | injected |
| --- | --- |
{injected}
"""


def _points(sims: list[Json], killed: list[Json]) -> str:
    deaths: Counter[str] = Counter()
    for each in sims:
        deaths.update(each["deaths"])
    kills = Counter(str(each["killed_at"]) for each in killed)
    seconds = {each["killed_at"]: each["seconds_until_all_was_right"] for each in killed}
    rows = "\n".join(
        f"| `{point}` | {why} | {deaths[point]:,} | {kills[point]} | {seconds.get(point, '-')} |"
        for point, why in PUTS_IT_RIGHT.items()
    )
    return f"""## Crash points

A process ends at each of these points: in the simulator, and as a real process on Azurite, by
SIGKILL (`tests/faults/test_killed.py`). Another process then repeats the same requests. The seconds
are the time until it had completed the work of the day, part of which was done before.

| point | recovery | simulated deaths | kills | seconds |
| --- | --- | --- | --- | --- |
{rows}

Four operations have no crash point. A hold expires by its time, even if no process removes it. The
queue has no dead letters to replay, since a failed leg is scheduled again or parked. No table is
migrated, since each row names its schema. The blob that anchors a day needs no mark: its name is
the day, and the first blob of a day remains.
"""


def _proxy(faults: list[Json]) -> str:
    last = {each["kind"]: each for each in faults}
    rows = "\n".join(
        f"| {_words(kind)} | {each['requests']:,} | {each['faults']:,} "
        f"| {each['unknown_writes']:,} | {each['unknown_commits_that_landed']} "
        f"| {each['unknown_commits_that_did_not']} "
        f"| {each['duplicates_absorbed']:,} | {each['legs_debited']:,} | {each['double_debits']} |"
        for kind, each in sorted(last.items())
    )
    return f"""## Four processes behind a proxy of faults

Four processes debit, credit, correct and authorize on ten accounts in Azurite, while a proxy
injects faults into their requests (`tests/faults/test_four_processes.py`, one seed each).
`unanswered` counts the writes of unknown outcome, `commits written` and `not` the ledger's commits
among them. `repeated` counts the legs that were delivered again and changed nothing.

| fault | requests | hit | unanswered | commits written | not | repeated | debited | twice |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}
"""


def _bugs(planted: list[Json]) -> str:
    if not planted:
        return ""
    rows = "\n".join(
        f"| {each['bug']} | `{each['red'] or 'none'}` | {_seed(each['seed'])} |" for each in planted
    )
    found = sum(each["found"] for each in planted)
    return f"""## Planted bugs

`make planted` breaks a copy of the product on purpose, one bug at a time: {found} of {len(planted)}
were found. The seed is a history of the simulator that shows the bug, where one is required.

| bug | red test | seed |
| --- | --- | --- |
{rows}
"""


def _seed(seed: int | None) -> str:
    return "-" if seed is None else str(seed)


def _words(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    sys.exit(main())

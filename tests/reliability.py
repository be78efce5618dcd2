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

What goes wrong on the way, what must hold all the same, and how often that was tried. This page is
written by `make reliability` from the figures of the last runs of `make test-all` and
`make planted` on 2 cores.
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

The product's own use cases and committer run on tables, queue and topic that fail as a seed says,
in virtual time, one seed one history; receivers of webhooks do not answer, and a payment side says
yes, no, later, twice, a wrong amount, or nothing at first. Then the faults stop,
all must come to rest, and an auditor that shares no code with the product compares the answers
with what a reader sees.
`make sim SEED=7` plays a history step by step, `make soak MINUTES=10` goes on with new ones.

| | |
| --- | --- |
| histories | {total["seeds"]:,} |
| their seeds | {seeds} |
| of them with a leg lost or debited twice, or another broken promise | {total["failed"]} |
| steps of the event loop | {total["loop_steps"]:,} |
| calls to the outside | {total["calls"]:,} |
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

A process ends at each of these: in the simulator, and as a real process on Azurite, by SIGKILL
(`tests/faults/test_killed.py`). Another one then says the same things again; the seconds are those
until it had done the whole day's work, of which it found a part done.

| point | what puts it right | simulated deaths | kills | seconds |
| --- | --- | --- | --- | --- |
{rows}

What has no point: holds expire by their time, whatever removes them; the queue has no dead letters
to send again, since what fails is sent again by us or parked; no table is migrated, since each row
is read by the schema that it names. The blob that anchors a day needs no mark beside it: its name
is the day, and the first one stays.
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

Four processes debit, credit, correct and authorise on ten accounts in Azurite, while a proxy does
this to their requests (`tests/faults/test_four_processes.py`, one seed each). `unanswered` are
writes of unknown outcome; of the ledger's commits among them, how many were written and how
many not; `repeated` are legs that came again and changed nothing.

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
were found. The seed is a history of the simulator that shows it, where one has to.

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

"""Writes the tables of docs/testing.md: `make durations`, after `make test` and `make test-all`.

Both leave what each test took in build/, as JUnit XML. Seconds are those of a test with its
fixtures, and two tests run at a time.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/testing.md"
SUITES = {"make test": "test", "make test-all": "test-all"}
SLOWEST = 20
BEGIN, END = "<!-- durations -->", "<!-- end of durations -->"


def main() -> int:
    """1 if one of the runs has left no figures."""
    paths = {name: ROOT / f"build/{stem}.xml" for name, stem in SUITES.items()}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        print(f"No figures: run `{'` and `'.join(missing)}` first.", file=sys.stderr)
        return 1
    tables = "\n\n".join(_table(name, path) for name, path in paths.items())
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0


def _table(name: str, path: Path) -> str:
    """The slowest tests of one run, and the sums of its folders."""
    suite = next(ET.parse(path).iter("testsuite"))
    tests: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for case in suite.iter("testcase"):
        place = case.attrib["classname"].removeprefix("tests.")
        took = float(case.attrib["time"])
        folder = place.partition(".")[0]
        tests[f"{place.replace('.', '/')}.py::{_short(case.attrib['name'])}"] += took
        counts[folder] += 1
        seconds[folder] += took
    folders = "\n".join(
        f"| `{folder}` | {counts[folder]:,} | {took:.0f} |" for folder, took in _falling(seconds)
    )
    slowest = "\n".join(f"| `{test}` | {took:.1f} |" for test, took in _falling(tests)[:SLOWEST])
    return f"""### `{name}`

{int(suite.attrib["tests"]):,} tests in {float(suite.attrib["time"]):.0f} s.

| folder | tests | seconds |
| --- | --- | --- |
{folders}

| slowest, all cases of a test together | seconds |
| --- | --- |
{slowest}"""


def _falling(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])


def _short(name: str) -> str:
    """The function without the parameters of the case."""
    return re.sub(r"\[.*", "", name, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())

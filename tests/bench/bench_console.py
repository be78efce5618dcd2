"""The pages of the console for an account of 100,000 legs in a month and 10,000 parked legs, in a
browser: the slowest one."""

from collections.abc import Iterator
from typing import Any

from tests.bench.records import record, wanted
from tests.console.browser import MISSING
from tests.console.test_hostile import measure_pages

PAGE = "console.page_100k"
PAGE_SECONDS_MAX = 2


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """The seconds of the slowest page; nothing without a browser."""
    if not wanted(PAGE, only) or MISSING:
        return
    times = measure_pages()
    slowest = max(times, key=lambda page: times[page])
    yield record(
        PAGE,
        times[slowest] / 1000,
        "s",
        f"the most that is allowed ({slowest})",
        PAGE_SECONDS_MAX,
        "ratio <= 1",
        lambda ratio: ratio <= 1,
    )

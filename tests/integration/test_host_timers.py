"""Timers of the local Functions host: NCRONTAB, no overlap, and runs that were missed."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.ncrontab import Schedule, ScheduleError, parse_schedule
from local.host.timers import run_timer
from local.host.worker import Function, InvocationResult
from tests.integration.hosting import eventually, running_host, write_app

FROM = datetime(2026, 11, 23, 19, 5, 59, 500_000, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * * *", "2026-11-23T19:06:00"),
        ("*/2 * * * * *", "2026-11-23T19:06:00"),
        ("0 */5 * * * *", "2026-11-23T19:10:00"),
        ("0 30 2 * * *", "2026-11-24T02:30:00"),
        ("59 5 19 23 11 *", "2027-11-23T19:05:59"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("30 15 10 1-5 1,7 0", "2027-01-03T10:15:30"),
        ("5/10 * * * * 7", "2026-11-29T00:00:05"),
        ("0 0 0 * * 1-5", "2026-11-24T00:00:00"),
        ("10-20/5 * * * * *", "2026-11-23T19:06:10"),
    ],
)
def test_a_schedule_names_its_next_instant(text: str, due: str) -> None:
    assert parse_schedule(text).next_after(FROM).isoformat() == due + "+00:00"


@pytest.mark.parametrize(
    "text",
    ["* * * * *", "60 * * * * *", "*/0 * * * * *", "a * * * * *", "5-1 * * * * *", "0 0 0 0 * *"],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        parse_schedule(text)


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(ScheduleError):
        parse_schedule("0 0 0 31 2 *").next_after(FROM)


class FakeWorker:
    """Stands in for the library: keeps the events, takes the configured time."""

    def __init__(self, done: Callable[[int], bool], seconds: float = 0.0) -> None:
        self.events: list[dict[str, Any]] = []
        self.stop = asyncio.Event()
        self.running = self.running_max = 0
        self._done = done
        self._seconds = seconds

    async def invoke(self, _function: Function, data: Any, _metadata: Any) -> InvocationResult:
        self.running += 1
        self.running_max = max(self.running, self.running_max)
        await asyncio.sleep(self._seconds)
        self.events.append(json.loads(data.value))
        self.running -= 1
        if self._done(len(self.events)):
            self.stop.set()
        return InvocationResult(ok=True, value=None)


def _run(folder: Path, schedule: Schedule, runs: int, seconds: float = 0.0, **trigger: Any) -> Any:
    async def run() -> FakeWorker:
        worker = FakeWorker(lambda count: count == runs, seconds)
        function = Function("watch", "id", {"name": "timer", **trigger}, ())
        async with asyncio.timeout(60):
            await run_timer(worker, function, schedule, folder, worker.stop)
        return worker

    return asyncio.run(run())


EVERY_SECOND = parse_schedule("* * * * * *")
NEVER_SOON = parse_schedule("0 0 0 1 1 *")


def _keep_status(folder: Path, due: datetime) -> None:
    earlier = (due - timedelta(days=1)).isoformat()
    status = {"Last": earlier, "Next": due.isoformat(), "LastUpdated": earlier}
    (folder / "watch.json").write_text(json.dumps(status), "utf-8")


def test_the_first_run_ever_waits_for_the_schedule(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    worker = _run(tmp_path, EVERY_SECOND, runs=2)

    assert [event["IsPastDue"] for event in worker.events] == [False, False]
    assert datetime.now(UTC) - began < timedelta(seconds=3)


def test_a_run_that_was_missed_is_made_up_for_at_once_and_states_it(tmp_path: Path) -> None:
    _keep_status(tmp_path, datetime.now(UTC) - timedelta(hours=1))

    worker = _run(tmp_path, NEVER_SOON, runs=1)

    assert worker.events[0]["IsPastDue"] is True
    kept = json.loads((tmp_path / "watch.json").read_text())
    assert datetime.fromisoformat(kept["Next"]) > datetime.now(UTC)


def test_nothing_is_past_due_while_the_next_run_lies_ahead(tmp_path: Path) -> None:
    _keep_status(tmp_path, datetime.now(UTC) + timedelta(seconds=1))

    worker = _run(tmp_path, EVERY_SECOND, runs=1)

    assert worker.events[0]["IsPastDue"] is False


def test_run_on_startup_does_not_wait(tmp_path: Path) -> None:
    assert _run(tmp_path, NEVER_SOON, runs=1, runOnStartup=True).events[0]["IsPastDue"] is False


@pytest.mark.extended
def test_a_long_run_is_never_overlapped(tmp_path: Path) -> None:
    assert _run(tmp_path, EVERY_SECOND, runs=2, seconds=1.3).running_max == 1


def test_a_timer_function_runs_on_its_schedule_even_after_it_raised(tmp_path: Path) -> None:
    code = """
@app.function_name("watch")
@app.timer_trigger(arg_name="timer", schedule="%WATCH_SCHEDULE%")
async def watch(timer: func.TimerRequest) -> None:
    note(past_due=timer.past_due, at=time.time())
    raise ValueError("every time")
"""
    app = write_app(tmp_path / "app", code)
    settings = {"WATCH_SCHEDULE": "* * * * * *"}
    with running_host(tmp_path, app, "background", settings) as host:
        notes = eventually(lambda: host.notes() if len(host.notes()) > 1 else None)

    assert [note["past_due"] for note in notes[:2]] == [False, False]
    assert (tmp_path / "timers" / "watch.json").exists()

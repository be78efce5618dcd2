"""Timer triggers: runs on schedule, one at a time, and at once when a run was missed meanwhile.

A file per timer keeps when it is due next, as Azure keeps it in blob storage.
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from local.host.ncrontab import Schedule, parse_schedule
from local.host.settings import substitute
from local.host.worker import Function, Worker, datum


def schedule_of(function: Function) -> Schedule:
    """The schedule of a timer function. Raises ScheduleError or SettingError if it has none."""
    return parse_schedule(substitute(function.trigger["schedule"]))


async def run_timer(
    worker: Worker, function: Function, schedule: Schedule, folder: Path, stop: asyncio.Event
) -> None:
    """Invoke the function whenever it is due until `stop` is set; a run in hand ends first.

    A run that is due during another one is skipped: the next run is the next one after its end.
    """
    path = folder / f"{function.name}.json"
    last, due = _read_status(path)
    started = datetime.now(UTC)
    if due is None or function.trigger.get("useMonitor") is False:
        due = schedule.next_after(started)
    past_due = due <= started
    if function.trigger.get("runOnStartup"):
        due = min(due, started)
    while await _reaches(due, stop):
        now = datetime.now(UTC)
        status = _status(last, due)
        event = {
            "IsPastDue": past_due,
            "ScheduleStatus": status,
            "Schedule": {"AdjustForDST": True},
        }
        await worker.invoke(function, datum(json.dumps(event), "json"), {})
        last, due, past_due = now, schedule.next_after(datetime.now(UTC)), False
        _write_status(path, _status(last, due))


async def _reaches(due: datetime, stop: asyncio.Event) -> bool:
    """Sleep until `due`: True; or until `stop` is set: False."""
    while not stop.is_set():
        remaining_seconds = (due - datetime.now(UTC)).total_seconds()
        if remaining_seconds <= 0:
            return True
        try:
            await asyncio.wait_for(stop.wait(), remaining_seconds)
        except TimeoutError:
            continue
    return False


def _status(last: datetime | None, due: datetime) -> dict[str, str]:
    known = last.isoformat() if last else datetime.min.replace(tzinfo=UTC).isoformat()
    return {"Last": known, "Next": due.isoformat(), "LastUpdated": known}


def _read_status(path: Path) -> tuple[datetime | None, datetime | None]:
    try:
        status = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None, None
    return datetime.fromisoformat(status["Last"]), datetime.fromisoformat(status["Next"])


def _write_status(path: Path, status: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(status), "utf-8")
    os.replace(new, path)

"""`python -m local.host --app DIR --role http|background|all --port N --data DIR`

In Azure's Flex plan all HTTP functions of an app share processes and every other function has its
own; `--role` picks a side. Prints one line when ready, serves until SIGINT or SIGTERM, exits 1 with
a sentence if it can't start.
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path

from azure_functions_runtime import invocation_id_cv

from local.host.http import HttpHost, route_table
from local.host.settings import HostSettings, SettingError, read_host_json
from local.host.worker import Function, IndexingError, Worker

HTTP_TRIGGER = "httpTrigger"
SERVICE_BUS_TRIGGER = "serviceBusTrigger"
TIMER_TRIGGER = "timerTrigger"
KINDS = {HTTP_TRIGGER, SERVICE_BUS_TRIGGER, TIMER_TRIGGER}


def main() -> int:
    """Parse the command line and serve. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.host")
    parser.add_argument(
        "--app", type=Path, default=Path(), help="folder of function_app.py and host.json"
    )
    parser.add_argument("--role", choices=["http", "background", "all"], default="all")
    parser.add_argument("--port", type=int, default=7071, help="of the HTTP functions")
    parser.add_argument(
        "--data", type=Path, default=Path("build/data"), help="keeps when the timers last ran"
    )
    options = parser.parse_args()
    try:
        settings = read_host_json(options.app.resolve())
        _log_to_stderr(settings.log_level)
        asyncio.run(_serve(options, settings))
    except (SettingError, IndexingError, OSError) as error:
        print(f"the host can't start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace, settings: HostSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(settings.function_timeout_seconds)
    functions = await worker.index(options.app.resolve())
    for function in functions:
        if function.trigger["type"] not in KINDS:
            raise SettingError(f"function {function.name}: no {function.trigger['type']} here")
    tasks: list[Coroutine[None, None, None]] = []
    if options.role != "http":
        tasks += _background_tasks(worker, functions, settings, options.data, stop)
    if options.role != "background":
        routes = route_table(_of_kind(functions, HTTP_TRIGGER), settings.route_prefix)
        http = HttpHost(worker, routes, options.port)
        await http.start()
        tasks.append(http.run(stop))
    # A task that fails ends the others and the process: who started it starts it again.
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(task)
        print(f"ready: {options.role}, {len(functions)} functions indexed", flush=True)
        await stop.wait()
    worker.close()


def _background_tasks(
    worker: Worker,
    functions: list[Function],
    settings: HostSettings,
    data: Path,
    stop: asyncio.Event,
) -> list[Coroutine[None, None, None]]:
    # Imported here: the HTTP process needs neither proton nor schedules.
    from local.host.service_bus import pump, receiver_for
    from local.host.timers import run_timer, schedule_of

    queues = [(f, receiver_for(f)) for f in _of_kind(functions, SERVICE_BUS_TRIGGER)]
    timers = [(f, schedule_of(f)) for f in _of_kind(functions, TIMER_TRIGGER)]
    batch_size = settings.max_message_batch_size
    return [
        *(pump(worker, function, receiver, batch_size, stop) for function, receiver in queues),
        *(run_timer(worker, function, schedule, data, stop) for function, schedule in timers),
    ]


def _of_kind(functions: list[Function], kind: str) -> list[Function]:
    return [function for function in functions if function.trigger["type"] == kind]


def _log_to_stderr(level: int) -> None:
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(invocation_id)s %(message)s",
        "%Y-%m-%dT%H:%M:%S",
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_stamp_invocation)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("proton").setLevel(logging.WARNING)  # tells of every connection


def _stamp_invocation(record: logging.LogRecord) -> bool:
    record.invocation_id = invocation_id_cv.get() or "-"
    return True


if __name__ == "__main__":
    sys.exit(main())

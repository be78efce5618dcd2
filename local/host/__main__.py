"""`python -m local.host --app DIR --role http|background|all --port N --data DIR`

In Azure's Flex plan all HTTP functions of an app share processes and every other function has its
own; `--role` picks a side. Prints one line when ready, serves until SIGINT or SIGTERM, exits 1 with
a sentence if it can't start.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path

from azure_functions_runtime import invocation_id_cv

from local.host.http import HttpHost, route_table
from local.host.routes import RouteError
from local.host.settings import HostSettings, SettingError, read_host_json
from local.host.worker import Function, IndexingError, Worker

HTTP_TRIGGER = "httpTrigger"


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
    parser.add_argument(
        "--ready-fd", type=int, help="a pipe that gets a line when ready, and is closed then"
    )
    options = parser.parse_args()
    try:
        settings = read_host_json(options.app.resolve())
        _log_to_stderr(settings.log_level)
        asyncio.run(_serve(options, settings))
    except (SettingError, RouteError, IndexingError, OSError) as error:
        print(f"the host can't start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace, settings: HostSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(settings.function_timeout_seconds)
    functions = await worker.index(options.app.resolve())
    http: HttpHost | None = None
    if options.role != "background":
        routes = route_table(
            (f for f in functions if f.trigger["type"] == HTTP_TRIGGER), settings.route_prefix
        )
        http = HttpHost(worker, routes, options.port)
        await http.start()
    _tell_ready(options.role, options.ready_fd, functions)
    await stop.wait()
    if http is not None:
        await http.stop()
    worker.close()


def _tell_ready(role: str, ready_fd: int | None, functions: list[Function]) -> None:
    line = f"ready: role {role}, {len(functions)} functions indexed, pid {os.getpid()}"
    print(line, flush=True)
    if ready_fd is not None:
        os.write(ready_fd, line.encode())
        os.close(ready_fd)


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


def _stamp_invocation(record: logging.LogRecord) -> bool:
    record.invocation_id = invocation_id_cv.get() or "-"
    return True


if __name__ == "__main__":
    sys.exit(main())

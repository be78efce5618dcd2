"""`make run`: the whole product on this machine, until SIGINT or SIGTERM.

PORT, DATA and SEED as the environment says. `build/run.json` is there while it serves.
"""

import importlib
import importlib.util
import json
import os
import signal
import sys

from local.parts import StackError
from local.stack import ROOT, Stack, write_by_rename

RUN_JSON = ROOT / "build" / "run.json"


def main() -> int:
    """Start, seed, serve, stop. Returns the exit code: 1, with a sentence, if it can't start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # raises KeyboardInterrupt
    RUN_JSON.parent.mkdir(exist_ok=True)
    RUN_JSON.unlink(missing_ok=True)
    seed = os.environ.get("SEED") or "demo"
    if seed not in {"demo", "none"}:
        print("SEED is `demo` or `none`", file=sys.stderr)
        return 1
    data = ROOT / (os.environ.get("DATA") or "build/data")
    stack = Stack(data, port=int(os.environ.get("PORT") or 7071))
    try:
        stack.start()
        if seed == "demo":
            _load_demo(stack)
        _write_run_json(stack)
        stack.on_change = lambda: _write_run_json(stack)
        print(f"Perminute serves at {stack.base_url}/api; keys and process ids: {RUN_JSON}")
        print(f"Data and logs: {stack.data}. Stop it with Ctrl-C.", flush=True)
        stack.wait()
        print("make run: the supervisor failed", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopping", flush=True)
        return 0
    except StackError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C doesn't leave things half done
        stack.on_change = None
        stack.stop()
        RUN_JSON.unlink(missing_ok=True)


def _load_demo(stack: Stack) -> None:
    if importlib.util.find_spec("local.demo") is not None:
        importlib.import_module("local.demo.seed").seed(stack.base_url, stack.admin_key)


def _write_run_json(stack: Stack) -> None:
    write_by_rename(RUN_JSON, json.dumps(stack.describe(), indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

"""What a process takes: memory once it has served many accounts, CPU until it is there."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.bench.records import record, wanted
from tests.support.azurite import ROOT

MEMORY = "ledger.memory_10k_accounts"
START = "process.import_function_app"
MEMORY_RATIO_MAX = 1.1
START_SECONDS_MAX = 0.6
STARTS = 5


def records(only: str | None) -> Iterator[dict[str, Any]]:
    """Figures of a process."""
    if wanted(MEMORY, only):
        yield _memory()
    if wanted(START, only):
        yield _start()


def _memory() -> dict[str, Any]:
    """The caches are full after 2,000 accounts: the other 8,000 must not add to them."""
    full, served = json.loads(_child("-m", "tests.bench.memory_process"))
    return record(
        MEMORY,
        served,
        "MB",
        "after 2,000 accounts",
        full,
        "ratio <= 1.1",
        lambda ratio: ratio <= MEMORY_RATIO_MAX,
    )


def _start() -> dict[str, Any]:
    """CPU of `import function_app`, beside that of the library that it can't do without."""
    ours = statistics.median(_import_seconds("function_app") for _ in range(STARTS))
    library = statistics.median(_import_seconds("azure.functions") for _ in range(STARTS))
    return record(
        START,
        ours,
        "s CPU",
        "import azure.functions",
        library,
        "value < 0.6",
        lambda _: ours < START_SECONDS_MAX,
    )


def _import_seconds(module: str) -> float:
    code = f"import time; a = time.process_time(); import {module}; print(time.process_time() - a)"
    return float(_child("-c", code))


def _child(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

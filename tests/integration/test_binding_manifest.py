"""What Azure will see of the app: its functions and their bindings, and that the package is whole.

After a wanted change: `python -m tests.integration.test_binding_manifest` writes the golden file.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from local.stack import ROOT

GOLDEN = ROOT / "tests" / "golden" / "binding_manifest.json"
INDEX = """
import asyncio, json, sys
from pathlib import Path
sys.path.append(sys.argv[2])  # for the host only: what the app needs is found first in its folder
from local.host.worker import Worker
functions = asyncio.run(Worker().index(Path(sys.argv[1])))
print(json.dumps({f.name: [json.loads(raw) for raw in f.raw_bindings] for f in functions}))
"""
SERVICE_BUS_LOCK_SECONDS = 300


def _index(app: Path) -> dict[str, Any]:
    """The bindings of every function, by Microsoft's worker library in a process of its own."""
    completed = subprocess.run(
        [sys.executable, "-c", INDEX, str(app), str(ROOT)],
        cwd=app,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def _text(manifest: dict[str, Any]) -> str:
    lines = (
        f"  {json.dumps(name)}: [\n"
        + ",\n".join(f"    {json.dumps(binding, sort_keys=True)}" for binding in bindings)
        + "\n  ]"
        for name, bindings in sorted(manifest.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def test_the_worker_sees_exactly_these_functions_and_bindings() -> None:
    """A renamed function or a changed route breaks callers and dashboards: it must be wanted."""
    assert _text(_index(ROOT)) == GOLDEN.read_text("utf-8")


def test_no_route_leaves_the_door_to_the_platform() -> None:
    """The code checks every request itself: function keys would be a second, unrecorded way in."""
    bindings = [
        binding for bindings in json.loads(GOLDEN.read_text()).values() for binding in bindings
    ]
    http = [binding for binding in bindings if binding["type"] == "httpTrigger"]

    assert {binding["authLevel"] for binding in http} == {"ANONYMOUS"}
    assert all(binding["methods"] for binding in http)


def test_queue_bodies_are_bytes_and_come_in_batches() -> None:
    """Other data types re-write JSON on the way: 1.10 would become 1.1."""
    bindings = [
        binding for bindings in json.loads(GOLDEN.read_text()).values() for binding in bindings
    ]
    queues = [binding for binding in bindings if binding["type"] == "serviceBusTrigger"]

    assert {(binding["dataType"], binding["cardinality"]) for binding in queues} == {
        ("BINARY", "MANY")
    }


def test_the_app_lives_without_what_is_not_deployed(tmp_path: Path) -> None:
    """Everything that `function_app` imports survives `.funcignore`; tests and laptop don't."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    for folder, folders, files in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if not ignored.match_file(f"{inside / name}/")]
        for name in files:
            if not ignored.match_file(inside / name):
                (tmp_path / inside).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / inside / name, tmp_path / inside / name)

    assert sorted(_index(tmp_path)) == sorted(_index(ROOT))
    assert {path.name for path in tmp_path.iterdir()} <= {
        *("function_app.py", "functions", "shared", "console", "host.json", "requirements.txt"),
        "__pycache__",
    }


def test_host_json_keeps_batches_small_and_below_their_lock() -> None:
    """Decoding is quadratic in the batch, and the lock of a batch is not renewed."""
    document = json.loads((ROOT / "host.json").read_text("utf-8"))
    service_bus = document["extensions"]["serviceBus"]
    hours, minutes, seconds = map(int, document["functionTimeout"].split(":"))

    assert service_bus["maxMessageBatchSize"] == 100
    assert service_bus["prefetchCount"] == 0
    assert service_bus["autoCompleteMessages"] is True
    assert hours * 3600 + minutes * 60 + seconds < SERVICE_BUS_LOCK_SECONDS
    assert set(document) == {
        *("version", "functionTimeout", "extensionBundle", "extensions", "logging"),
    }


if __name__ == "__main__":
    GOLDEN.write_text(_text(_index(ROOT)), "utf-8")

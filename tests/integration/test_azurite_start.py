"""The saves of Azurite on the laptop, with a clock that the test moves."""

import json
import shutil
import subprocess

from local.stack import ROOT

SCRIPT = """
let nowMs = 0, tick, saves = [];
Object.defineProperty(globalThis, "performance", { value: { now: () => nowMs } });
globalThis.setInterval = (call) => { tick = call; };
const Loki = require("lokijs");
const data = new Loki("data", { autosave: true, adapter: new Loki.LokiMemoryAdapter() });
data.autosaveDirty = () => true;
data.saveDatabase = () => { saves.push(nowMs / 1000); nowMs += Number(process.argv[1]); };
for (let seconds = 5; seconds <= 130; seconds += 5) { nowMs = seconds * 1000; tick(); }
console.log(JSON.stringify(saves));
"""


def _saved_at_seconds(save_ms: int) -> list[int]:
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, "--require", str(ROOT / "local/azurite_start.js"), "-e", SCRIPT, str(save_ms)],
        cwd=ROOT / "local",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_little_data_is_saved_every_five_seconds() -> None:
    assert _saved_at_seconds(20) == list(range(5, 131, 5))


def test_after_a_long_save_the_next_one_waits_for_two_hundred_times_as_long() -> None:
    assert _saved_at_seconds(300) == [5, 65, 125]

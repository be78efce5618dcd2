"""`python -m infra.tools.try_package [ZIP]`: does the package live without anything else?

It is unpacked into an empty folder. There its import is timed, with nothing but the package on the
path; then its own copy of Microsoft's worker library indexes it and serves one request. Only the
host around that library comes from this checkout.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ZIP = ROOT / "build" / "package" / "perminute.zip"
VENDORED = ".python_packages/lib/site-packages"
SECONDS_MAX = 60
IMPORT_TRIES = 3
# Modules that may come from here: the host that drives the worker library.
HOST_ONLY = {"local"}

TIMED = """
import json, sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/" + sys.argv[2]]
cpu, wall = time.process_time(), time.perf_counter()
import function_app
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))
"""
SERVED = """
import asyncio, json, sys
from pathlib import Path
app, vendored, *ours = sys.argv[1:]
sys.path[:0] = [app, app + "/" + vendored]
sys.path += ours  # for the host only: what the app needs is found first in the package
from local.host.http import HttpHost, route_table
from local.host.worker import Worker
from local.parts import free_port

async def serve():
    worker = Worker()
    functions = await worker.index(Path(app))
    routes = route_table([f for f in functions if f.trigger["type"] == "httpTrigger"], "")
    port = free_port()
    host, stop = HttpHost(worker, routes, port), asyncio.Event()
    await host.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /api/openapi.json HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n")
    answer = await reader.read()
    writer.close()
    stop.set()
    await host.run(stop)
    worker.close()
    return len(functions), answer.split(b"\\r\\n", 1)[0].decode()

functions, answered = asyncio.run(serve())
foreign = {
    name.partition(".")[0]
    for name, module in sys.modules.items()
    if (getattr(module, "__file__", None) or "").startswith(tuple(ours))
}
print(json.dumps({"functions": functions, "answered": answered, "foreign": sorted(foreign)}))
"""


def main() -> int:
    """Unpack, import, index, send a request. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.try_package")
    parser.add_argument("zip", type=Path, nargs="?", default=ZIP)
    package: Path = parser.parse_args().zip
    if not zipfile.is_zipfile(package):
        parser.error(f"{package} is no zip: make package builds it")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
        times = [json.loads(_run(TIMED, folder, VENDORED)) for _ in range(IMPORT_TRIES)]
        cpu_seconds, wall_seconds = min(times)
        ours = [path for path in sys.path if path.endswith("site-packages")]
        found = json.loads(_run(SERVED, folder, VENDORED, str(ROOT), *ours).splitlines()[-1])
    print(f"{package.name}: {package.stat().st_size / 1e6:.1f} MB")
    print(f"  import function_app: {cpu_seconds:.2f} s of CPU, {wall_seconds:.2f} s")
    print(f"  {found['functions']} functions indexed; GET /api/openapi.json: {found['answered']}")
    if foreign := set(found["foreign"]) - HOST_ONLY:
        print(f"  not in the package: {', '.join(sorted(foreign))}", file=sys.stderr)
        return 1
    return 0 if " 200 " in found["answered"] and found["functions"] else 1


def _run(code: str, *arguments: str) -> str:
    """Run code without site-packages and without this environment; returns its output."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *arguments],
        cwd=arguments[0],
        env={},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the package does not work:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

"""`make run`: the whole product on this machine, until SIGINT or SIGTERM.

The environment supplies PORT, DATA and SEED. `build/run.json` and `build/run.env` are there while
it serves.
"""

import json
import os
import shlex
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from local.demo import quarter
from local.demo.external_services import ExternalServices
from local.demo.seed import ACCOUNT
from local.demo.seed import seed as seed_demo
from local.demo.wire import DemoError
from local.parts import Part, StackError, port_is_free
from local.stack import ROOT, Stack, console_address, write_by_rename

DEFAULT_PORT = 7071
PORT_MAX = 65_535
POLL_SECONDS = 0.5


def main(run_json: Path = ROOT / "build" / "run.json", app: Path = ROOT) -> int:
    """Start, seed, serve, stop. Returns the exit code: 1, with a sentence, if it can't start."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # raises KeyboardInterrupt
    port, seed = os.environ.get("PORT") or str(DEFAULT_PORT), os.environ.get("SEED") or "demo"
    if fault := _fault(port, seed):
        print(f"make run: {fault}", file=sys.stderr)
        return 1
    _remove_stale(run_json)
    data = ROOT / (os.environ.get("DATA") or "build/data")
    with ExternalServices(data) if seed == "demo" else nullcontext() as outside:
        settings = outside.settings if outside else {}
        stack = Stack(data, port=int(port), app=app, settings=settings)
        try:
            stack.start()
            if outside is not None:
                _load_demo(stack, outside)
            return serve(stack, run_json, has_quarter=seed == "demo")
        except KeyboardInterrupt:
            return 0
        except StackError as error:
            print(f"make run: {error}", file=sys.stderr)
            if (stack.data / "logs").exists():
                print(f"Logs of the parts: {stack.data / 'logs'}", file=sys.stderr)
            return 1
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C leaves nothing half done
            stack.stop()


def _fault(port: str, seed: str) -> str | None:
    """The variable with a wrong value and the values that it takes, or None."""
    if not (port.isascii() and port.isdecimal()) or int(port) > PORT_MAX:
        return f"PORT={port} is no port. PORT is 0 to {PORT_MAX} (0: any free port)."
    if seed not in {"demo", "none"}:
        return f"SEED={seed} is unknown. SEED is `demo` or `none`."
    return None


def serve(stack: Stack, run_json: Path, *, has_quarter: bool) -> int:
    """Serve with a stack that has started, until Ctrl-C or until it ends: exit code 0 or 1.

    With `has_quarter` the played quarter is loaded meanwhile. Raises KeyboardInterrupt, StackError.
    """
    written = ""
    playing: Part | None = None

    def publish() -> None:
        nonlocal written
        written = json.dumps(stack.describe(), indent=2) + "\n"
        write_by_rename(run_json.with_suffix(".env"), shell_settings(stack))
        write_by_rename(run_json, written)

    try:
        stack.on_change = publish
        publish()
        print(f"Perminute serves at {stack.base_url}/api; keys and process ids: {run_json}")
        print(f"Settings for a second shell: . {run_json.with_suffix('.env')}")
        account = quarter.ACCOUNT if has_quarter else None
        print(f"Console, signed in: {console_address(stack, account)}")
        print(f"Data and logs: {stack.data}. Stop it with Ctrl-C.", flush=True)
        playing = quarter.playing(stack) if has_quarter else None
        while stack.wait(POLL_SECONDS):
            if playing is not None and playing.has_ended:
                print(playing.log_tail().strip().rpartition("\n")[2], flush=True)
                playing = None
            if _make_was_interrupted():
                return 0
        print(
            f"make run: the supervisor ended. Logs of the parts: {stack.data / 'logs'}",
            file=sys.stderr,
        )
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C leaves nothing half done
        if playing is not None:
            playing.request_stop()
            playing.wait_stopped()
        stack.on_change = None
        if written and _read(run_json) == written:  # another stack may have written its own since
            _remove(run_json)


def shell_settings(stack: Stack) -> str:
    """The file that a shell reads: address, key, the secret of the bridge `local`, and a PATH with
    the command line."""
    values = {"BASE": stack.base_url, "KEY": stack.admin_key, "SECRET": stack.bridge_secret}
    values |= {"PERMINUTE_URL": stack.base_url, "PERMINUTE_KEY": stack.admin_key}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    folder = shlex.quote(str(Path(sys.executable).parent))
    return "\n".join([*lines, f'export PATH={folder}:"$PATH"', ""])


def _remove(run_json: Path) -> None:
    run_json.unlink(missing_ok=True)
    run_json.with_suffix(".env").unlink(missing_ok=True)


def _remove_stale(run_json: Path) -> None:
    """Remove the files of a killed stack; files of a running stack stay."""
    text = _read(run_json)
    try:
        description = json.loads(text)
        port = int(description["base_url"].rpartition(":")[2])
        is_running = not port_is_free(port) or any(
            map(_is_alive, description["processes"].values())
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        is_running = False  # nothing that a stack has written
    if text and not is_running:
        _remove(run_json)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _load_demo(stack: Stack, outside: ExternalServices) -> None:
    try:
        seed_demo(stack.base_url, stack.admin_key)
        outside.payments.connect(stack.base_url, stack.admin_key, [ACCOUNT])
    except DemoError as error:
        raise StackError(f"the demo account can't be loaded: {error}") from error


def _make_was_interrupted() -> bool:
    """True if SIGINT was sent to the parent make and to no other process.

    `kill -INT` and `timeout -s INT` do that. Make then waits for this process without a signal to
    it, but it has put the signal back to its default (Linux shows that).
    """
    folder = Path("/proc") / str(os.getppid())
    try:
        if (folder / "comm").read_text().strip() not in {"make", "gmake"}:
            return False
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return False
    masks = dict(line.split(":\t") for line in lines if line.startswith(("SigCgt", "SigIgn")))
    handled = int(masks["SigCgt"], 16) | int(masks["SigIgn"], 16)
    return not handled & 1 << (signal.SIGINT - 1)


if __name__ == "__main__":
    sys.exit(main())

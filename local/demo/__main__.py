"""`make demo`: starts everything with fresh data, plays a meeting and reports its cost. With
`KEEP=1` it serves until Ctrl-C, with a played quarter in addition to the meeting."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.demo.check import differences
from local.demo.events import Subscription
from local.demo.external_services import ExternalServices
from local.demo.play import DemoResult, Play
from local.demo.report import counts_of, details_of, summary_of, wrapped
from local.parts import StackError
from local.run import serve
from local.stack import ROOT, Stack
from shared.domain.common.counts import counted

INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended


def main() -> int:
    """Exit code 0 only if everything was as expected. Nothing is left running."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # raises KeyboardInterrupt
    started = time.monotonic()
    keep = os.environ.get("KEEP", "")
    if keep not in {"", "0", "1"}:
        print(f"make demo: KEEP={keep} is unknown. KEEP is 1 (serve on) or 0.", file=sys.stderr)
        return 1
    is_kept = keep == "1"

    def say(text: str) -> None:
        line = f"{time.monotonic() - started:5.1f} s  {text}"
        print("\n".join(wrapped([line])), flush=True)

    try:
        (ROOT / "build").mkdir(exist_ok=True)
        data = Path(tempfile.mkdtemp(prefix="demo-", dir=ROOT / "build"))
    except OSError as error:
        print(
            f"make demo: the folder {ROOT / 'build'} cannot be written ({error.strerror}). "
            "Make the folder writable, then repeat the command.",
            file=sys.stderr,
        )
        return 1
    result: DemoResult | None = None
    code = 0
    try:
        with (
            ExternalServices() as services,
            _stopped(Stack(data, settings=services.settings)) as stack,
        ):
            result = _played(stack, services, say)
            if is_kept:
                code = _report(result, data, is_kept=True)
                print(flush=True)
                serve(stack, ROOT / "build" / "run.json", has_quarter=True)
            say("stopping everything")
    except StackError as error:
        print(f"demo failed: {error}\nLogs: {data}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if not is_kept or result is None:
            print("demo interrupted: everything is stopped", file=sys.stderr)
            code = INTERRUPTED
        shutil.rmtree(data)
        return code
    return code if is_kept else _report(result, data)


@contextmanager
def _stopped(stack: Stack) -> Iterator[Stack]:
    """The stack, which is stopped at the end, also after an error."""
    try:
        yield stack
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C leaves nothing half done
        stack.stop()


def _played(stack: Stack, services: ExternalServices, say: Callable[[str], None]) -> DemoResult:
    """The events of the play. Raises StackError, DemoError among them."""
    say("starting Azurite, the Service Bus stand-in and two Functions hosts")
    stack.start()
    say(f"Perminute serves at {stack.base_url}/api")
    with Subscription(stack.service_bus_connection_string) as events:
        return Play(stack, services, events, say).run()


def _report(result: DemoResult, data: Path, *, is_kept: bool = False) -> int:
    print("\n".join(["", "SUMMARY", *summary_of(result), "", "DETAILS", *details_of(result), ""]))
    found = differences(result)
    if found:
        print("NOT AS EXPECTED")
        print("\n".join(f"  {sentence}" for sentence in found))
        print(f"demo failed: {counted(len(found), 'difference')}. Logs: {data}")
        return 1
    if not is_kept:
        shutil.rmtree(data)
    print(counts_of(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m infra.tools.replay --since TIME [--until TIME]`: replay of accepted
legs.

The command reads the archive and queues the legs of that period again (docs/operations.md). The
settings of the app are read from the environment. A second run charges no leg twice.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from shared.bootstrap.composition import Container
from shared.domain.common.errors import PerminuteError
from shared.settings import Settings, SettingsError
from shared.usecases.operations.replay_archive import ReplayArchive, Replayed


def main() -> int:
    """Replay and print the counts. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.replay")
    parser.add_argument("--since", type=_time, required=True, help="RFC 3339 with its zone")
    parser.add_argument("--until", type=_time, default=None, help="now, if left out")
    options = parser.parse_args()
    try:
        replayed = asyncio.run(_replay(options.since, options.until or datetime.now(UTC)))
    except (SettingsError, PerminuteError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    print(
        f"{replayed.legs} legs queued again, {replayed.events} events of calls kept again, "
        f"{replayed.unreadable} posts parked again"
    )
    return 0


async def _replay(since: datetime, until: datetime) -> Replayed:
    container = Container(Settings.from_environment())
    try:
        if container.archive is None:
            raise SettingsError("no archive is set: ARCHIVE_ENDPOINT or ARCHIVE_CONNECTION_STRING")
        replay = ReplayArchive(
            container.archive,
            container.queue,
            container.receive_legs,
            container.assemble_calls.again,
            container.ids,
        )
        return await replay(since, until)
    finally:
        await container.close()


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-11-20T10:00:00Z"
        raise argparse.ArgumentTypeError(f"{text} is no time. Write {example}") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("a time zone is missing, as in 2026-11-20T10:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise argparse.ArgumentTypeError("the time is out of range") from None


if __name__ == "__main__":
    sys.exit(main())

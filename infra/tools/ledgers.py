"""`python -m infra.tools.ledgers export|restore|verify|set-aside ACCOUNT [FILE]`: exports and
restores of ledgers.

`export` writes the journals of an account, one line each, without numbers of persons. `restore`
rebuilds the ledger from such a file, into tables without rows of the account. `verify` recomputes
the ledger, with `--anchors` against its anchors. `set-aside` ends the comparison with the newest
anchor, after a restore of an older export. The settings of the app are read from the environment.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from shared.adapters.ledger.restore import export, restore
from shared.bootstrap.composition import Container
from shared.domain.common.errors import NotFound, PerminuteError
from shared.domain.common.money import format_amount
from shared.settings import Settings, SettingsError


def main() -> int:
    """Do one of the four. Returns the exit code: 1 where a ledger does not verify, too."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.ledgers")
    parser.add_argument("verb", choices=["export", "restore", "verify", "set-aside"])
    parser.add_argument("account")
    parser.add_argument("file", type=Path, nargs="?", help="of an export")
    parser.add_argument("--anchors", action="store_true", help="verify against the newest anchor")
    options = parser.parse_args()
    if (options.file is None) != (options.verb in {"verify", "set-aside"}):
        parser.error("export and restore need a file, verify and set-aside have none")
    try:
        return asyncio.run(_run(options))
    except (SettingsError, PerminuteError, OSError) as error:
        print(f"ledgers: {error}", file=sys.stderr)
        return 1


async def _run(options: argparse.Namespace) -> int:
    container = Container(Settings.from_environment())
    try:
        return await _do(options, container)
    finally:
        await container.close()


async def _do(options: argparse.Namespace, container: Container) -> int:
    account: str = options.account
    if options.verb == "export":
        if await container.ledger.state(account) is None:
            raise NotFound(f"There is no account {account} with a ledger.", code="account_unknown")
        lines = 0
        with options.file.open("xb") as file:
            async for line in export(container.tables, account):
                file.write(line)
                lines += 1
        print(f"{account}: {lines} commits exported")
        return 0
    if options.verb == "restore":
        key = container.settings.chain_key
        state = await restore(container.tables, account, _lines(options.file), key)
        print(f"{account}: {state.commit} commits, balance {format_amount(state.balance_micros)}")
        return 0
    if options.verb == "set-aside":
        return await _set_aside(account, container)
    found = await container.read_ledger.verify(account, anchored=options.anchors)
    for problem in found.problems:
        print(problem)
    print(
        f"{account}: {found.commits} commits, {found.entries} entries, {found.legs} legs, "
        f"balance {format_amount(found.balance_micros)}, head {found.head}: "
        f"{'does not verify' if found.problems else 'verifies'}"
    )
    return 1 if found.problems else 0


async def _set_aside(account: str, container: Container) -> int:
    """End the comparison with the newest anchor; the next audit anchors the ledger as it is."""
    now = container.clock.now()
    anchor = await container.anchors.latest(account, now.date()) if container.anchors else None
    if container.anchors is None or anchor is None:
        raise NotFound(f"There is no anchor of {account}.", code="anchors_off")
    await container.anchors.set_aside(anchor, now)
    print(f"{account}: the anchor at commit {anchor.commit} is set aside")
    return 0


async def _lines(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as lines:
        for line in lines:
            yield line


if __name__ == "__main__":
    sys.exit(main())

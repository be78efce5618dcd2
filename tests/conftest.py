"""What all tests share: coroutine tests, and the emulator of Table storage."""

import asyncio
import inspect
import os
import signal
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, settings

from shared.ports.tables import Delete, Operation
from tests.docs import tables
from tests.support.azurite import Azurite, start_azurite
from tests.support.memory_tables import MemoryTables

# A machine may be busy: no example fails for being slow. HYPOTHESIS_PROFILE=soak runs longer.
for name, examples in (("ci", 100), ("soak", 5_000)):
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


transact = MemoryTables.transact


async def described(
    self: MemoryTables, table: str, partition: str, operations: Sequence[Operation]
) -> tuple[str, ...]:
    """`MemoryTables.transact`, which refuses a property that docs/reference/tables.md lacks."""
    known = tables.NAMES.get(table)
    for operation in operations if known is not None else ():
        if isinstance(operation, Delete) or "schema" not in operation.values:
            continue  # a row without a schema is a test's own
        if not known.issuperset(operation.values):
            names = {tables.base(tables.NUMBER.sub("…", name)) for name in operation.values}
            assert names <= known, (
                f"tests/docs/row_properties.py lacks {names - known} of table {table}: describe the"
                " property, then run python -m tests.docs.recorder with this test"
            )
            known.update(operation.values)
    return await transact(self, table, partition, operations)


def pytest_configure() -> None:
    """Rows in memory are checked. A shell starts its background jobs with SIGINT ignored, and their
    children inherit that; the programs under test are stopped by SIGINT."""
    MemoryTables.transact = described  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, those that are allowed ten minutes and more, so that none of
    them begins when the others have ended."""
    marks = {item: item.get_closest_marker("timeout") for item in items}
    allowed = {item: mark.args[0] if mark else 0 for item, mark in marks.items()}
    items.sort(key=lambda item: -allowed[item] if allowed[item] >= 600 else 0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine function runs in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite in memory, one per test process; tables are distinguished by unique names."""
    with start_azurite() as running:
        yield running

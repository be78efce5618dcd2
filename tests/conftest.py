"""What all tests share: coroutine tests, and the emulator of Table storage."""

import asyncio
import gc
import inspect
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from typing import Any

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

COLLECTED_OBJECTS = 50_000
TOGETHER = "tests/e2e/"
LONGEST = (
    "tests/sim/test_sim.py",
    "tests/console/test_console.py",
    TOGETHER,
    "tests/console/test_hostile.py",
    "tests/model/test_usage_model.py",
    "tests/proof/test_histories.py",
    "tests/faults/test_four_processes.py",
    "tests/faults/test_killed.py",
    "tests/demo/test_demo.py",
    "tests/cli/test_stack.py",
    "tests/demo/test_pages.py",
    "tests/unit/credits/test_year.py",
    "tests/bridges/test_freeswitch_script.py",
    "tests/infra/test_deployments.py",
    "tests/infra/test_runbook.py",
    "tests/archive/test_drill.py",
    "tests/infra/test_kql.py",
    "tests/cli/test_processes.py",
    "tests/integration/test_stack.py",
    "tests/unit/rate_cards/test_deck_bombs.py",
)
"""The files, or folders, that take longest in `make test-all`, as `make durations` has them."""


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


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the collector of garbage leaves it out."""
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS)


def pytest_configure() -> None:
    """Rows in memory are checked. A shell starts its background jobs with SIGINT ignored, and their
    children inherit that; the programs under test are stopped by SIGINT."""
    MemoryTables.transact = described  # type: ignore[method-assign]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No search for garbage visits the modules and the thousands of tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first, so that none of them begins when the others have ended."""
    places = {name: place for place, name in enumerate(LONGEST)}
    order = {path: places.get(_unit(path), len(places)) for path in {_path(each) for each in items}}
    items.sort(key=lambda item: order[_path(item)])


def _path(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _unit(path: str) -> str:
    """The file, or the folder whose tests share a stack."""
    return TOGETHER if path.startswith(TOGETHER) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadscope`: one worker runs a file, so that the file's fixtures are made once."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid.partition("::")[0])

        def _reschedule(self, node: Any) -> None:
            """A worker needs the test after the present one, and no further one."""
            if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

    return ByFile(config, log)


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

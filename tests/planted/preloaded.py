"""What the processes of the planted bugs are forked with: the product, and imports of its tests."""

from importlib import import_module
from importlib.metadata import entry_points

from _pytest.config import default_plugins

import tests.conftest
import tests.planted.process
import tests.sim.run
import tests.support.calls
import tests.support.credits_app
import tests.support.delivery_app
import tests.support.hold_books
import tests.support.ledger
import tests.support.ledger_processes
import tests.support.processes
import tests.support.stored_ledger  # noqa: F401

import_module("phonenumbers")
for name in default_plugins:
    import_module(f"_pytest.{name}")
for plugin in entry_points(group="pytest11"):
    plugin.load()

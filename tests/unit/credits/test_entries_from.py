"""Entries from a time on: all of them, and what lies before that time is not read."""

from datetime import timedelta

from shared.domain.common.canonical import format_time
from tests.support.credits_app import PATH, CreditsApp
from tests.support.stored_ledger import CountedTables

LEGS = 64


def test_entries_from_a_time_start_at_the_commit_before_it() -> None:
    tables = CountedTables()
    app = CreditsApp(tables)
    app.open()
    for _ in range(LEGS):
        app.clock.moment += timedelta(hours=1)
        app.spend("0.10")
    everything = app.items("entries")
    app.get(PATH)  # the account is known by now

    last_hours = format_time(app.clock.moment - timedelta(hours=2))
    tables.rows_read = 0
    found = app.items(f"entries?from={last_hours}")

    assert found == everything[-3:]  # the one that was made at that very moment is among them
    assert tables.rows_read <= 12  # the state, 7 to find the commit before, 3 after it


def test_entries_from_before_the_first_one_are_all() -> None:
    app = CreditsApp()
    app.open()
    app.spend("0.10")

    long_ago = format_time(app.clock.moment - timedelta(days=400))

    assert app.items(f"entries?from={long_ago}") == app.items("entries")


def test_entries_from_after_the_last_one_are_none() -> None:
    app = CreditsApp()
    app.open()
    app.spend("0.10")

    later = format_time(app.clock.moment + timedelta(microseconds=1))

    assert app.items(f"entries?from={later}") == []

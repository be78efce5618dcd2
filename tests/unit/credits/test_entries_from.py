"""Entries from a time on: all of them, and what lies before that time is not read."""

from datetime import timedelta

from shared.domain.common.canonical import format_time
from tests.unit.credits.world import PATH, World
from tests.unit.proof.app import CountedTables

LEGS = 64


def test_entries_from_a_time_start_at_the_commit_before_it() -> None:
    tables = CountedTables()
    world = World(tables)
    world.open()
    for _ in range(LEGS):
        world.clock.moment += timedelta(hours=1)
        world.spend("0.10")
    everything = world.items("entries")
    world.get(PATH)  # the account is known by now

    last_hours = format_time(world.clock.moment - timedelta(hours=2))
    tables.rows_read = 0
    found = world.items(f"entries?from={last_hours}")

    assert found == everything[-3:]  # the one that was made at that very moment is among them
    assert tables.rows_read <= 12  # the state, 7 to find the commit before, 3 after it


def test_entries_from_before_the_first_one_are_all() -> None:
    world = World()
    world.open()
    world.spend("0.10")

    long_ago = format_time(world.clock.moment - timedelta(days=400))

    assert world.items(f"entries?from={long_ago}") == world.items("entries")


def test_entries_from_after_the_last_one_are_none() -> None:
    world = World()
    world.open()
    world.spend("0.10")

    later = format_time(world.clock.moment + timedelta(microseconds=1))

    assert world.items(f"entries?from={later}") == []

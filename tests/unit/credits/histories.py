"""Histories of accounts that were never real: how much each call cost, and when."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random

UNIT = 1_000_000
type History = Iterator[tuple[datetime, int]]
type Shape = Callable[[datetime, Random], History]


def steady(start: datetime, random: Random) -> History:
    """Calls at any hour, day and night."""
    pause, cost = random.uniform(2, 8), random.uniform(0.2, 3)
    while True:
        start += timedelta(hours=random.expovariate(1 / pause))
        yield start, _micros(cost * random.uniform(0.3, 1.7))


def office(start: datetime, random: Random) -> History:
    """Calls on weekdays from eight to six, few on weekends."""
    pause, cost, weekend = random.uniform(0.8, 3), random.uniform(0.2, 3), random.uniform(0, 0.3)
    while True:
        start += timedelta(hours=random.expovariate(1 / pause))
        if not 8 <= start.hour < 18:
            start = start.replace(hour=8, minute=0) + timedelta(days=start.hour >= 18)
            start += timedelta(hours=random.expovariate(1 / pause))
        if start.weekday() < 5 or random.random() < weekend:
            yield start, _micros(cost * random.uniform(0.3, 1.7))


def bursts(start: datetime, random: Random) -> History:
    """Days of which some cost many times as much as others."""
    cost, chance = random.uniform(1, 5), random.uniform(0.1, 0.3)
    while True:
        busy = 6 if random.random() < chance else 1
        for hour in sorted(random.sample(range(8, 20), 3)):
            yield start + timedelta(hours=hour), _micros(cost * busy * random.uniform(0.3, 1.7))
        start += timedelta(days=1)


def growth(start: datetime, random: Random) -> History:
    """Office hours whose calls cost more, or less, from week to week."""
    a_week = random.uniform(0.95, 1.08)
    for moment, micros in office(start, random):
        yield moment, int(micros * a_week ** ((moment - start).days / 7))


def meetings(start: datetime, random: Random) -> History:
    """Few large meetings a week, most of them on weekdays of their own."""
    weekdays = random.sample(range(5), random.randint(1, 3))
    cost, held = random.uniform(10, 60), random.uniform(0.7, 1)
    while True:
        regular = start.weekday() in weekdays and random.random() < held
        if regular or random.random() < 0.05:
            hours = random.randint(8, 16)
            yield start + timedelta(hours=hours), _micros(cost * random.uniform(0.5, 1.5))
        start += timedelta(days=1)


SHAPES: tuple[Shape, ...] = (steady, office, bursts, growth, meetings)


def _micros(cost: float) -> int:
    return round(cost * UNIT)

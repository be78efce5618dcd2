"""Copies of frozen slotted dataclasses with some fields changed, where microseconds count."""

from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from shared.domain.common import limits


def fast_replace[State](old: State, **changes: object) -> State:
    """As `dataclasses.replace`, for frozen slotted dataclasses without `__post_init__`. `replace`
    passes all fields to `__init__`, which sets each with `object.__setattr__`. This function copies
    the slots, in less than half the time. A debit makes two states of about twenty fields. Raises
    KeyError on a field that is not there.
    """
    kind: Any = type(old)
    slots = _slots(kind)
    made: State = object.__new__(kind)
    for put, value in zip(slots.put.values(), slots.get(old), strict=True):
        put(made, value)
    for name, value in changes.items():
        slots.put[name](made, value)
    return made


class _SlotAccessors(NamedTuple):
    get: Callable[[object], tuple[object, ...]]
    put: dict[str, Callable[[object, object], None]]


@lru_cache(maxsize=limits.EVOLVED_KINDS_MAX)
def _slots(kind: Any) -> _SlotAccessors:
    names = [field.name for field in fields(kind)]
    return _SlotAccessors(attrgetter(*names), {name: getattr(kind, name).__set__ for name in names})

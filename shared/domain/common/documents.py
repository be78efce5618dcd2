"""Dataclasses as plain JSON values and back, by their annotations.

For stored documents whose names are those of the fields: renaming a field then needs a reader for
the old name (`tests/schemas` keeps rows of every release).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from shared.domain.common.canonical import format_time, parse_time


def to_document(value: Any, *, exclude: Collection[str] = ()) -> dict[str, Any]:
    """A dataclass as an object without the fields in `exclude`; tuples are lists, sets sorted
    lists, times text."""
    names = (field.name for field in fields(value) if field.name not in exclude)
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case datetime():
            return format_time(value)
        case tuple():
            return [_plain(each) for each in value]
        case frozenset():
            return sorted(map(_plain, value))
    return to_document(value) if is_dataclass(value) else value


def from_document[Fact](kind: type[Fact], document: Mapping[str, Any], **given: Any) -> Fact:
    """The dataclass that `to_document` wrote, with the fields in `given` added to the document's. A
    field that the document lacks has its default; names that are no fields are left alone.

    Raises TypeError, ValueError, AttributeError.
    """
    read = {
        name: convert(document[name])
        for name, convert in _converters(cast("Any", kind)).items()
        if name in document and name not in given
    }
    return kind(**read, **given)


@cache
def _converters(kind: Any) -> Mapping[str, Callable[[Any], Any]]:
    return {name: _converter(hint) for name, hint in get_type_hints(kind).items()}


def _converter(hint: Any) -> Callable[[Any], Any]:
    """The function that converts a document's value to that of a field with this annotation."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (_converter(each) for each in arguments if each is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin in {tuple, frozenset}:
        item = _converter(arguments[0])
        return lambda value: origin(map(item, _checked(list, value)))
    if hint is datetime:
        return parse_time
    if issubclass(hint, Enum):
        return partial(hint)
    return partial(from_document if is_dataclass(hint) else _checked, hint)


def _checked(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"no {kind.__name__}")
    return value

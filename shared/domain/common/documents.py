"""Dataclasses as plain JSON values and back, by their annotations.

This module is for stored documents whose names are those of the fields, or are declared with the
fields (`stored`). A renamed field needs a reader for the old name (`tests/schemas` keeps rows of
every release).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from shared.domain.common.canonical import format_time, parse_time


@dataclass(frozen=True, slots=True)
class _Stored:
    name: str
    form: Any
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Any] | None
    inline: bool


def stored(
    name: str = "",
    *,
    form: Any = None,
    read: Callable[[Any], Any] | None = None,
    write: Callable[[Any], Any] | None = None,
    inline: bool = False,
) -> Mapping[str, Any]:
    """The metadata of a field that a document keeps in another way: under `name`, its value as
    `write` returns it. `read` gets the document's value, of type `form` (by default the type of the
    field). The fields of an `inline` dataclass are those of the document itself, before all others.
    Neither function is called with None.
    """
    return {"stored": _Stored(name, form, read, write, inline)}


_AS_IT_IS = _Stored("", None, None, None, inline=False)


@cache
def _stored_fields(kind: Any) -> Sequence[tuple[Field[Any], _Stored]]:
    """The fields of a dataclass, inline ones first, and how a document keeps each."""
    encoded = [(each, each.metadata.get("stored", _AS_IT_IS)) for each in fields(kind)]
    return sorted(encoded, key=lambda each: not each[1].inline)


def to_document(value: Any, *, exclude: Collection[str] = ()) -> dict[str, Any]:
    """A dataclass as an object without the fields in `exclude`; tuples are lists, sets sorted
    lists, times text."""
    document: dict[str, Any] = {}
    kind: Any = type(value)
    for each, how in _stored_fields(kind):
        if each.name in exclude:
            continue
        item = getattr(value, each.name)
        if how.inline:
            document |= to_document(item)
        elif how.write is not None and item is not None:
            document[how.name or each.name] = how.write(item)
        else:
            document[how.name or each.name] = _plain(item)
    return document


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
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
    return to_document(value) if is_dataclass(value) else value


def from_document[Fact](kind: type[Fact], document: Mapping[str, Any], **given: Any) -> Fact:
    """The dataclass that `to_document` wrote, with the fields in `given` added to the document's. A
    field that the document lacks has its default; names that are no fields are left alone.

    Raises TypeError, ValueError, AttributeError.
    """
    return kind(**_read(kind, document, given), **given)


def _read(kind: Any, document: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """The fields that a document has."""
    _checked(Mapping, document)
    return {
        name: convert(document if key is None else document[key])
        for name, (key, convert) in _converters(kind).items()
        if name not in given and (key is None or key in document)
    }


@cache
def _converters(kind: Any) -> Mapping[str, tuple[str | None, Callable[[Any], Any]]]:
    """By field: its name in a document, None if its own fields are there; and the function that
    converts the document's value."""
    hints = get_type_hints(kind)
    return {
        each.name: (
            None if how.inline else how.name or each.name,
            _converter(hints[each.name], how, each.default),
        )
        for each, how in _stored_fields(kind)
    }


def _converter(hint: Any, how: _Stored = _AS_IT_IS, default: Any = None) -> Callable[[Any], Any]:
    """The function that converts a document's value to that of a field with this annotation. A
    dataclass that the document has in part has the other values of the field's default."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (_converter(each, how, default) for each in arguments if each is not NoneType)
        return lambda value: None if value is None else inner(value)
    if read := how.read:
        convert = _converter(how.form or hint)
        return lambda value: read(convert(value))
    if origin in {tuple, frozenset}:
        item = _converter(arguments[0])
        return lambda value: origin(map(item, _checked(list, value)))
    if origin is Mapping:
        item = _converter(arguments[1])
        return lambda value: {name: item(each) for name, each in _checked(dict, value).items()}
    if hint is datetime:
        return parse_time
    if issubclass(hint, Enum):
        return partial(hint)
    if isinstance(default, hint) and is_dataclass(hint):
        return lambda value: replace(default, **_read(hint, value))
    return partial(from_document if is_dataclass(hint) else _checked, hint)


def _checked(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"no {kind.__name__}")
    return value

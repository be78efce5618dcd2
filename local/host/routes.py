"""Route templates as Azure's host reads them: `v1/things/{id}/{part?}`, `{id:int}`, `{*rest}`.

A request path is split before it is decoded, so an encoded slash stays inside its segment.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(
    r"\{(?P<star>\*{0,2})(?P<name>\w+)(?::(?P<constraint>\w+))?(?P<optional>\??)\}"
)
_CONSTRAINTS = {
    "int": r"-?\d{1,10}",
    "long": r"-?\d{1,19}",
    "alpha": r"[A-Za-z]+",
    "bool": r"(?i:true|false)",
    "guid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
_LITERAL, _CONSTRAINED, _FREE, _REST = range(4)  # the order in which segments of two templates win


class RouteError(Exception):
    """A route template that this host does not know how to serve."""


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    text: str  # a literal in lower case, or the name of the parameter
    pattern: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Route[Target]:
    """A template with the methods that it takes (none: all) and what it leads to."""

    segments: tuple[_Segment, ...]
    methods: frozenset[str]
    target: Target

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The decoded route values for the raw segments of a path, or None if they don't fit."""
        values: dict[str, str] = {}
        for index, segment in enumerate(self.segments):
            if segment.kind == _REST:
                values[segment.text] = "/".join(decode_segment(raw) for raw in segments[index:])
                return values
            if index == len(segments):
                return values if segment.optional else None
            text = decode_segment(segments[index])
            if segment.kind == _LITERAL:
                if text.lower() != segment.text:
                    return None
            elif not text or (
                segment.pattern and not re.fullmatch(segment.pattern, text, re.ASCII)
            ):
                return None
            else:
                values[segment.text] = text
        return values if len(segments) == len(self.segments) else None


class RouteTable[Target]:
    """All routes of an app; the more literal template wins, as in ASP.NET."""

    def __init__(self, routes: Iterable[tuple[str, Iterable[str], Target]]) -> None:
        parsed = [
            Route(_parse(path), frozenset(m.upper() for m in methods), to)
            for path, methods, to in routes
        ]
        self._routes = sorted(
            parsed, key=lambda route: [segment.kind for segment in route.segments]
        )

    def find(self, method: str, raw_path: str) -> tuple[Target, Mapping[str, str]] | None:
        """The target and the route values for a path as it came over the wire, or None:

        Azure answers 404 then, for a method that no function takes as well.
        """
        segments = raw_path.removeprefix("/").removesuffix("/").split("/")
        for route in self._routes:
            if not route.methods or method in route.methods:
                values = route.match(segments)
                if values is not None:
                    return route.target, values
        return None


def decode_segment(raw: str) -> str:
    """Percent-decode one segment; what is no UTF-8 stays as it came."""
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return raw


def _parse(template: str) -> tuple[_Segment, ...]:
    return tuple(_parse_segment(text) for text in template.strip("/").split("/"))


def _parse_segment(text: str) -> _Segment:
    if "{" not in text:
        return _Segment(_LITERAL, text.lower())
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise RouteError(f"the route segment {text!r} is not supported")
    if match["star"]:
        return _Segment(_REST, match["name"])
    constraint = match["constraint"]
    if constraint and constraint not in _CONSTRAINTS:
        raise RouteError(f"the route constraint {constraint!r} is not supported")
    return _Segment(
        _CONSTRAINED if constraint else _FREE,
        match["name"],
        _CONSTRAINTS[constraint] if constraint else "",
        bool(match["optional"]),
    )

"""Route templates of literals and parameters: `v1/things/{id}`.

A last segment `{*rest}` takes all that is left, `{name:maxlength(0)?}` is an empty one: the root. A
request path is split before it is decoded, so an encoded slash stays inside its segment.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from local.host.settings import SettingError


@dataclass(frozen=True, slots=True)
class _Segment:
    is_parameter: bool
    text: str  # the name of the parameter, or a literal in lower case
    takes_rest: bool = False


@dataclass(frozen=True, slots=True)
class _Route[Target]:
    segments: tuple[_Segment, ...]
    methods: frozenset[str]  # none: all
    target: Target


class RouteTable[Target]:
    """All routes of an app; of two that fit the more literal one wins, as in ASP.NET."""

    def __init__(self, routes: Iterable[tuple[str, Iterable[str], Target]]) -> None:
        """`routes`: template, methods, target. Raises SettingError for another template."""
        parsed = [
            _Route(_parse(template), frozenset(method.upper() for method in methods), target)
            for template, methods, target in routes
        ]
        self._routes = sorted(
            parsed, key=lambda r: [s.is_parameter + s.takes_rest for s in r.segments]
        )

    def find(self, method: str, raw_path: str) -> tuple[Target, Mapping[str, str]] | None:
        """The target and the decoded route values for a path as it came over the wire.

        None if no template fits, or none takes the method: Azure answers 404 either way.
        """
        texts = [_decode(raw) for raw in raw_path.removeprefix("/").removesuffix("/").split("/")]
        for route in self._routes:
            if not route.methods or method in route.methods:
                values = _match(route.segments, texts)
                if values is not None:
                    return route.target, values
        return None


def _match(segments: tuple[_Segment, ...], texts: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    if segments[-1].takes_rest and len(texts) >= len(segments) - 1:
        values[segments[-1].text] = "/".join(texts[len(segments) - 1 :])
        segments, texts = segments[:-1], texts[: len(segments) - 1]
    if len(segments) != len(texts):
        return None
    for segment, text in zip(segments, texts, strict=True):
        if segment.is_parameter and text:
            values[segment.text] = text
        elif text.lower() != segment.text or segment.is_parameter:
            return None
    return values


def _decode(raw: str) -> str:
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return raw  # no UTF-8: stays as it came


def _parse(template: str) -> tuple[_Segment, ...]:
    return tuple(_parse_segment(text) for text in template.strip("/").split("/"))


def _parse_segment(text: str) -> _Segment:
    if "{" not in text:
        return _Segment(is_parameter=False, text=text.lower())
    if re.fullmatch(r"\{\w+:maxlength\(0\)\?\}", text, re.ASCII):
        return _Segment(is_parameter=False, text="")
    match = re.fullmatch(r"\{(\*?)(\w+)\}", text, re.ASCII)
    if match is None:
        raise SettingError(f"the route segment {text!r} is not supported by this host")
    return _Segment(is_parameter=True, text=match[2], takes_rest=bool(match[1]))

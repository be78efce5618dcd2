"""Declaration of an HTTP route: parsing, refusals and the OpenAPI document derive from it."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.contracts.common.queries import Query
from shared.domain.common import limits
from shared.domain.directory.access import Role

if TYPE_CHECKING:
    from pydantic import BaseModel

JSON_MEDIA_TYPE = "application/json"
CSV_MEDIA_TYPE = "text/csv"
FORM_MEDIA_TYPE = "multipart/form-data"
ANY_MEDIA_TYPE = "*/*"
MERGE_PATCH = ("application/merge-patch+json", JSON_MEDIA_TYPE)
"""The media types of a PATCH."""
# curl's default for `-d` is accepted as JSON.
_PLAIN_JSON = frozenset({"", JSON_MEDIA_TYPE, "application/x-www-form-urlencoded"})
_STRUCTURED_JSON = re.compile(r"application/(?!json-patch)[a-z0-9.-]+\+json", re.ASCII)


@dataclass(frozen=True)
class Body:
    """The body of a route.

    `reference` names its pydantic model as `module:class` in shared/contracts. The model is loaded
    when it is first used: a process starts without it. A body of JSON only is parsed before the
    handler runs; a handler reads other media types itself. An optional body counts as `{}` where it
    is left out.
    """

    reference: str
    media_types: tuple[str, ...] = (JSON_MEDIA_TYPE,)
    is_optional: bool = False
    bytes_max: int = limits.BODY_BYTES_MAX

    @property
    def is_parsed(self) -> bool:
        """True if the model is what the handler receives."""
        return self.media_types == (JSON_MEDIA_TYPE,)

    def takes(self, media_type: str) -> bool:
        """True if a body of this type is read; a merge patch is no JSON of another format."""
        if self.media_types == MERGE_PATCH:
            return media_type in _PLAIN_JSON or media_type in MERGE_PATCH
        if JSON_MEDIA_TYPE in self.media_types and is_json(media_type):
            return True
        return media_type in self.media_types or ANY_MEDIA_TYPE in self.media_types

    @cached_property
    def model(self) -> "type[BaseModel]":
        """The pydantic model."""
        module, _, name = self.reference.partition(":")
        model: type[BaseModel] = getattr(
            importlib.import_module(f"shared.contracts.{module}"), name
        )
        return model


def is_json(media_type: str) -> bool:
    """True if JSON is sent with this Content-Type."""
    return media_type in _PLAIN_JSON or _STRUCTURED_JSON.fullmatch(media_type) is not None


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP function.

    `roles` is None for a route that does not authenticate administrators, empty for one that only
    role `admin` may use. `about` is the docstring of the handler. `queries` are the query
    parameters, None if any is taken. `all_accounts`: refused to principals of some accounts
    only. `if_match` and `idempotency_key`: the request headers that are read.
    """

    name: str
    method: str
    path: str
    roles: frozenset[Role] | None = None
    about: str = ""
    queries: tuple[Query, ...] | None = ()
    body: Body | None = None
    all_accounts: bool = False
    if_match: bool = False
    idempotency_key: bool = False

    @property
    def body_bytes_max(self) -> int:
        """Size limit of a request's body, also where the route declares none."""
        return self.body.bytes_max if self.body else limits.BODY_BYTES_MAX


def declare(
    method: str,
    path: str,
    roles: frozenset[Role] | None,
    queries: Sequence[Query] | None,
    body: Body | str | None,
    **flags: bool,
) -> Route:
    """A route. A PUT or PATCH reads If-Match; a text as body is the reference of a model, which a
    PATCH reads as a merge patch."""
    if isinstance(body, str):
        body = Body(body, MERGE_PATCH if method == "PATCH" else (JSON_MEDIA_TYPE,))
    flags = {"if_match": method in {"PUT", "PATCH"}, **flags}
    taken = None if queries is None else tuple(queries)
    return Route("", method, path, roles, "", taken, body, **flags)

"""What is known of an HTTP route without asking its handler."""

from dataclasses import dataclass

from shared.contracts.common.queries import Query
from shared.domain.directory.access import Role


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP function: `about` is what its docstring says; `roles` is None where the handler
    checks itself who calls, and empty where only administrators may; `queries` are its query
    parameters, None where it takes any."""

    name: str
    method: str
    path: str
    roles: frozenset[Role] | None
    about: str
    body_bytes_max: int
    queries: tuple[Query, ...] | None

"""What is known of an HTTP route without asking its handler."""

from dataclasses import dataclass

from shared.domain.access import Role


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP function: `about` is what its docstring says; `roles` is None where the handler
    checks itself who calls, and empty where only administrators may."""

    name: str
    method: str
    path: str
    roles: frozenset[Role] | None
    about: str
    body_bytes_max: int

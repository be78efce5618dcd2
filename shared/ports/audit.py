"""The audit log: each change of a setting with actor, time, and the setting before and after."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Actor:
    """The principal that acts, and its request."""

    name: str
    request_id: str | None = None


NOBODY = Actor("perminute")
ACTING: ContextVar[Actor] = ContextVar("acting", default=NOBODY)
"""The actor of the present task: the edge sets it once the caller is authenticated. Without a
request, the actor is `perminute`."""


class Action(StrEnum):
    """The kind of a setting's change."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    STOPPED = "stopped"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one setting for display, without secrets.

    `account` is None for a setting that all accounts share; `before` is None for a new setting,
    `after` for a deleted one.
    """

    action: Action
    kind: str
    key: str
    account: str | None
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A logged change."""

    at: datetime
    actor: str
    request_id: str | None
    change: Change


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """`accounts` None: every change, with those of shared settings. From `since` on, before
    `until`."""

    accounts: Sequence[str] | None
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    kind: str | None = None


class AuditLog(Protocol):
    """Reads the log. The stores of settings write a change in the transaction of the setting, so a
    use case that writes through them has nothing to add."""

    async def page(
        self, filters: ChangeFilter, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[LoggedChange], str | None]:
        """Changes, the newest first, and the cursor of the next page. A page may be short.

        Raises Invalid `cursor_invalid`, StoreUnavailable.
        """
        ...

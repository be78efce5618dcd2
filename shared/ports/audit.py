"""The audit log: who changed which setting when, before and after."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and in which request."""

    name: str
    request_id: str | None = None


NOBODY = Actor("perminute")
ACTING: ContextVar[Actor] = ContextVar("acting", default=NOBODY)
"""Who acts in the present task: the edge sets it once the caller is known. What no request causes
is done by `perminute`."""


class Action(StrEnum):
    """What happened to a setting."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    STOPPED = "stopped"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one setting as people see it, without secrets.

    `account` is None for what all accounts share; `before` is None for what is new, `after` for
    what is gone.
    """

    action: Action
    kind: str
    key: str
    account: str | None
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change as it was logged."""

    at: datetime
    actor: str
    request_id: str | None
    change: Change


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """`accounts` None: every change, those of what all accounts share too. From `since` on, before
    `until`."""

    accounts: Sequence[str] | None
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    kind: str | None = None


class AuditLog(Protocol):
    """Reads the log. What writes a setting writes its change in the same transaction: the stores of
    settings do so by themselves, so a use case that writes through them has nothing to add."""

    async def page(
        self, wanted: ChangeFilter, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[LoggedChange], str | None]:
        """Changes, the newest first, and the cursor of the next page. A page may be short.

        Raises Invalid `cursor_invalid`, StoreUnavailable.
        """
        ...

"""A partition for the group committer: ledger and hold book implement it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, Self

from shared.domain.common.errors import PerminuteError
from shared.ports.tables import Operation, Replace

NOT_YET = "not yet known"  # the ETag of a state whose transaction is on its way


@dataclass(frozen=True, slots=True)
class LoadedPartition[State]:
    """A partition's state after a read or a commit; `etag` is None where no row is yet."""

    state: State
    etag: str | None


@dataclass(frozen=True, slots=True)
class StateChange[State, Result]:
    """A command that changes the state: what its caller gets, and the book's own decision."""

    state: State
    result: Result
    decision: object


@dataclass(frozen=True, slots=True)
class NoChange[Result]:
    """A command that changes nothing: its result, or the error that refuses it."""

    result: Result | PerminuteError


class Partition[State, Command, Result](Protocol):
    """A kind of partition for the committer."""

    table: str

    @property
    def commands_max(self) -> int:
        """The commands of one transaction."""
        ...

    async def load(self, partition: str) -> LoadedPartition[State]:
        """The stored state."""
        ...

    async def view(
        self, partition: str, loaded: LoadedPartition[State], commands: Sequence[Command]
    ) -> LoadedPartition[State]:
        """The state that decisions about the commands are made on (the hold book catches up)."""
        ...

    def guards(self, command: Command) -> tuple[str, ...]:
        """The keys of the rows that make the command happen once, if it has any."""
        ...

    def decide(
        self, partition: str, state: State, command: Command, now: datetime
    ) -> StateChange[State, Result] | NoChange[Result]:
        """The decision about one command."""
        ...

    def render(
        self,
        partition: str,
        before: LoadedPartition[State],
        steps: Sequence[StateChange[State, Result]],
        commit_id: str,
        now: datetime,
    ) -> tuple[State, list[Operation]]:
        """The state to keep and the whole transaction; its first operation writes the state."""
        ...

    async def prepare(
        self, partition: str, steps: Sequence[StateChange[State, Result]], now: datetime
    ) -> None:
        """The rows to write before the commit (due marks)."""
        ...

    async def recorded(self, partition: str, command: Command) -> Result | PerminuteError | None:
        """The first result of a command one of whose guards is there already, or None."""
        ...

    async def is_committed(self, partition: str, after: State, commit_id: str) -> bool:
        """True if the commit with this id is in the table."""
        ...


@dataclass(slots=True)
class PendingCommand[Command, Result]:
    """A command that waits for its group, and the future of its result."""

    command: Command
    guards: tuple[str, ...]
    future: asyncio.Future[Result]

    def resolve(self, result: Result | PerminuteError) -> None:
        """Resolve the command's future, unless its caller was canceled."""
        if self.future.done():
            return
        if isinstance(result, PerminuteError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


@dataclass(slots=True)
class CommitGroup[State, Command, Result]:
    """The result of commands on the state `before`: a step for each waiter whose command changes
    it.

    `answers` are for those whose commands change nothing more, once the steps are durable.
    """

    before: LoadedPartition[State]
    waiters: list[PendingCommand[Command, Result]] = field(default_factory=list)
    steps: list[StateChange[State, Result]] = field(default_factory=list)
    answers: list[tuple[PendingCommand[Command, Result], Result | PerminuteError]] = field(
        default_factory=list
    )


@dataclass(slots=True)
class Plan[State, Command, Result]:
    """A transaction that is ready to be sent, once the state that its group builds on is in the
    table."""

    group: CommitGroup[State, Command, Result]
    commit_id: str
    after: State
    operations: list[Operation]

    def on(self, now: LoadedPartition[State] | None) -> Self | None:
        """The plan with the ETag of the state that it builds on; None if that is not the state
        now."""
        if now is None or now.state is not self.group.before.state or now.etag is None:
            return None
        first = self.operations[0]
        if not isinstance(first, Replace):
            return None
        self.operations[0] = replace(first, etag=now.etag)
        return self

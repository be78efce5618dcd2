"""A closed day of an account: its accumulated commits, and the root over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.domain.proof.commits import GENESIS, PublicCommit
from shared.domain.proof.merkle import tree_root
from shared.domain.proof.rates import RateName, rate_names, rates_root
from shared.domain.proof.roots import DayRoot, SignedRoot


@dataclass(frozen=True, slots=True)
class ProvenDay:
    """A signed root with the leaves of its trees: the public hashes of its commits as bytes, and
    the rates that they name."""

    signed: SignedRoot
    leaves: tuple[bytes, ...]
    rates: tuple[Mapping[str, Any], ...]


class DayTree:
    """The commits after a root, added one by one."""

    def __init__(self, account: str, previous: SignedRoot | None) -> None:
        self.account = account
        self.previous = previous
        root = previous.root if previous else None
        self.after = root.last if root else 0
        self.base = self.head = root.head if root else GENESIS
        self.opening_micros = self.closing_micros = root.closing_micros if root else 0
        self.first_entry = root.last_entry + 1 if root else 1
        self.last_entry = self.first_entry - 1
        self.leaves: list[bytes] = []
        self.names: set[RateName] = set()

    @property
    def last(self) -> int:
        """The number of the last commit."""
        return self.after + len(self.leaves)

    def add(self, commit: PublicCommit) -> None:
        """The next commit, whose `previous` is `head`."""
        self.head = commit.public_hash()
        self.leaves.append(bytes.fromhex(self.head))
        self.closing_micros = commit.balance_micros
        self.last_entry += len(commit.entries)
        self.names |= rate_names(commit.entries)

    def take(self, hashes: Sequence[str], closing_micros: int, last_entry: int) -> None:
        """The next commits, of which the public hashes are known, and what the last one led to;
        their rates are not."""
        self.leaves += [bytes.fromhex(each) for each in hashes]
        self.head = hashes[-1]
        self.closing_micros = closing_micros
        self.last_entry = last_entry

    def root(
        self,
        rates: Iterable[Mapping[str, Any]],
        *,
        currency: str,
        time_zone: str,
        day: str,
        until: datetime,
        signed_at: datetime,
        key: str,
        is_interim: bool = False,
    ) -> DayRoot:
        """The root over the commits so far, and over these rates."""
        return DayRoot(
            account=self.account,
            currency=currency,
            time_zone=time_zone,
            day=day,
            until=until.astimezone(UTC),
            after=self.after,
            commits=len(self.leaves),
            base=self.base,
            head=self.head,
            first_entry=self.first_entry,
            last_entry=self.last_entry,
            opening_micros=self.opening_micros,
            closing_micros=self.closing_micros,
            tree=tree_root(self.leaves).hex(),
            rates=rates_root(rates),
            previous=self.previous.digest if self.previous else GENESIS,
            signed_at=signed_at,
            key=key,
            is_interim=is_interim,
        )


def follows(before: DayRoot, before_digest: str, after: DayRoot) -> bool:
    """True if a root continues the one before it."""
    return (
        after.previous == before_digest
        and after.after == before.last
        and after.base == before.head
        and after.first_entry == before.last_entry + 1
        and after.opening_micros == before.closing_micros
        and after.account == before.account
    )

"""The answered phone legs of a span, each with its cost net of corrections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.common.kinds import LegKind
from shared.domain.ledger.model import Entry
from shared.domain.ledger.stored_charge import ChargeRecord
from shared.ports.ledger import Ledger, LegRecord
from shared.usecases.charging.past_legs import AnsweredSpan
from shared.usecases.charging.rerate_legs import RerateLegs


@dataclass(frozen=True, slots=True)
class AnsweredLeg:
    """A leg's present record, and the entry that reversed it, if there is one."""

    record: LegRecord
    reversal: Entry | None

    @property
    def charge(self) -> Mapping[str, object]:
        """The present charge."""
        return self.record.charge

    @property
    def net_micros(self) -> int:
        """The present amount; 0 once it is reversed."""
        return 0 if self.reversal else ChargeRecord(self.record.charge).amount_micros


@dataclass(frozen=True, slots=True)
class AnsweredLegs:
    """Reads answered legs, except `voip` legs, which no carrier knows."""

    rerate_legs: RerateLegs
    ledger: Ledger

    async def __call__(
        self, account: str, span: AnsweredSpan, *, limit: int
    ) -> tuple[Sequence[AnsweredLeg], bool]:
        """(the legs in the order of the journal, whether these are all). Raises
        StoreUnavailable."""
        debits, is_complete = await self.rerate_legs.records(account, span, limit=limit)
        present = [each[-1] for each in debits if _is_phone_call(each[-1].charge)]
        numbers = [record.entry.sequence for record in present]
        reversals = await self.ledger.reversals_of(account, numbers)
        return [
            AnsweredLeg(record, reversals.get(record.entry.sequence)) for record in present
        ], is_complete


def _is_phone_call(charge: Mapping[str, object]) -> bool:
    record = ChargeRecord(charge)
    return bool(record.times[1]) and record.kind is not LegKind.VOIP

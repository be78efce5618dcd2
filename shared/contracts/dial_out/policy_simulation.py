"""Simulation of a dial-out policy: request and result."""

from pydantic import Field

from shared.contracts.common.fields import AdminBody
from shared.contracts.common.validation import TimeText
from shared.contracts.dial_out.policy import DialOutPolicyBody
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.dial_out.policy_simulation import Verdict, WhatIf
from shared.domain.legs.leg import encode_leg_key


class WhatIfBody(AdminBody):
    """`POST …/dial-out-policy/what-if`: a policy, and the legs debited from `from` until `to`."""

    policy: DialOutPolicyBody
    since: TimeText | None = Field(default=None, alias="from")
    until: TimeText | None = Field(default=None, alias="to")


def what_if_body(result: WhatIf) -> dict[str, object]:
    """Denied dial-outs and saved amounts; the first denied calls one by one."""
    return {
        "legs": result.legs,
        "denied": len(result.denied),
        "saved": format_amount(result.saved_micros),
        "by_reason": {
            reason: {"legs": legs, "saved": format_amount(micros)}
            for reason, (legs, micros) in result.by_reason().items()
        },
        "unknown": result.unknown,
        "more": result.more,
        "items": [_item(verdict) for verdict in result.denied[: limits.WHAT_IF_ITEMS_MAX]],
    }


def _item(verdict: Verdict) -> dict[str, object]:
    call, denial = verdict.call, verdict.denial
    assert denial is not None
    return {
        "leg": encode_leg_key(call.leg),
        "entry": call.entry,
        "at": format_time(call.dialled_at),
        "reason": denial.reason.value,
        "message": denial.message,
        "amount": format_amount(call.amount_micros),
    }

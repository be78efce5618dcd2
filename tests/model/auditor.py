"""The auditor: compares the answers to callers with what a reader sees, and names what is wrong.

`audit(history, final)` answers a list of sentences; an empty one is a clean ledger. Each begins
with its rule: `A1 contoso: …`. It shares no code with the product.

`history` is a list of dicts, in any order:

| field | what |
| --- | --- |
| `op` | one of the operations below; others are left alone |
| `account` | the account's id; "" or left out where the operation has none |
| `request` | below |
| `outcome` | `ok` (2xx), `fail` (refused: it happened 0 times), `info` (unknown: 0 or 1 times) |
| `result` | the answer's JSON body if `ok`, else None |
| `began` | when the request was sent; left out: `at` |
| `at` | when the answer came, or the caller gave up; RFC 3339, or an aware datetime |

| `op` | `request` | `result` |
| --- | --- | --- |
| `put_rate_card` | `{"card", "effective_from", "version": PUT body}` | - |
| `put_account` | the PUT body | - |
| `put_organizer` | `{"organizer", "body"}` | - |
| `top_up`, `adjust` | `{"key", "body"}` | `{"entry": {"sequence", …}, "balance"}` |
| `reverse` | `{"leg", "body"}`, `leg` as it is shown: `local~9f2c-1` | `{"entry": {…}, …}` |
| `move` | `{"leg"}`, account = the one that it leaves | - |
| `call_ended` | `{"bridge", "leg": one leg, dialect perminute}`; one record a leg | `{"status"}` |
| `replay` | `{"parked": id, "leg"?: corrected, "bridge"?}` | - |
| `dial_out`, `dial_in` | `{"bridge", "key", "body"}` | the allow or deny |
| `extend` | `{"bridge", "authorization", "seconds"}` | like an allow; `held` is the hold's total |
| `release` | `{"bridge", "authorization"}` | - |
| `recharge_result` | `{"recharge", "body"}` | - |

An array that was posted at once is one `call_ended` per leg. Set-up that was not done through the
API (seeded cards, accounts) belongs into the history all the same.

`final` is `{account: view}`, read when all is quiet; the key "" may carry the parked legs that
have no account. A view:

| field | what |
| --- | --- |
| `account` | body of `GET …/accounts/{account}`, with `lots` |
| `entries` | all of `GET …/entries`; what opens, expires or refills a lot (late legs) names it |
| `legs` | `{leg: body of GET …/legs/{leg}}`, all that were sent; a 404 is left out |
| `parked` | all items of `GET /api/v1/parked-legs` for this account |
| `events` | CloudEvents in the order of publication, repetitions included; optional |
| `verify` | body of `GET …/verify`; optional |
| `at` | when the account was read; optional (without it held is not compared with the holds) |
| `spend` | `[{"organizer", "day", "amount"}]`; optional |
| `limits` | `{"concurrent", "hourly"}` where they are not the defaults; optional |

What the public API does not show is left to `verify`: the hash chain, the rows themselves.
Not judged: rates with time bands, pools, alerts by days left, the prices that holds are for when
an organizer has a subscription.
"""

from datetime import timedelta

from tests.model.audit_answers import a8_answers, a9_same_answer
from tests.model.audit_case import Case, Json
from tests.model.audit_events import a10_events, a12_recharges
from tests.model.audit_holds import a2_held, a7_grants, a13_counters
from tests.model.audit_ledger import (
    a1_balance,
    a5_sequences,
    a6_lots,
    a11_alerts,
    a15_bank,
    a16_verify,
)
from tests.model.audit_legs import a3_once, a4_conserved, a14_charges

RULES = (
    a1_balance, a2_held, a3_once, a4_conserved, a5_sequences, a6_lots, a7_grants, a8_answers,
    a9_same_answer, a10_events, a11_alerts, a12_recharges, a13_counters, a14_charges, a15_bank,
    a16_verify,
)  # fmt: skip


def audit(history: list[Json], final: dict[str, Json], skew_seconds: float = 0) -> list[str]:
    """All that is wrong, one sentence each. `skew_seconds`: how far clocks may be apart."""
    case = Case(history, final, timedelta(seconds=skew_seconds))
    return [problem for rule in RULES for problem in rule(case)]

"""Failures of commands: two lines for people, and the exit code."""

from dataclasses import dataclass, field
from typing import Any

ANSWER_IS_NO = 1
USAGE = 2
PLACES_SHOWN = 10
DECIDED = frozenset({400, 404, 409, 412, 413, 415, 422, 428})
"""Statuses that prove that a request, or an earlier one under its key, changed nothing."""


@dataclass(eq=False)
class Failure(Exception):
    """A command failed: `what` happened and what `to_do` are one sentence each."""

    what: str
    to_do: str
    exit_code: int = ANSWER_IS_NO
    request_id: str | None = None
    places: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The shown lines: the error, its places if there are several, and the remedy."""
        request = f" Request {self.request_id}." if self.request_id else ""
        shown = [f"  {each}" for each in self.places[:PLACES_SHOWN]]
        if more := len(self.places) - len(shown):
            shown.append(f"  and {more:,} more")
        return f"Error: {self.what}", *shown, f"To do: {self.to_do}{request}"


@dataclass(eq=False)
class NoAnswer(Failure):
    """A request was sent, and whether it was carried out is not known."""


@dataclass(eq=False)
class Problem(Failure):
    """A problem document of the API (RFC 9457)."""

    status: int = 0
    code: str = ""
    document: dict[str, Any] = field(default_factory=dict)


ADVICE = {
    "not_authenticated": "Run `perminute login` with a valid key; an expired one is replaced.",
    "role_missing": "Use a key that holds the role, or request it from an administrator.",
    "account_not_allowed": "Use a key that is for this account; `perminute accounts` lists yours.",
    "account_unknown": "Check --account; `perminute accounts` lists those that you may see.",
    "leg_unknown": (
        "Check the id with `perminute legs`; a leg that just ended may be queued, and "
        "`perminute parked list` has those that could not be charged."
    ),
    "bridge_unknown": "Check the name; `perminute bridges` lists the bridges.",
    "rate_card_unknown": "Check the name; `perminute cards` lists the rate cards.",
    "parked_leg_unknown": "Check the id with `perminute parked list`.",
    "idempotency_key_reused": "Leave --idempotency-key out, or repeat the request sent under it.",
    "overdraft_not_allowed": "Send a smaller amount, or add --allow-overdraft.",
    "rate_missing": "Add a rate for it: `perminute cards put` or `perminute cards import`.",
    "result_too_large": "Request a shorter span with --since and --until.",
    "query_invalid": "Correct the option that is named.",
    "rate_limited": "Wait a moment, then repeat the command; a shorter span needs less work.",
    "unavailable": "Repeat the command: it is safe, nothing is done twice.",
    "contended": "Repeat the command: it is safe, nothing is done twice.",
    "etag_mismatch": "The object was changed meanwhile: run the command again to see its state.",
    "if_match_missing": "The object exists: choose another name, or change the object.",
    "day_open": "Wait until the day is closed, or add --interim.",
    "parked_leg_dismissed": "No action is needed: a dismissed leg is not replayed.",
    "parked_leg_replayed": "No action is needed: the leg is charged.",
    "leg_needed": "Correct it with `perminute parked fix ID --set FIELD=VALUE`.",
    "version_frozen": "Put a version with a later time.",
    "effective_from_too_soon": "Choose a time at least five minutes ahead, or add --backdate.",
    "path_unknown": "Check the URL; the server may be older than this command line.",
}
_BY_STATUS = {
    400: "Correct the request.",
    401: ADVICE["not_authenticated"],
    403: "Use a key that may do this, or request it from an administrator.",
    404: "Check the name or id.",
    405: "Check the URL; the server may be older than this command line.",
    409: "Read the present state, then decide again.",
    412: ADVICE["etag_mismatch"],
    413: "Send it in smaller parts.",
    415: "Check the type of the file.",
    422: "Correct the value that is named.",
    428: ADVICE["if_match_missing"],
    429: ADVICE["rate_limited"],
    503: ADVICE["unavailable"],
}


def advice(code: str, status: int) -> str:
    """The advice about a problem."""
    return ADVICE.get(code) or _BY_STATUS.get(
        status, "Report it to the operator of the server, with the request id."
    )

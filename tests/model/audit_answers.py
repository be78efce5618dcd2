"""A8 acked is there, unknown at most once, refused never; A9 same key, same answer."""

from collections.abc import Iterator
from typing import Any

from tests.model.audit_case import Case, Json, ended, entries_of, money


def a8_answers(case: Case) -> Iterator[str]:
    """Every answer that a caller got is true of the final state, and nothing else happened."""
    for name, view in case.accounts():
        entries = {int(entry["sequence"]): entry for entry in entries_of(view)}
        claimed: dict[int, str] = {}
        for op in case.ops("top_up", "adjust", account=name):
            key = f"{op['op']} {op['request']['key']}"
            number = int(op["result"]["entry"]["sequence"])
            if claimed.setdefault(number, key) != key:
                yield f"A8 {name}: entry {number} answers both {claimed[number]} and {key}"
            if not _is_entry_of(op, entries.get(number)):
                yield f"A8 {name}: {key} was confirmed as entry {number}, which is not there"
        for op in case.ops("reverse", account=name):
            number = int(op["result"]["entry"]["sequence"])
            entry = entries.get(number, {})
            if (entry.get("kind"), entry.get("leg")) != ("reversal", op["request"]["leg"]):
                yield f"A8 {name}: the reversal of {op['request']['leg']} is not entry {number}"
        rest = [entry for number, entry in entries.items() if number not in claimed]
        yield from _unasked(case, name, rest)
        yield from _settings(case, name, view)


def _kind(op: Json) -> str:
    if op["op"] == "adjust":
        return "adjustment"
    return "grant" if op["request"]["body"].get("kind") == "granted" else "top_up"


def _is_entry_of(op: Json, entry: Json | None) -> bool:
    if entry is None or entry["kind"] != _kind(op):
        return False
    is_same = money(entry["amount"]) == money(op["request"]["body"]["amount"])
    return is_same and money(entry["balance"]) == money(op["result"]["balance"])


def _unasked(case: Case, name: str, entries: list[Json]) -> Iterator[str]:
    """Entries that no confirmed command explains: each needs an unknown one, or a recharge."""
    confirmed = {
        (op["op"], op["request"]["key"]) for op in case.ops("top_up", "adjust", account=name)
    }
    # A key may have been tried with two bodies.
    open_requests: dict[tuple[str, str], list[Json]] = {}
    for op in case.ops("top_up", "adjust", account=name, unknown=True):
        if (op["op"], op["request"]["key"]) not in confirmed:
            open_requests.setdefault((op["op"], op["request"]["key"]), []).append(op)
    paid = {
        op["request"]["recharge"]: op
        for op in case.ops("recharge_result", account=name, unknown=True)
        if op["request"]["body"]["status"] == "succeeded"
    }
    taken_back = {
        op["request"]["leg"] for op in case.ops("reverse", "move", account=name, unknown=True)
    }
    for entry in entries:
        if entry["kind"] in {"top_up", "grant", "adjustment"}:
            amount = money(entry["amount"])
            recharge = _first(paid, lambda op, e=entry, a=amount: _pays(op, e, a))
            key_of_request = _first(
                open_requests,
                lambda ops, e=entry, a=amount: any(
                    _kind(op) == e["kind"] and money(op["request"]["body"]["amount"]) == a
                    for op in ops
                ),
            )
            if recharge is not None:
                del paid[recharge]
            elif key_of_request is not None:
                del open_requests[key_of_request]
            else:
                yield f"A8 {name}: no one requested entry {entry['sequence']} ({entry['kind']})"
        elif entry["kind"] == "reversal" and entry.get("leg", "late") not in {*taken_back, "late"}:
            yield f"A8 {name}: no one requested the reversal of {entry.get('leg')}"
    for recharge, op in paid.items():
        if op["outcome"] == "ok" and "parked" not in (op.get("result") or {}):
            yield f"A8 {name}: recharge {recharge} was paid and is not in the ledger"


def _pays(op: Json, entry: Json, amount: Any) -> bool:
    is_named = entry.get("reference") in {
        None,
        op["request"]["recharge"],
        op["request"]["body"].get("reference"),
    }
    return (
        entry["kind"] == "top_up" and is_named and money(op["request"]["body"]["amount"]) == amount
    )


def _first(requests: dict[Any, Json], fits: Any) -> Any:
    return next((key for key, op in requests.items() if fits(op)), None)


def _settings(case: Case, name: str, view: Json) -> Iterator[str]:
    puts = case.ops("put_account", account=name, unknown=True)
    if not puts or any(op["outcome"] == "info" for op in puts):
        return
    last = max(puts, key=ended)["request"]
    if money(view["account"].get("credit_limit", "0")) != money(last.get("credit_limit", "0")):
        yield f"A8 {name}: the credit limit is not the one that was put last"


def a9_same_answer(case: Case) -> Iterator[str]:
    """The same key with the same body has one answer; with another body it is refused."""
    first: dict[tuple[Any, ...], Json] = {}
    for op in case.ops("top_up", "adjust", "dial_out", "dial_in", "reverse"):
        request = op["request"]
        name = request.get("key") or request.get("leg")
        scope = request.get("bridge") or op.get("account")
        other = first.setdefault((op["op"], scope, name), op)
        if other is op:
            continue
        if other["request"].get("body") != request.get("body") and op["op"] != "reverse":
            yield f"A9 {scope}: {op['op']} {name} was accepted with two bodies"
        elif other["result"] != op["result"]:
            yield f"A9 {scope}: {op['op']} {name} was answered in two ways"

"""The auditor finds nothing in what is right, and names what is wrong.

One hand-made morning of two accounts is right; every other test spoils one thing in it.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.model.auditor import audit

type Json = dict[str, Any]

DAY = "2026-01-05T"
LEG1, LEG2 = "local~leg-1", "local~leg-2"


def op(name: str, account: str, at: str, request: Json, result: Json | None, **more: str) -> Json:
    one = {"op": name, "account": account, "request": request, "outcome": "ok", "result": result}
    return one | {"at": DAY + at} | more


def leg(leg_id: str, talk_seconds: int, **more: Any) -> Json:
    return {
        "leg_id": leg_id, "conference_id": "3001", "kind": "dial_out", "from": "+33170000000",
        "to": "+442079460000", "started_at": DAY + "09:05:00Z", "answered_at": DAY + "09:05:10Z",
        "ended_at": DAY + "09:08:13Z", "talk_seconds": talk_seconds, "account": "contoso",
        "organizer_id": "ken@contoso.example",
    } | more  # fmt: skip


def allow(authorization: str, expires_at: str) -> Json:
    return {
        "decision": "allow", "authorization": authorization, "granted_seconds": 900,
        "final": False, "expires_at": DAY + expires_at, "held": "0.23",
    }  # fmt: skip


def entry(sequence: int, kind: str, amount: str, balance: str, at: str, **names: str) -> Json:
    one = {"sequence": sequence, "kind": kind, "amount": amount, "balance": balance}
    return one | {"at": DAY + at} | names


def event(account: str, number: str, kind: str, at: str, **data: str) -> Json:
    return {
        "specversion": "1.0", "id": f"{account}:{number}", "source": f"/accounts/{account}",
        "type": kind, "time": DAY + at, "data": data,
    }  # fmt: skip


CARD = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        {
            "kind": "dial_out", "prefix": "44", "connection_fee": "0.05",
            "slots": [{"from_second": 0, "price": "0.012", "unit_seconds": 60,
                       "increment_seconds": 60}],
        },
        {
            "kind": "dial_out", "prefix": "4", "connection_fee": "0",
            "slots": [{"from_second": 0, "price": "9", "unit_seconds": 60,
                       "increment_seconds": 60}],
        },
    ],
}  # fmt: skip
SETTINGS = {
    "currency": "USD",
    "credit_limit": "5",
    "alerts": [{"name": "low", "below": "20.00"}],
    "auto_recharge": {"trigger": "20.00", "amount": "50.00", "max_per_day": 2},
}
DIAL = {"to": "+442079460000", "conference_id": "3001", "requested_seconds": 900}


def a_morning() -> tuple[list[Json], dict[str, Json]]:
    """A history and its final state, both right."""
    card = {"card": "default", "effective_from": "2026-01-01T00:00:00Z", "version": CARD}
    charged = {"bridge": "local", "leg": leg("leg-1", 183, authorization="au_1")}
    unanswered = leg("leg-2", 0, answered_at=None)
    e1 = entry(1, "top_up", "30.00", "30.00", "09:01:00Z", lot="L1")
    e3 = entry(3, "adjustment", "-15.00", "14.902", "09:13:00Z")
    e5 = entry(5, "reversal", "0.098", "65.00", "09:15:00Z", leg=LEG1)
    topped = {"key": "k1", "body": {"amount": "30.00"}}
    history = [
        op("put_rate_card", "", "08:00:00Z", card, None),
        op("put_account", "contoso", "09:00:00Z", SETTINGS, {}),
        op("top_up", "contoso", "09:01:00Z", topped, {"entry": e1, "balance": "30.00"}),
        op("top_up", "contoso", "09:01:30Z", topped, {"entry": e1, "balance": "30.00"}),
        op(
            "dial_out", "contoso", "09:02:00Z",
            {"bridge": "local", "key": "d1", "body": DIAL}, allow("au_1", "09:34:00Z"),
        ),
        op("call_ended", "", "09:10:00Z", charged, {"leg": LEG1, "status": "queued"}),
        op("call_ended", "", "09:11:00Z", charged, {"leg": LEG1, "status": "queued"}),
        op(
            "call_ended", "", "09:12:00Z", {"bridge": "local", "leg": leg("leg-1", 200)},
            {"leg": LEG1, "status": "queued"},
        ),
        op(
            "adjust", "contoso", "09:13:00Z",
            {"key": "a1", "body": {"amount": "-15.00", "reason": "test"}},
            {"entry": e3, "balance": "14.902"},
        ),
        op(
            "recharge_result", "contoso", "09:14:00Z",
            {"recharge": "r1", "body": {"status": "succeeded", "amount": "50.00"}}, {},
        ),
        op(
            "reverse", "contoso", "09:15:00Z", {"leg": LEG1, "body": {"reason": "test"}},
            {"entry": e5},
        ),
        op("top_up", "contoso", "09:16:00Z", {"key": "k2", "body": {"amount": "7.00"}}, None,
           outcome="info"),
        op("top_up", "contoso", "09:16:00Z", {"key": "k3", "body": {"amount": "8.00"}}, None,
           outcome="info"),
        op("top_up", "contoso", "09:16:00Z", {"key": "k4", "body": {"amount": "9.00"}}, None,
           outcome="fail"),
        op(
            "dial_out", "contoso", "09:17:00Z",
            {"bridge": "local", "key": "d2", "body": DIAL}, allow("au_2", "09:49:00Z"),
        ),
        op(
            "dial_out", "contoso", "09:17:30Z",
            {"bridge": "local", "key": "d3", "body": DIAL},
            {"decision": "deny", "reason": "number_blocked"},
        ),
        op("call_ended", "", "09:18:00Z", {"bridge": "local", "leg": unanswered},
           {"leg": LEG2, "status": "queued"}),
        op("put_account", "fabrikam", "09:00:00Z", {"currency": "EUR"}, {}),
        op(
            "top_up", "fabrikam", "09:01:00Z",
            {"key": "k1", "body": {"amount": "10.00", "kind": "granted",
                                   "expires_at": DAY + "09:05:00Z"}},
            {"entry": entry(1, "grant", "10.00", "10.00", "09:01:00Z", lot="G1"),
             "balance": "10.00"},
        ),
    ]  # fmt: skip
    return history, {"contoso": contoso(e1, e3, e5, unanswered), "fabrikam": fabrikam()}


def contoso(e1: Json, e3: Json, e5: Json, unanswered: Json) -> Json:
    """What contoso's administrator sees at 09:20."""
    year = "2027-01-05T"
    lots = [
        {"id": "L1", "kind": "purchased", "amount": "30.00", "remaining": "15.00",
         "purchased_at": DAY + "09:01:00Z", "expires_at": year + "09:01:00Z"},
        {"id": "L2", "kind": "purchased", "amount": "50.00", "remaining": "50.00",
         "purchased_at": DAY + "09:14:00Z", "expires_at": year + "09:14:00Z"},
        {"id": "L3", "kind": "purchased", "amount": "7.00", "remaining": "7.00",
         "purchased_at": DAY + "09:16:00Z", "expires_at": year + "09:16:00Z"},
    ]  # fmt: skip
    charge = leg("leg-1", 183) | {
        "leg": LEG1, "status": "charged", "organizer": "ken@contoso.example",
        "billed_seconds": 240, "amount": "0.098", "currency": "USD",
        "rate": {"card": "default", "version": "2026-01-01T00:00:00Z", "prefix": "44"},
        "lines": [{"kind": "connection_fee", "amount": "0.05"},
                  {"kind": "usage", "seconds": 240, "amount": "0.048"}],
        "rounding": {"mode": "half_up", "decimals": 4, "unrounded": "0.098"},
        "funded_by": [{"lot": "L1", "amount": "0.098"}],
        "balance_before": "30.00", "balance_after": "29.902", "entry": 2, "flags": [],
    }  # fmt: skip
    free = unanswered | {
        "leg": LEG2, "status": "zero", "zero_reason": "unanswered", "amount": "0.00",
        "billed_seconds": 0, "balance_before": "72.00", "balance_after": "72.00", "entry": 7,
        "flags": [],
    }  # fmt: skip
    return {
        "at": DAY + "09:20:00Z",
        "account": {"currency": "USD", "credit_limit": "5", "balance": "72.00", "held": "0.23",
                    "available": "76.77", "lots": lots},
        "entries": [
            e1,
            entry(2, "debit", "-0.098", "29.902", "09:10:01Z", leg=LEG1),
            e3,
            entry(4, "top_up", "50.00", "64.902", "09:14:00Z", lot="L2", reference="r1"),
            e5,
            entry(6, "top_up", "7.00", "72.00", "09:16:00Z", lot="L3"),
            entry(7, "debit", "0.00", "72.00", "09:18:01Z", leg=LEG2),
        ],
        "legs": {LEG1: charge, LEG2: free},
        "parked": [{"id": "p1", "leg": LEG1, "reason": "conflict", "status": "open"}],
        "events": [
            event("contoso", "1:1", "credits.topped_up", "09:01:00Z", balance="30.00"),
            event("contoso", "3:1", "credits.low", "09:13:00Z", name="low", balance="14.902"),
            event("contoso", "3:2", "recharge.requested", "09:13:00Z", recharge="r1",
                  amount="50.00", currency="USD"),
            event("contoso", "3:1", "credits.low", "09:13:00Z", name="low", balance="14.902"),
            event("contoso", "4:1", "credits.topped_up", "09:14:00Z", balance="64.902"),
            event("contoso", "4:2", "recharge.succeeded", "09:14:00Z", recharge="r1"),
            event("contoso", "6:1", "credits.topped_up", "09:16:00Z", balance="72.00"),
        ],
        "verify": {"ok": True, "commits": 7, "entries": 7, "legs": 2, "balance": "72.00",
                   "head": "ab12", "problems": []},
        "spend": [{"organizer": "ken@contoso.example", "day": "2026-01-05", "amount": "0.098"}],
    }  # fmt: skip


def fabrikam() -> Json:
    """An account whose only lot was granted and has expired."""
    return {
        "at": DAY + "09:20:00Z",
        "account": {"currency": "EUR", "balance": "0.00", "held": "0.00", "available": "0.00",
                    "lots": []},
        "entries": [
            entry(1, "grant", "10.00", "10.00", "09:01:00Z", lot="G1"),
            entry(2, "expiry", "-10.00", "0.00", "09:05:00Z", lot="G1"),
        ],
        "legs": {},
        "parked": [],
        "verify": {"ok": True, "entries": 2, "legs": 0, "balance": "0.00", "head": "cd34",
                   "problems": []},
    }  # fmt: skip


def test_what_is_right_has_no_problems() -> None:
    assert audit(*a_morning()) == []


def found(spoil: Callable[[list[Json], dict[str, Json]], object]) -> set[str]:
    """The rules that complain once the morning is spoilt."""
    history, final = copy.deepcopy(a_morning())
    spoil(history, final)
    return {problem.split()[0].rstrip(":") for problem in audit(history, final)}


def named(history: list[Json], name: str, number: int = 0) -> Json:
    return [one for one in history if one["op"] == name][number]


def put(target: Json, **values: Any) -> None:
    target.update(values)


def copy_leg_to_fabrikam(_: list[Json], final: dict[str, Json]) -> None:
    view = final["fabrikam"]
    view["entries"].append(entry(3, "debit", "0.00", "0.00", "09:18:02Z", leg=LEG2))
    view["legs"][LEG2] = final["contoso"]["legs"][LEG2]
    del final["contoso"]["verify"]


def debit_a_twin(history: list[Json], final: dict[str, Json]) -> None:
    body = final["contoso"]["legs"][LEG1]
    body["authorization"] = "au_1"
    final["contoso"]["legs"]["local~twin"] = dict(body)


def debit_twice(_: list[Json], final: dict[str, Json]) -> None:
    view = final["contoso"]
    view["entries"].append(entry(8, "debit", "-0.098", "71.902", "09:18:02Z", leg=LEG1))


def swap_lots(_: list[Json], final: dict[str, Json]) -> None:
    lots = final["contoso"]["account"]["lots"]
    put(lots[0], remaining="22.00")
    put(lots[2], remaining="0.00")


def forget_leg_two(_: list[Json], final: dict[str, Json]) -> None:
    view = final["contoso"]
    del view["entries"][6], view["legs"][LEG2], view["verify"]


def second_recharge(history: list[Json], final: dict[str, Json]) -> None:
    more = event("contoso", "3:3", "recharge.requested", "09:13:01Z", recharge="r2",
                 amount="50.00")  # fmt: skip
    final["contoso"]["events"].insert(3, more)


def lowered_ceiling(history: list[Json], final: dict[str, Json]) -> None:
    named(history, "put_account")["request"]["auto_recharge"]["max_per_day"] = 0


def third_hold(history: list[Json], final: dict[str, Json]) -> None:
    """A hold for more than the balance and the limit, properly priced."""
    dial = named(history, "dial_out", 1)
    big = {"granted_seconds": 60 * 6420, "held": "77.09"}
    put(dial, result=dial["result"] | big)
    put(final["contoso"]["account"], held="77.09", available="-0.09")


def hundred_more_holds(history: list[Json], final: dict[str, Json]) -> None:
    dial = named(history, "dial_out", 1)
    for number in range(100):
        request = dial["request"] | {"key": f"many-{number}"}
        result = dial["result"] | {"authorization": f"many-{number}"}
        history.append(dial | {"request": request, "result": result})
    put(final["contoso"]["account"], held="23.23", available="53.77")


def oscillating_alert(history: list[Json], final: dict[str, Json]) -> None:
    again = event("contoso", "6:2", "credits.low", "09:16:00Z", name="low", balance="72.00")
    final["contoso"]["events"].append(again)


SPOILT: list[tuple[str, str, Callable[[list[Json], dict[str, Json]], object]]] = [
    ("A1", "running balance", lambda h, f: put(f["contoso"]["entries"][3], balance="64.90")),
    ("A1", "balance", lambda h, f: put(f["contoso"]["account"], balance="72.01")),
    ("A2", "available", lambda h, f: put(f["contoso"]["account"], available="71.77")),
    ("A2", "a hold forgotten",
     lambda h, f: put(f["contoso"]["account"], held="0.00", available="77.00")),
    ("A2", "a settled hold kept",
     lambda h, f: put(f["contoso"]["account"], held="0.46", available="76.54")),
    ("A3", "two accounts", copy_leg_to_fabrikam),
    ("A3", "twice in one account", debit_twice),
    ("A3", "two legs of one call", debit_a_twin),
    ("A3", "taken back twice",
     lambda h, f: f["contoso"]["entries"].append(
         entry(8, "reversal", "0.098", "72.098", "09:19:00Z", leg=LEG1))),
    ("A4", "a leg lost", forget_leg_two),
    ("A4", "a conflict lost", lambda h, f: f["contoso"]["parked"].clear()),
    ("A4", "parked twice",
     lambda h, f: f["contoso"]["parked"].extend(
         {"id": f"p{n}", "leg": LEG1, "reason": "conflict"} for n in (2, 3))),
    ("A4", "never sent",
     lambda h, f: [put(one, outcome="fail") for one in h if one["op"] == "call_ended"]),
    ("A4", "other facts", lambda h, f: put(f["contoso"]["legs"][LEG1], talk_seconds=184)),
    ("A4", "another account named",
     lambda h, f: named(h, "call_ended", 3)["request"]["leg"].update(account="fabrikam")),
    ("A4", "free for no reason", lambda h, f: put(f["contoso"]["legs"][LEG2], zero_reason=None)),
    ("A5", "gap", lambda h, f: put(f["contoso"]["entries"][6], sequence=8)),
    ("A5", "time goes back",
     lambda h, f: put(f["contoso"]["entries"][6], at=DAY + "09:10:00Z")),
    ("A5", "entry of another leg", lambda h, f: put(f["contoso"]["legs"][LEG2], entry=2)),
    ("A5", "amounts differ", lambda h, f: put(f["contoso"]["legs"][LEG1], amount="0.099")),
    ("A5", "balance before", lambda h, f: put(f["contoso"]["legs"][LEG1], balance_before="31")),
    ("A5", "leg not to be read", lambda h, f: f["contoso"]["legs"].pop(LEG2)),
    ("A6", "not the oldest lot", swap_lots),
    ("A6", "funded by another lot",
     lambda h, f: f["contoso"]["legs"][LEG1]["funded_by"][0].update(lot="L2")),
    ("A6", "expires too late",
     lambda h, f: put(f["contoso"]["account"]["lots"][0], expires_at="2027-02-05T09:01:00Z")),
    ("A6", "expired too early",
     lambda h, f: put(f["fabrikam"]["entries"][1], at=DAY + "09:04:59Z")),
    ("A6", "never expired", lambda h, f: put(f["contoso"], at="2027-01-10T09:00:00Z")),
    ("A7", "more than there is", third_hold),
    ("A7", "does not cover its seconds",
     lambda h, f: [put(one["result"], granted_seconds=961)
                   for one in h if one["op"] == "dial_out" and "held" in one["result"]]),
    ("A7", "unmarked overrun", lambda h, f: put(named(h, "dial_out")["result"],
                                                granted_seconds=180, held="0.086")),
    ("A7", "overrun within the grant",
     lambda h, f: put(f["contoso"]["legs"][LEG1], flags=["overrun"])),
    ("A7", "late before the expiry", lambda h, f: put(f["contoso"]["legs"][LEG1], flags=["late"])),
    ("A7", "late and not marked",
     lambda h, f: put(named(h, "dial_out")["result"], expires_at=DAY + "09:09:00Z")),
    ("A8", "an acknowledged top-up lost",
     lambda h, f: h.append(op("top_up", "contoso", "09:19:00Z",
                              {"key": "k5", "body": {"amount": "4.00"}},
                              {"entry": {"sequence": 8}, "balance": "76.00"}))),
    ("A8", "a refused top-up booked",
     lambda h, f: [put(one, outcome="fail") for one in h if one["outcome"] == "info"]),
    ("A8", "two keys, one entry",
     lambda h, f: put(named(h, "top_up", 1),
                      request=named(h, "top_up")["request"] | {"key": "k7"})),
    ("A8", "reversed by nobody", lambda h, f: h.remove(named(h, "reverse"))),
    ("A8", "recharge not booked",
     lambda h, f: put(f["contoso"]["entries"][3], kind="grant")),
    ("A8", "settings lost", lambda h, f: put(f["contoso"]["account"], credit_limit="6")),
    ("A9", "two answers",
     lambda h, f: put(named(h, "top_up", 1)["result"], balance="60.00")),
    ("A9", "two bodies",
     lambda h, f: put(named(h, "top_up", 1), request={"key": "k1", "body": {"amount": "31"}})),
    ("A9", "two authorisations for one key",
     lambda h, f: put(named(h, "dial_out", 1)["request"], key="d1")),
    ("A10", "an event lost", lambda h, f: f["contoso"]["events"].pop()),
    ("A10", "out of order",
     lambda h, f: f["contoso"]["events"].insert(0, f["contoso"]["events"].pop())),
    ("A10", "two contents",
     lambda h, f: put(f["contoso"]["events"][3], data={"name": "low", "balance": "30.00"})),
    ("A10", "wrong id", lambda h, f: put(f["contoso"]["events"][0], id="fabrikam:1:1")),
    ("A10", "a balance that never was",
     lambda h, f: put(f["contoso"]["events"][6], data={"balance": "73.00"})),
    ("A11", "no alert",
     lambda h, f: [f["contoso"]["events"].remove(one)
                   for one in [*f["contoso"]["events"]] if one["type"] == "credits.low"]),
    ("A11", "one too many", oscillating_alert),
    ("A12", "two in flight", second_recharge),
    ("A12", "above the ceiling", lowered_ceiling),
    ("A12", "not below the trigger",
     lambda h, f: put(f["contoso"]["events"][2], time=DAY + "09:12:59Z")),
    ("A12", "nobody set it up",
     lambda h, f: named(h, "put_account")["request"].pop("auto_recharge")),
    ("A13", "spend counter", lambda h, f: put(f["contoso"]["spend"][0], amount="0.196")),
    ("A13", "too many at once", hundred_more_holds),
    ("A14", "other version",
     lambda h, f: h.append(named(h, "put_rate_card") | {"request": {
         "card": "default", "effective_from": "2026-01-02T00:00:00Z", "version": CARD}})),
    ("A14", "shorter prefix",
     lambda h, f: f["contoso"]["legs"][LEG1]["rate"].update(prefix="4")),
    ("A14", "price", lambda h, f: named(h, "put_rate_card")["request"].update(
        version=CARD | {"rates": [CARD["rates"][0] | {"connection_fee": "0.06"}]})),
    ("A14", "billed seconds", lambda h, f: put(f["contoso"]["legs"][LEG1], billed_seconds=183)),
    ("A14", "unrounded",
     lambda h, f: f["contoso"]["legs"][LEG1]["rounding"].update(unrounded="0.09801")),
    ("A14", "unanswered costs",
     lambda h, f: put(f["contoso"]["legs"][LEG2], amount="0.05")),
    ("A15", "balances do not add up", lambda h, f: put(f["fabrikam"]["account"], balance="0.01")),
    ("A15", "a debit that gives", lambda h, f: put(f["contoso"]["entries"][3], kind="debit")),
    ("A16", "verify complains", lambda h, f: f["contoso"]["verify"].update(ok=False)),
    ("A16", "verify counts", lambda h, f: f["contoso"]["verify"].update(entries=6)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "what", "spoil"), SPOILT, ids=[f"{r}-{w}" for r, w, _ in SPOILT])
def test_what_is_wrong_is_named_by_its_rule(
    rule: str, what: str, spoil: Callable[[list[Json], dict[str, Json]], object]
) -> None:
    assert rule in found(spoil)


def test_every_rule_has_a_spoilt_case() -> None:
    assert {rule for rule, _, _ in SPOILT} == {f"A{number}" for number in range(1, 17)}


def fewer(history: list[Json], final: dict[str, Json]) -> None:
    """The unknown top-up of 7.00 did not happen, and neither did the leg after it."""
    view = final["contoso"]
    del view["entries"][5:], view["account"]["lots"][2], view["legs"][LEG2], view["events"][6]
    del history[history.index(named(history, "call_ended", 3))]
    put(view["account"], balance="65.00", available="69.77")
    put(view["verify"], entries=5, balance="65.00")


def lost_answer(history: list[Json], final: dict[str, Json]) -> None:
    """The second authorisation's answer never came, though its hold is there."""
    put(named(history, "dial_out", 1), outcome="info", result=None)


def lost_answer_and_no_hold(history: list[Json], final: dict[str, Json]) -> None:
    lost_answer(history, final)
    put(final["contoso"]["account"], held="0.00", available="77.00")


def lost_end(history: list[Json], final: dict[str, Json]) -> None:
    """All answers to the charged content were lost; it is charged all the same."""
    for number in (0, 1):
        put(named(history, "call_ended", number), outcome="info", result=None)


def skewed(history: list[Json], final: dict[str, Json]) -> None:
    """The unanswered leg is parked as its account was unknown: it needs no entry."""
    view = final["contoso"]
    del view["entries"][6], view["legs"][LEG2]
    put(view["verify"], entries=6)
    final[""] = {"parked": [{"id": "p2", "leg": LEG2, "reason": "account_unknown"}]}


@pytest.mark.parametrize("change", [fewer, lost_answer, lost_answer_and_no_hold, lost_end, skewed])
def test_what_may_be_either_way_is_no_problem(
    change: Callable[[list[Json], dict[str, Json]], object],
) -> None:
    history, final = copy.deepcopy(a_morning())
    change(history, final)
    assert audit(history, final) == []


def test_concurrent_grants_are_judged_by_the_one_that_was_placed_last() -> None:
    """Two grants overlap and only one has the money: whichever was last, it was one too many."""
    history, final = copy.deepcopy(a_morning())
    dials = [named(history, "dial_out", 0), named(history, "dial_out", 1)]
    for number, dial in enumerate(dials):
        history.append(
            dial
            | {
                "request": dial["request"]
                | {"key": f"late-{number}", "body": DIAL | {"requested_seconds": 60 * 3200}},
                "result": allow(f"late-{number}", "09:51:00Z")
                | {"granted_seconds": 60 * 3200, "held": "38.45"},
                "began": DAY + "09:19:00Z",
                "at": DAY + f"09:19:0{number + 1}Z",
            }
        )
    put(final["contoso"]["account"], held="77.13", available="-0.13")
    assert [problem[:11] for problem in audit(history, final)] == ["A7 contoso:"]


def test_an_unconfirmed_entry_is_read_as_any_command_that_fits_it() -> None:
    """A purchase and a grant that expires, same amount, both unanswered; the grant has expired."""
    grant = {"amount": "5.00", "kind": "granted", "expires_at": DAY + "10:00:00Z"}
    history = [
        op("put_account", "contoso", "09:00:00Z", {"currency": "USD"}, {}),
        *(
            op("top_up", "contoso", at, {"key": key, "body": body}, None, outcome="info")
            for at, key, body in (
                ("09:01:00Z", "bought", {"amount": "5.00"}),
                ("09:02:00Z", "given", grant),
                ("09:03:00Z", "given too", grant | {"expires_at": None}),
            )
        ),
    ]
    entries = [
        entry(1, "top_up", "5.00", "5.00", "09:01:00Z", lot="L1"),
        entry(2, "grant", "5.00", "10.00", "09:03:30Z", lot="L2"),
        entry(3, "grant", "5.00", "15.00", "09:03:40Z", lot="L3"),
        entry(4, "expiry", "-5.00", "10.00", "22:00:00Z", lot="L3"),
    ]
    bought = {"id": "L1", "kind": "purchased", "amount": "5.00", "remaining": "5.00",
              "purchased_at": DAY + "09:01:00Z", "expires_at": "2027-01-05T09:01:00Z"}  # fmt: skip
    given = {"id": "L2", "kind": "granted", "amount": "5.00", "remaining": "5.00",
             "purchased_at": DAY + "09:03:30Z", "expires_at": None}  # fmt: skip
    account: Json = {
        "balance": "10.00",
        "held": "0.00",
        "available": "10.00",
        "lots": [bought, given],
    }
    view = {"account": account, "entries": entries, "legs": {}, "parked": []}
    assert audit(history, {"contoso": view}) == []
    entries[3] |= {"lot": "L1"}
    account["lots"] = [given]
    assert audit(history, {"contoso": view})

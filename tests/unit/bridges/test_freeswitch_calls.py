"""Records of FreeSWITCH over HTTP's way in: which number was dialled, who called, which record is a
leg, and what it does to its hold."""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.rate_and_debit import rate_and_debit
from tests.support.calls import Calls, rate
from tests.support.product import Product

SECRET = "a-secret-of-the-bridge-for-the-tests"
TOLL, TOLL_FREE = "+33199009900", "+18005550100"
LONDON, CALLER = "+442079460123", "+33170180042"
T = {"start_epoch": "1763892000", "answer_epoch": "1763892007"}
T |= {"end_epoch": "1763892190", "billsec": "183"}
RATES = [
    rate("44", "0.012", "0.05"),
    rate("33", "0.011", "0.05"),
    rate("33", "0.007", kind="dial_in"),
    rate("44", "0.008", kind="dial_in"),
    rate("1", "0.006", kind="dial_in"),
    rate("1800", "0.02", kind="dial_in"),
    rate("1800", "0.03", kind="dial_in", origin="FR"),
]


class Switch:
    """FreeSWITCH, and an account whose two numbers are registered."""

    def __init__(self, **settings: Any) -> None:
        self.app = Product()
        self.calls = Calls(self.app)
        version = {"currency": "USD", "time_zone": "UTC", "rates": RATES}
        version["rounding"] = {"mode": "half_up", "decimals": 4}
        self.calls.put("rate-cards/fs/versions/2020-01-01T00:00:00Z", version)
        answer = self.app.get("/api/v1/accounts/contoso")
        body = {"currency": "USD", "rate_card": "fs", "usage_location": "FR"}
        assert self.app.put("/api/v1/accounts/contoso", body, answer.etag).status == 200
        for number, kind in ((TOLL, "toll"), (TOLL_FREE, "toll_free")):
            path = f"accounts/contoso/service-numbers/{quote(number)}"
            self.calls.put(path, {"kind": kind})
        auth = {"scheme": "basic", "username": "fs1", "secrets": [SECRET]}
        bridge = {"dialect": "freeswitch", "accounts": ["*"], "default_account": "contoso"}
        self.calls.put("bridges/fs1", {**bridge, "auth": auth, **settings})

    def close(self) -> None:
        self.app.close()

    def send(self, path: str, body: Any, **headers: str) -> Any:
        login = base64.b64encode(f"fs1:{SECRET}".encode()).decode()
        fields = {"authorization": f"Basic {login}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        return self.app.post(f"/api/v1/bridges/fs1/{path}", body, key=None, headers=fields)

    def ended(self, record: Mapping[str, Any]) -> Any:
        """What is answered to a record; whatever was queued has been charged then."""
        answer = self.send("call-ended", record)
        assert answer.status == 202, answer.body
        queue = self.app.container.queue
        while batch := queue.take(100):
            messages = [
                SimpleNamespace(
                    get_body=lambda each=each: each.body,
                    application_properties=dict(each.properties),
                )
                for each in batch
            ]
            self.app.run(rate_and_debit(messages))
        self.app.run(self.app.container.holds.catch_up("contoso"))
        (leg,) = answer.json["legs"]
        return leg

    def charge(self, record: Mapping[str, Any]) -> Any:
        leg = self.ended(record)
        assert leg["status"] == "queued", leg
        answer = self.app.get(f"/api/v1/accounts/contoso/legs/{leg['leg']}")
        assert answer.status == 200, answer.body
        return answer.json

    def authorize(self, to: str = LONDON) -> str:
        question = {"to": to, "account": "contoso", "organizer_id": "ken"}
        answer = self.send("dial-outs", question, idempotency_key=f"k{next(KEYS)}")
        assert answer.json["decision"] == "allow", answer.body
        return str(answer.json["authorization"])

    def held(self) -> str:
        return str(self.calls.account()["held"])

    def parked(self) -> list[Any]:
        found: list[Any] = self.app.get("/api/v1/parked-legs").json["items"]
        return found

    def debits(self) -> list[str]:
        items = self.app.get("/api/v1/accounts/contoso/entries?kind=debit").json["items"]
        return [item["amount"] for item in items if item["amount"] != "0.00"]


KEYS = itertools.count()


@pytest.fixture
def switch() -> Iterator[Switch]:
    made = Switch()
    yield made
    made.close()


def profiles(*numbers: str | None, ani: str | None = CALLER) -> list[Any]:
    """Newest first, as FreeSWITCH lists them."""
    return [
        {"caller_profile": {"ani": ani, **({"destination_number": number} if number else {})}}
        for number in numbers
    ]


def record(direction: str | None, *numbers: str, ani: str | None = CALLER, **more: Any) -> Any:
    variables = {"uuid": f"u-{next(KEYS)}", **T, "conference_name": "3001", **more}
    return {
        "channel_data": {"direction": direction} if direction else {},
        "variables": {name: value for name, value in variables.items() if value is not None},
        "callflow": profiles(*numbers, ani=ani),
    }


DIALLED: dict[str, tuple[Any, str]] = {
    "outbound, sent on to a service number": (
        record("outbound", TOLL, LONDON, sip_to_user="%2B442079460123"), LONDON),
    "outbound, by the request URI": (
        record("outbound", TOLL, "3001", sip_req_user=LONDON), LONDON),
    "outbound, encoded twice": (
        record("outbound", TOLL, sip_to_user="%252B442079460123"), LONDON),
    "outbound, what the dial plan exports": (
        record("outbound", TOLL, perminute_to=LONDON, sip_to_user="991442079460123"), LONDON),
    "outbound, only profiles: the oldest": (record("outbound", TOLL, LONDON), LONDON),
    "outbound, an encoded profile": (record("outbound", "%2B442079460123"), LONDON),
    "outbound, a URI": (record("outbound", "3001", sip_to_user="sip:+442079460123@gw"), LONDON),
    "outbound, follow-me": (
        record("outbound", "+33170180099", "+33170180098", LONDON), LONDON),
    "inbound, transferred to a person": (record("inbound", LONDON, TOLL), TOLL),
    "inbound, the service number is in the middle": (
        record("inbound", "3001", TOLL, "+33170180099"), TOLL),
    "inbound, the service number is behind what the headers say": (
        record("inbound", "3001", TOLL, sip_to_user="+33170180099", sip_req_user="+331701"), TOLL),
    "inbound, several DIDs folded into one": (
        record("inbound", TOLL, "3001", sip_to_user=TOLL_FREE), TOLL_FREE),
    "inbound, the first of several DIDs lacks its plus": (
        record("inbound", TOLL, "3001", sip_to_user=TOLL_FREE[1:]), TOLL_FREE),
    "inbound, the first of several DIDs is a URI": (
        record("inbound", "3001", TOLL, sip_req_user=f"sip:{TOLL_FREE}@gw"), TOLL_FREE),
    "inbound, an exported DID without plus before a header": (
        record("inbound", TOLL, perminute_to=TOLL_FREE[1:], sip_to_user=TOLL), TOLL_FREE),
    "inbound, 00 and a service number": (record("inbound", "00" + TOLL[1:]), TOLL),
    "inbound, a URI without plus": (record("inbound", f"sip:{TOLL[1:]}@gw:5060"), TOLL),
    "inbound, digits without plus": (record("inbound", "3001", sip_to_user="33199009900"), TOLL),
    "inbound, no direction": (record(None, "3001", TOLL), TOLL),
    "inbound, a registered number before an exported one": (
        record("inbound", TOLL, perminute_to="+33170180099"), TOLL),
    "inbound, none registered: the header": (
        record("inbound", "+33170180097", "+33170180098", sip_to_user="+33170180099"),
        "+33170180099"),
    "inbound, none registered: the oldest": (
        record("inbound", "+33170180097", "+33170180098"), "+33170180098"),
    "inbound, none registered: exported": (
        record("inbound", "+33170180097", perminute_to="+33170180096"), "+33170180096"),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALLED)
def test_the_number_that_was_dialled_is_billed(switch: Switch, name: str) -> None:
    posted, number = DIALLED[name]
    charge = switch.charge(posted)
    assert charge["to"] == number
    assert charge["kind"] == ("dial_out" if name.startswith("outbound") else "dial_in")


def test_a_corrected_leg_is_still_billed_to_its_service_number(switch: Switch) -> None:
    posted = record("inbound", "3001", TOLL, sip_to_user="+33170180099", billsec="500")
    assert switch.ended(posted)["status"] == "queued"
    (parked,) = switch.parked()
    path = f"/api/v1/parked-legs/{parked['id']}/replay"
    replayed = switch.app.post(path, {"leg": {"talk_seconds": 183}})
    assert replayed.json["status"] == "replayed", replayed.body
    leg = switch.app.get(f"/api/v1/accounts/contoso/legs/{parked['leg']}").json
    assert (leg["to"], leg["to_received"]) == (TOLL, "+33170180099")


CALLERS = {
    "ani": {"ani": CALLER},
    "From where ani is withheld": {"ani": "anonymous", "sip_from_user": CALLER},
    "From, encoded": {"ani": "anonymous", "sip_from_user": "%2B33170180042"},
    "ani without plus": {"ani": "33170180042"},
    "ani as an extension, From without plus": {"ani": "1001", "sip_from_user": "33170180042"},
    "a sip URI": {"ani": "sip:+33170180042@10.0.0.1;user=phone"},
    "From as user and host": {"ani": "anonymous", "sip_from_uri": "+33170180042@10.0.0.1:5060"},
    "From as user and host, encoded, without plus": {
        "ani": "anonymous",
        "sip_from_uri": "33170180042%4010.0.0.1",
    },
    "the whole From header": {
        "ani": "anonymous",
        "sip_from_user": "anonymous",
        "sip_full_from": '"A" <sip:+33170180042@trunk.example>;tag=1',
    },
    "a tel URI": {"ani": "tel:+33-1-70-18-00-42"},
    "P-Asserted-Identity": {
        "ani": "anonymous",
        "sip_from_user": "anonymous",
        "sip_P-Asserted-Identity": '"A" <sip:%2B33170180042@trunk.example;user=phone>',
    },
    "P-Asserted-Identity with two identities": {
        "ani": "anonymous",
        "sip_P-Asserted-Identity": ["<sip:unknown@x>", "<tel:+33170180042>"],
    },
    "P-Asserted-Identity as an array of FreeSWITCH": {
        "ani": None,
        "sip_P-Asserted-Identity": "ARRAY::sip:unknown@x|:tel:+33170180042",
    },
}


@pytest.mark.parametrize("name", CALLERS)
def test_the_first_number_among_the_caller_fields_is_the_caller(switch: Switch, name: str) -> None:
    fields: Any = dict(CALLERS[name])
    posted = record("inbound", TOLL_FREE, ani=fields.pop("ani"), **fields)
    charge = switch.charge(posted)
    assert (charge["from"], charge["rate"]["origin"]) == (CALLER, "FR")


@pytest.mark.parametrize("text", ["0033170180042", "0170180042", "+33 1 70 18 00 42"])
def test_the_caller_is_read_as_it_is_dialled_in_the_country_of_the_bridge(text: str) -> None:
    switch = Switch(country="FR")
    try:
        charge = switch.charge(record("inbound", TOLL_FREE, ani=text))
        assert (charge["from"], charge["rate"]["origin"]) == (CALLER, "FR")
    finally:
        switch.close()


@pytest.mark.parametrize(
    "text", ["anonymous", "1001", "0000000000", None, "sip:anonymous@anonymous.invalid"]
)
def test_a_caller_who_names_no_number_is_unknown(switch: Switch, text: str | None) -> None:
    charge = switch.charge(record("inbound", TOLL_FREE, ani=text))
    assert charge["from"] is None
    assert "origin" not in charge["rate"]


def test_the_dialled_number_is_not_the_caller_of_a_dial_out(switch: Switch) -> None:
    posted = record("outbound", LONDON, ani="anonymous")
    posted["callflow"][0]["caller_profile"]["caller_id_number"] = LONDON
    assert switch.charge(posted)["from"] is None


LOOPBACKS: dict[str, Any] = {
    "is_loopback": {"is_loopback": "true"},
    "is_loopback 1": {"is_loopback": "1"},
    "loopback_leg": {"loopback_leg": "A"},
    "channel name": {"channel_name": "loopback/3001-a"},
    "channel name, encoded": {"channel_name": "loopback%2F3001-b"},
}


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize("name", LOOPBACKS)
def test_a_loopback_channel_is_no_phone_leg(switch: Switch, name: str, direction: str) -> None:
    authorization = switch.authorize()
    posted = record(direction, TOLL, perminute_authorization=authorization, **LOOPBACKS[name])
    leg = switch.ended(posted)
    assert (leg["status"], leg["reason"]) == (
        "ignored",
        "The record is a loopback channel, which is no phone leg.",
    )
    assert switch.held() == "0.23"
    assert switch.parked() == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_one_phone_call_of_several_channels_is_one_debit(order: Sequence[int]) -> None:
    switch = Switch()
    try:
        authorization = switch.authorize()
        named = {"perminute_authorization": authorization}
        channels = [
            record("outbound", LONDON, is_loopback="true", **named),
            record("inbound", LONDON, is_loopback="true", **named),
            record("inbound", LONDON, **named),
            record("outbound", LONDON, **named),
        ]
        statuses = [switch.ended(channels[index])["status"] for index in order]
        assert sorted(statuses) == ["ignored", "ignored", "queued", "queued"]
        assert switch.debits() == ["-0.098"]
        assert [item["reason"] for item in switch.parked()] == ["authorization_used"]
        assert switch.held() == "0.00"
    finally:
        switch.close()


def test_an_answered_caller_who_stayed_in_the_menu_is_charged(switch: Switch) -> None:
    charge = switch.charge(record("inbound", "5000", TOLL_FREE, conference_name=None))
    assert (charge["to"], charge["amount"]) == (TOLL_FREE, "0.12")
    assert charge["conference"] is None


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_an_answered_leg_with_an_account_is_charged_or_parked(
    switch: Switch, direction: str
) -> None:
    more = {"conference_name": None, "perminute_account": "contoso"}
    assert switch.charge(record(direction, "+33170180099", **more))["amount"] != "0.00"
    assert switch.ended(record(direction, "5000", **more))["status"] == "queued"
    assert [item["reason"] for item in switch.parked()] == ["number_invalid"]


@pytest.mark.parametrize(
    ("direction", "number", "more"),
    [
        ("inbound", "+33170180099", {}),
        ("outbound", "+33170180099", {}),
        ("inbound", TOLL_FREE, {"answer_epoch": "0", "billsec": "0"}),
    ],
)
def test_calls_that_are_none_of_ours_are_ignored_with_a_reason(
    switch: Switch, direction: str, number: str, more: dict[str, str]
) -> None:
    leg = switch.ended(record(direction, number, conference_name=None, **more))
    assert (leg["status"], leg["reason"]) == ("ignored", "The channel reached no conference.")


EARLY: dict[str, dict[str, Any]] = {
    "no end": {"end_epoch": "0", "duration": "-1763892000"},
    "end before start": {"end_epoch": "1763891999", "duration": "-1"},
    "negative end": {"end_epoch": "-1", "duration": "-1763892001"},
    "no start": {"start_epoch": "0", "end_epoch": "1763892001"},
    "no time at all": {"start_epoch": "0", "end_epoch": "0", "duration": "0"},
    "negative billsec": {"end_epoch": "0", "billsec": "-7"},
    "no end at all": {"end_epoch": None},
    "microseconds": {"end_epoch": "0", "end_uepoch": "0", "answer_uepoch": "0"},
}


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize(("cause", "left"), [("ORIGINATOR_CANCEL", "0.00"), (None, "0.00"),
                                             ("NORMAL_TEMPORARY_FAILURE", "0.23")])  # fmt: skip
def test_a_call_hung_up_before_it_rang_is_an_unanswered_leg(
    switch: Switch, name: str, cause: str | None, left: str
) -> None:
    authorization = switch.authorize()
    early = {"answer_epoch": "0", "billsec": "0", **EARLY[name], "conference_name": None}
    named = {"perminute_authorization": authorization, "hangup_cause": cause}
    charge = switch.charge(record("outbound", LONDON, **early, **named))
    assert (charge["status"], charge["zero_reason"]) == ("zero", "unanswered")
    assert switch.held() == left
    assert switch.parked() == []


def test_the_q850_number_counts_where_the_name_is_missing(switch: Switch) -> None:
    for cause, left in (("41", "0.23"), ("17", "0.00")):
        named = {"perminute_authorization": switch.authorize(), "hangup_cause_q850": cause}
        switch.ended(record("outbound", LONDON, answer_epoch="0", billsec="0", **named))
        assert switch.held() == left
        if left != "0.00":
            switch.ended(record("outbound", LONDON, **named))


TEXTS = st.sampled_from([LONDON, TOLL, TOLL_FREE, "+33170180099", "3001", "442079460123", "", "x"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["inbound", "outbound"]),
    st.lists(TEXTS, max_size=4),
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("sip_to_user", "sip_req_user", "perminute_to"), TEXTS)
    ),
)
def test_any_record_is_billed_to_the_first_candidate_in_the_documented_order(
    direction: str, numbers: list[str], variables: dict[str, str]
) -> None:
    from shared.adapters.bridges.freeswitch import parse
    from shared.domain.legs.bridge_payloads import BridgePayload

    posted = record(direction, *numbers, **variables)
    (leg,) = parse(BridgePayload("fs1", json.dumps(posted).encode()))
    order = [variables.get(name, "") for name in ("sip_to_user", "sip_req_user")]
    order += [number for number in reversed(numbers) if number]
    exported = variables.get("perminute_to", "")
    numeric = [text for text in order if text.startswith("+")]
    long = [text for text in order if text.isdecimal() and len(text) >= 7]
    expected = [*filter(None, [exported]), *numeric, *long, *filter(None, order)]
    assert leg.to_number == (expected[0] if expected else None)  # type: ignore[union-attr]

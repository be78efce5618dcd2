"""Organizers, conferences, service numbers and policies by HTTP."""

from datetime import timedelta

import pytest

from shared.domain.common.canonical import format_time
from shared.domain.directory.entities import claims_at
from tests.unit.administration.house import START, House

ROOM = "/api/v1/accounts/contoso/conferences/3001"
NUMBER = "/api/v1/accounts/contoso/service-numbers/+33170000000"
ORGANIZER = "/api/v1/accounts/contoso/organizers/ken%40contoso.com"
POLICY = "/api/v1/accounts/contoso/dial-out-policy"


@pytest.fixture(autouse=True)
def accounts(house: House) -> None:
    house.account("contoso")
    house.account("fabrikam")


def owner(house: House, seconds: float) -> str | None:
    """Whose room 3001 is, that long after the start."""
    return owners_at(house, seconds)[0] if owners_at(house, seconds) else None


def owners_at(house: House, seconds: float) -> list[str]:
    """Who claims room 3001, that long after the start."""
    found = house.run(house.container.facts.conference("3001", fresh=True))
    return [each.account for each in claims_at(found, START + timedelta(seconds=seconds))]


def test_a_first_registration_holds_for_all_time(house: House) -> None:
    house.put("/api/v1/accounts/contoso/organizers/ken", {})
    answer = house.put(ROOM, {"organizer": "ken"})

    assert (answer.status, answer.etag) == (201, '"1"')
    assert answer.json == {
        "conference": "3001",
        "account": "contoso",
        "organizer": "ken",
        "registrations": [{"organizer": "ken", "from": None, "until": None}],
        "etag": '"1"',
    }
    assert [owner(house, seconds) for seconds in (-1e8, 0, 1e8)] == ["contoso"] * 3
    assert house.get(ROOM).json == answer.json


def test_a_first_registration_holds_for_all_time_whatever_from_says(house: House) -> None:
    house.put(ROOM + "?from=2026-12-01T00:00:00Z", {"organizer": "ken"})

    assert owner(house, -1e8) == "contoso"


OTHER_ROOM = ROOM.replace("contoso", "fabrikam")


def test_another_account_takes_over_from_now_on(house: House) -> None:
    house.put(ROOM, {"organizer": "ken"})
    house.clock.advance(60)

    taken = house.put(f"{OTHER_ROOM}?take_over=true", {"organizer": "eve"})

    assert (taken.status, taken.etag) == (201, '"1"')
    assert [owners_at(house, seconds) for seconds in (-1, 59.999, 60, 1e8)] == [
        ["contoso"],
        ["contoso"],
        ["fabrikam"],
        ["fabrikam"],
    ]
    # Nobody sees what was, or is, another's.
    assert taken.json["registrations"] == [
        {"organizer": "eve", "from": "2026-11-23T10:01:00Z", "until": None}
    ]
    assert house.get(ROOM).code == "conference_unknown"


def test_a_take_over_can_be_repeated_and_taken_back(house: House) -> None:
    house.put(ROOM, {"organizer": "ken"})
    for seconds, target in ((60, OTHER_ROOM), (120, ROOM), (180, OTHER_ROOM)):
        house.clock.moment = START + timedelta(seconds=seconds)
        assert house.put(f"{target}?take_over=true", {"organizer": "eve"}).status == 201

    assert [owners_at(house, seconds) for seconds in (0, 60, 120, 180)] == [
        ["contoso"],
        ["fabrikam"],
        ["contoso"],
        ["fabrikam"],
    ]


@pytest.mark.parametrize(
    ("seconds", "owners"),
    [
        (-30, ["contoso", "fabrikam", "fabrikam"]),
        (0, ["contoso", "contoso", "fabrikam"]),
        (30, ["contoso", "contoso", "contoso"]),
    ],
)
def test_from_says_when_a_take_over_begins(house: House, seconds: int, owners: list[str]) -> None:
    house.put(ROOM, {"organizer": "ken"})
    since = format_time(START + timedelta(seconds=seconds))

    house.put(f"{OTHER_ROOM}?take_over=true&from={since}", {"organizer": "eve"})

    assert [owners_at(house, at) for at in (-31, -30, 0)] == [[each] for each in owners]
    assert owners_at(house, 30) == ["fabrikam"]


def test_each_account_registers_a_conference_for_itself(house: House) -> None:
    """Nothing in the answers says that another account has registered it, or has not."""
    operators = {
        account: house.api_key("operator", accounts=(account,))
        for account in ("contoso", "fabrikam")
    }
    first = house.put(ROOM, {"organizer": "ken"}, key=operators["contoso"])
    second = house.put(OTHER_ROOM, {"organizer": "ken"}, key=operators["fabrikam"])
    taken = house.put(
        f"{OTHER_ROOM}?take_over=true", {"organizer": "eve"}, '"1"', key=operators["fabrikam"]
    )

    assert (first.status, second.status, taken.status) == (201, 201, 200)
    assert second.json == {**first.json, "account": "fabrikam"}
    assert owners_at(house, 0) == ["contoso", "fabrikam"]
    assert house.get(ROOM).json["organizer"] == "ken"


def test_a_service_number_is_assigned_by_who_administers_all_accounts(house: House) -> None:
    key = house.api_key("operator", accounts=("contoso", "fabrikam"))
    other = NUMBER.replace("contoso", "fabrikam")

    for call in (lambda: house.put(NUMBER, {"kind": "toll"}, key=key),
                 lambda: house.delete(NUMBER, key=key)):  # fmt: skip
        assert (call().status, call().code) == (403, "account_not_allowed")
    assert house.put(NUMBER, {"kind": "toll"}, key=house.api_key("operator")).status == 201
    for call in (lambda: house.put(NUMBER, {"kind": "toll"}, key=key),
                 lambda: house.put(other, {"kind": "toll"}, key=key)):  # fmt: skip
        assert (call().status, call().code) == (403, "account_not_allowed")  # as before
    house.clock.advance(60)
    assert house.put(other, {"kind": "toll_free"}).status == 201
    assert house.get(NUMBER).status == 404


def test_what_was_registered_for_all_accounts_in_one_document_reads_on(house: House) -> None:
    """Documents of before: contoso had the room, then fabrikam, then contoso again."""
    times = [None, START + timedelta(seconds=60), START + timedelta(seconds=120)]
    history = [
        {"account": account, "since": format_time(since) if since else None,
         "organizer": organizer, "kind": None}
        for account, since, organizer in zip(
            ("contoso", "fabrikam", "contoso"), times, ("ken", "eve", "kim"), strict=True
        )
    ]  # fmt: skip
    records = house.container.records
    house.run(records.put("conference", "3001", {"registrations": history}, if_match=None))
    before = [owners_at(house, seconds) for seconds in (0, 60, 120)]

    house.clock.advance(200)
    shown = house.get(ROOM)
    assert (shown.json["organizer"], shown.etag) == ("kim", '"1"')
    assert house.put(ROOM, {"organizer": "lee"}).status == 428
    assert house.put(ROOM, {"organizer": "lee"}, shown.etag).status == 200
    house.clock.advance(100)
    assert house.delete(ROOM).status == 204

    assert before == [["contoso"], ["fabrikam"], ["contoso"]]
    assert [owners_at(house, seconds) for seconds in (0, 60, 120, 250, 300)] == [
        ["contoso"],
        ["fabrikam"],
        ["contoso"],
        ["contoso"],
        [],
    ]
    assert house.get(f"{ROOM}?history=true").json["registrations"][-1]["organizer"] == "lee"


def test_ones_own_registration_is_replaced_with_if_match(house: House) -> None:
    house.put(ROOM, {"organizer": "ken"})
    house.clock.advance(60)

    assert house.put(ROOM, {"organizer": "kim"}).status == 428
    changed = house.put(ROOM, {"organizer": "kim"}, '"1"')
    assert changed.status == 200
    assert changed.json["registrations"] == [
        {"organizer": "ken", "from": None, "until": "2026-11-23T10:01:00Z"},
        {"organizer": "kim", "from": "2026-11-23T10:01:00Z", "until": None},
    ]


def test_saying_the_same_again_registers_nothing_new(house: House) -> None:
    house.put(ROOM, {"organizer": "ken"})
    house.clock.advance(60)

    again = house.put(ROOM, {"organizer": "ken"}, '"1"')

    assert (again.status, len(again.json["registrations"])) == (200, 1)


def test_a_service_number_is_toll_or_toll_free(house: House) -> None:
    answer = house.put(NUMBER, {"kind": "toll_free"})

    assert answer.status == 201
    assert (answer.json["number"], answer.json["kind"]) == ("+33170000000", "toll_free")
    assert house.get(NUMBER.replace("+", "%2B")).json == answer.json


def test_foreign_ids_may_hold_anything_but_control_characters(house: House) -> None:
    for room in ("a%2Fb", "%C3%A9t%C3%A9", "%23%3F%25", "x" * 200, "a%20b", "..."):
        path = f"/api/v1/accounts/contoso/conferences/{room}"
        assert house.put(path, {"organizer": "ken"}).status == 201
        assert house.get(path).status == 200
    assert house.get("/api/v1/accounts/contoso/conferences/a%2Fb").json["conference"] == "a/b"


@pytest.mark.parametrize("room", ["%00", "a%0Ab", "%7F", "%C2%85", "x" * 201])
def test_foreign_ids_have_no_control_characters(house: House, room: str) -> None:
    for kind, body in (("conferences", {"organizer": "ken"}), ("organizers", {})):
        answer = house.put(f"/api/v1/accounts/contoso/{kind}/{room}", body)
        assert (answer.status, answer.code) == (422, "id_invalid")


@pytest.mark.parametrize(
    "number", ["33170000000", "+0170000000", "+1", "+1234567890123456", "+٣٣١٧٠٠٠٠"]
)
def test_service_numbers_are_e164(house: House, number: str) -> None:
    answer = house.put(f"/api/v1/accounts/contoso/service-numbers/{number}", {"kind": "toll"})

    assert (answer.status, answer.code) == (422, "number_invalid")


def test_an_organizer_has_defaults(house: House) -> None:
    created = house.put(ORGANIZER, {})

    assert (created.status, created.etag) == (201, '"1"')
    shown = house.get(ORGANIZER).json
    assert shown == created.json
    assert (shown["id"], shown["license"]) == ("ken@contoso.com", "pay_per_minute")
    assert (shown["toll_free_dial_in"], shown["policy"], shown["usage_location"]) == (
        True,
        None,
        None,
    )


def test_the_organizers_facts_are_what_was_put(house: House) -> None:
    house.put(
        ORGANIZER,
        {
            "usage_location": "FR",
            "license": "subscription",
            "policy": "DialoutCPCDomesticPSTNDisabled",
            "toll_free_dial_in": False,
            "cost_center": "4711",
        },
    )

    facts = house.run(house.container.facts.organizer("contoso", "ken@contoso.com"))

    assert (facts.usage_location, facts.license.value, facts.identity, facts.toll_free_dial_in) == (
        "FR",
        "subscription",
        "DialoutCPCDomesticPSTNDisabled",
        False,
    )
    assert house.run(house.container.facts.organizer("fabrikam", "ken@contoso.com")) is None


def test_the_policy_has_defaults_until_it_is_put(house: House) -> None:
    before = house.get(POLICY)
    assert before.status == 200
    assert "etag" not in before.headers

    created = house.put(POLICY, {"default_policy": "DialoutCPCandPSTNDomestic"})
    assert created.status == 201
    assert house.get(POLICY).json == {
        **before.json,
        "default_policy": "DialoutCPCandPSTNDomestic",
        "etag": '"1"',
    }
    policy = house.run(house.container.facts.dial_out_policy("contoso"))
    assert policy.default_identity == "DialoutCPCandPSTNDomestic"


@pytest.mark.parametrize("path", [ROOM, NUMBER, ORGANIZER, POLICY])
def test_an_account_that_is_not_there_has_no_directory(house: House, path: str) -> None:
    bodies = {ROOM: {"organizer": "ken"}, NUMBER: {"kind": "toll"}}
    missing = path.replace("contoso", "nobody")

    assert house.put(missing, bodies.get(path, {})).code == "account_unknown"
    assert house.get(missing).status == 404


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        (ROOM, {}, ["/organizer"]),
        (ROOM, {"organizer": ""}, ["/organizer"]),
        (ROOM, {"organizer": None}, ["/organizer"]),
        (ROOM, {"organizer": "x" * 201}, ["/organizer"]),
        (ROOM, {"organizer": "ken", "kind": "toll"}, ["/kind"]),
        (NUMBER, {"kind": "premium"}, ["/kind"]),
        (NUMBER, {"kind": True}, ["/kind"]),
        (ORGANIZER, {"policy": "DialoutCPCDomestic"}, ["/policy"]),
        (ORGANIZER, {"license": "free"}, ["/license"]),
        (ORGANIZER, {"toll_free_dial_in": "yes"}, ["/toll_free_dial_in"]),
        (ORGANIZER, {"usage_location": "fr"}, ["/usage_location"]),
        (POLICY, {"default_policy": ""}, ["/default_policy"]),
        (POLICY, {"blocked_regions": ["XX"]}, ["/blocked_regions/0"]),
    ],
)
def test_bad_fields_are_named(house: House, path: str, body: object, pointers: list[str]) -> None:
    answer = house.put(path, body)

    assert (answer.status, answer.pointers()) == (422, pointers)


@pytest.mark.parametrize(
    "since", ["now", "2026-11-32", "2026-11-23T10:00:00", "9999-12-31T00:00:00Z"]
)
def test_from_is_a_time(house: House, since: str) -> None:
    answer = house.put(f"{ROOM}?from={since}", {"organizer": "ken"})

    assert (answer.status, answer.code) == (422, "query_invalid")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORGANIZER, {"budgets": {"day": {"amount": "5"}}, "cost_center": "4711"}),
        (POLICY, {"velocity": {"concurrent": 3}}),
        (POLICY, {"cost_centers": {"4711": {}}, "suspended": True}),
    ],
)
def test_limits_are_kept_as_they_were_put(house: House, path: str, body: dict[str, object]) -> None:
    assert house.put(path, body).status == 201

    shown = house.get(path).json
    assert shown.keys() >= body.keys()


@pytest.mark.parametrize("path", [ORGANIZER, POLICY])
def test_what_is_shown_can_be_put_again(house: House, path: str) -> None:
    house.put(path, {})
    shown = {k: v for k, v in house.get(path).json.items() if k not in {"id", "etag"}}

    again = house.put(path, shown, '"1"')

    assert again.status == 200
    assert {**again.json, "etag": '"1"'} == house.put(path, shown, '"2"').json | {"etag": '"1"'}

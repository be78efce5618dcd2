"""Organizers, conferences, service numbers and policies by HTTP."""

from datetime import timedelta

import pytest

from shared.domain.common.canonical import format_time
from shared.domain.directory.entities import claims_at
from tests.support.product import START, Product

ROOM = "/api/v1/accounts/contoso/conferences/3001"
NUMBER = "/api/v1/accounts/contoso/service-numbers/+33170000000"
ORGANIZER = "/api/v1/accounts/contoso/organizers/ken%40contoso.com"
POLICY = "/api/v1/accounts/contoso/dial-out-policy"


@pytest.fixture(autouse=True)
def accounts(app: Product) -> None:
    app.account("contoso")
    app.account("fabrikam")


def owner(app: Product, seconds: float) -> str | None:
    """Whose room 3001 is, that long after the start."""
    return owners_at(app, seconds)[0] if owners_at(app, seconds) else None


def owners_at(app: Product, seconds: float) -> list[str]:
    """Who claims room 3001, that long after the start."""
    found = app.run(app.container.facts.conference("3001", fresh=True))
    return [each.account for each in claims_at(found, START + timedelta(seconds=seconds))]


def test_a_first_registration_holds_for_all_time(app: Product) -> None:
    app.put("/api/v1/accounts/contoso/organizers/ken", {})
    answer = app.put(ROOM, {"organizer": "ken"})

    assert answer.status == 201
    assert answer.json == {
        "conference": "3001",
        "account": "contoso",
        "organizer": "ken",
        "registrations": [{"organizer": "ken", "from": None, "until": None}],
        "etag": answer.etag,
    }
    assert [owner(app, seconds) for seconds in (-1e8, 0, 1e8)] == ["contoso"] * 3
    assert app.get(ROOM).json == answer.json


def test_a_first_registration_holds_for_all_time_whatever_from_says(app: Product) -> None:
    app.put(ROOM + "?from=2026-12-01T00:00:00Z", {"organizer": "ken"})

    assert owner(app, -1e8) == "contoso"


OTHER_ROOM = ROOM.replace("contoso", "fabrikam")


def test_another_account_takes_over_from_now_on(app: Product) -> None:
    app.put(ROOM, {"organizer": "ken"})
    app.clock.advance(60)

    taken = app.put(f"{OTHER_ROOM}?take_over=true", {"organizer": "eve"})

    assert taken.status == 201
    assert [owners_at(app, seconds) for seconds in (-1, 59.999, 60, 1e8)] == [
        ["contoso"],
        ["contoso"],
        ["fabrikam"],
        ["fabrikam"],
    ]
    # No one sees what was, or is, another's.
    assert taken.json["registrations"] == [
        {"organizer": "eve", "from": "2026-11-23T10:01:00Z", "until": None}
    ]
    assert app.get(ROOM).code == "conference_unknown"


def test_a_take_over_can_be_repeated_and_taken_back(app: Product) -> None:
    app.put(ROOM, {"organizer": "ken"})
    for seconds, target in ((60, OTHER_ROOM), (120, ROOM), (180, OTHER_ROOM)):
        app.clock.moment = START + timedelta(seconds=seconds)
        assert app.put(f"{target}?take_over=true", {"organizer": "eve"}).status == 201

    assert [owners_at(app, seconds) for seconds in (0, 60, 120, 180)] == [
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
def test_from_states_when_a_take_over_begins(app: Product, seconds: int, owners: list[str]) -> None:
    app.put(ROOM, {"organizer": "ken"})
    since = format_time(START + timedelta(seconds=seconds))

    app.put(f"{OTHER_ROOM}?take_over=true&from={since}", {"organizer": "eve"})

    assert [owners_at(app, at) for at in (-31, -30, 0)] == [[each] for each in owners]
    assert owners_at(app, 30) == ["fabrikam"]


def test_each_account_registers_a_conference_for_itself(app: Product) -> None:
    """Nothing in the answers says that another account has registered it, or has not."""
    operators = {
        account: app.api_key("operator", accounts=(account,)) for account in ("contoso", "fabrikam")
    }
    first = app.put(ROOM, {"organizer": "ken"}, key=operators["contoso"])
    second = app.put(OTHER_ROOM, {"organizer": "ken"}, key=operators["fabrikam"])
    taken = app.put(
        f"{OTHER_ROOM}?take_over=true",
        {"organizer": "eve"},
        second.etag,
        key=operators["fabrikam"],
    )

    assert (first.status, second.status, taken.status) == (201, 201, 200)
    assert second.json == {**first.json, "account": "fabrikam", "etag": second.etag}
    assert owners_at(app, 0) == ["contoso", "fabrikam"]
    assert app.get(ROOM).json["organizer"] == "ken"


def test_a_service_number_is_assigned_by_who_administers_all_accounts(app: Product) -> None:
    key = app.api_key("operator", accounts=("contoso", "fabrikam"))
    other = NUMBER.replace("contoso", "fabrikam")

    for call in (lambda: app.put(NUMBER, {"kind": "toll"}, key=key),
                 lambda: app.delete(NUMBER, key=key)):  # fmt: skip
        assert (call().status, call().code) == (403, "account_not_allowed")
    assert app.put(NUMBER, {"kind": "toll"}, key=app.api_key("operator")).status == 201
    for call in (lambda: app.put(NUMBER, {"kind": "toll"}, key=key),
                 lambda: app.put(other, {"kind": "toll"}, key=key)):  # fmt: skip
        assert (call().status, call().code) == (403, "account_not_allowed")  # as before
    app.clock.advance(60)
    assert app.put(other, {"kind": "toll_free"}).status == 201
    assert app.get(NUMBER).status == 404


def test_what_was_registered_for_all_accounts_in_one_document_reads_on(app: Product) -> None:
    """Documents of before: contoso had the room, then fabrikam, then contoso again."""
    times = [None, START + timedelta(seconds=60), START + timedelta(seconds=120)]
    history = [
        {"account": account, "since": format_time(since) if since else None,
         "organizer": organizer, "kind": None}
        for account, since, organizer in zip(
            ("contoso", "fabrikam", "contoso"), times, ("ken", "eve", "kim"), strict=True
        )
    ]  # fmt: skip
    records = app.container.records
    app.run(records.put("conference", "3001", {"registrations": history}, if_match=None))
    before = [owners_at(app, seconds) for seconds in (0, 60, 120)]

    app.clock.advance(200)
    shown = app.get(ROOM)
    assert shown.json["organizer"] == "kim"
    assert app.put(ROOM, {"organizer": "lee"}).status == 428
    assert app.put(ROOM, {"organizer": "lee"}, shown.etag).status == 200
    app.clock.advance(100)
    assert app.delete(ROOM).status == 204

    assert before == [["contoso"], ["fabrikam"], ["contoso"]]
    assert [owners_at(app, seconds) for seconds in (0, 60, 120, 250, 300)] == [
        ["contoso"],
        ["fabrikam"],
        ["contoso"],
        ["contoso"],
        [],
    ]
    assert app.get(f"{ROOM}?history=true").json["registrations"][-1]["organizer"] == "lee"


def test_ones_own_registration_is_replaced_with_if_match(app: Product) -> None:
    app.put(ROOM, {"organizer": "ken"})
    app.clock.advance(60)

    assert app.put(ROOM, {"organizer": "kim"}).status == 428
    changed = app.put(ROOM, {"organizer": "kim"}, app.get(ROOM).etag)
    assert changed.status == 200
    assert changed.json["registrations"] == [
        {"organizer": "ken", "from": None, "until": "2026-11-23T10:01:00Z"},
        {"organizer": "kim", "from": "2026-11-23T10:01:00Z", "until": None},
    ]


def test_saying_the_same_again_registers_nothing_new(app: Product) -> None:
    app.put(ROOM, {"organizer": "ken"})
    app.clock.advance(60)

    again = app.put(ROOM, {"organizer": "ken"}, app.get(ROOM).etag)

    assert (again.status, len(again.json["registrations"])) == (200, 1)


def test_a_service_number_is_toll_or_toll_free(app: Product) -> None:
    answer = app.put(NUMBER, {"kind": "toll_free"})

    assert answer.status == 201
    assert (answer.json["number"], answer.json["kind"]) == ("+33170000000", "toll_free")
    assert app.get(NUMBER.replace("+", "%2B")).json == answer.json


def test_foreign_ids_may_hold_anything_but_control_characters(app: Product) -> None:
    for room in ("a%2Fb", "%C3%A9t%C3%A9", "%23%3F%25", "x" * 200, "a%20b", "..."):
        path = f"/api/v1/accounts/contoso/conferences/{room}"
        assert app.put(path, {"organizer": "ken"}).status == 201
        assert app.get(path).status == 200
    assert app.get("/api/v1/accounts/contoso/conferences/a%2Fb").json["conference"] == "a/b"


@pytest.mark.parametrize("room", ["%00", "a%0Ab", "%7F", "%C2%85", "x" * 201])
def test_foreign_ids_have_no_control_characters(app: Product, room: str) -> None:
    for kind, body in (("conferences", {"organizer": "ken"}), ("organizers", {})):
        answer = app.put(f"/api/v1/accounts/contoso/{kind}/{room}", body)
        assert (answer.status, answer.code) == (422, "id_invalid")


@pytest.mark.parametrize(
    "number", ["33170000000", "+0170000000", "+1", "+1234567890123456", "+٣٣١٧٠٠٠٠"]
)
def test_service_numbers_are_e164(app: Product, number: str) -> None:
    answer = app.put(f"/api/v1/accounts/contoso/service-numbers/{number}", {"kind": "toll"})

    assert (answer.status, answer.code) == (422, "number_invalid")


def test_an_organizer_has_defaults(app: Product) -> None:
    created = app.put(ORGANIZER, {})

    assert (created.status, created.etag) == (201, created.json["etag"])
    shown = app.get(ORGANIZER).json
    assert shown == created.json
    assert (shown["id"], shown["license"]) == ("ken@contoso.com", "pay_per_minute")
    assert (shown["toll_free_dial_in"], shown["policy"], shown["usage_location"]) == (
        True,
        None,
        None,
    )


def test_the_organizers_facts_are_what_was_put(app: Product) -> None:
    app.put(
        ORGANIZER,
        {
            "usage_location": "FR",
            "license": "subscription",
            "policy": "DialoutCPCDomesticPSTNDisabled",
            "toll_free_dial_in": False,
            "cost_center": "4711",
        },
    )

    facts = app.run(app.container.facts.organizer("contoso", "ken@contoso.com"))

    assert (facts.usage_location, facts.license.value, facts.identity, facts.toll_free_dial_in) == (
        "FR",
        "subscription",
        "DialoutCPCDomesticPSTNDisabled",
        False,
    )
    assert app.run(app.container.facts.organizer("fabrikam", "ken@contoso.com")) is None


def test_the_policy_has_defaults_until_it_is_put(app: Product) -> None:
    before = app.get(POLICY)
    assert before.status == 200
    assert "etag" not in before.headers

    created = app.put(POLICY, {"default_policy": "DialoutCPCandPSTNDomestic"})
    assert created.status == 201
    assert app.get(POLICY).json == {
        **before.json,
        "default_policy": "DialoutCPCandPSTNDomestic",
        "etag": '"1"',
    }
    policy = app.run(app.container.facts.dial_out_policy("contoso"))
    assert policy.default_identity == "DialoutCPCandPSTNDomestic"


@pytest.mark.parametrize("path", [ROOM, NUMBER, ORGANIZER, POLICY])
def test_an_account_that_is_not_there_has_no_directory(app: Product, path: str) -> None:
    bodies = {ROOM: {"organizer": "ken"}, NUMBER: {"kind": "toll"}}
    missing = path.replace("contoso", "nobody")

    assert app.put(missing, bodies.get(path, {})).code == "account_unknown"
    assert app.get(missing).status == 404


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
def test_bad_fields_are_named(app: Product, path: str, body: object, pointers: list[str]) -> None:
    answer = app.put(path, body)

    assert (answer.status, answer.pointers()) == (422, pointers)


@pytest.mark.parametrize(
    "since", ["now", "2026-11-32", "2026-11-23T10:00:00", "9999-12-31T00:00:00Z"]
)
def test_from_is_a_time(app: Product, since: str) -> None:
    answer = app.put(f"{ROOM}?from={since}", {"organizer": "ken"})

    assert (answer.status, answer.code) == (422, "query_invalid")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORGANIZER, {"budgets": {"day": {"amount": "5"}}, "cost_center": "4711"}),
        (POLICY, {"velocity": {"concurrent": 3}}),
        (POLICY, {"cost_centers": {"4711": {}}, "suspended": True}),
    ],
)
def test_limits_are_kept_as_they_were_put(app: Product, path: str, body: dict[str, object]) -> None:
    assert app.put(path, body).status == 201

    shown = app.get(path).json
    assert shown.keys() >= body.keys()


@pytest.mark.parametrize("path", [ORGANIZER, POLICY])
def test_what_is_shown_can_be_put_again(app: Product, path: str) -> None:
    app.put(path, {})
    shown = {k: v for k, v in app.get(path).json.items() if k not in {"id", "etag"}}

    again = app.put(path, shown, app.get(path).etag)
    third = app.put(path, shown, again.etag)

    assert (again.status, third.status) == (200, 200)
    assert {**again.json, "etag": None} == {**third.json, "etag": None}

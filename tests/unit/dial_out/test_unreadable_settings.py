"""Stored settings that can't be read park legs with a reason; a stricter API leaves them readable.

Documents are written as an older version, a fault or a hand left them, below the API.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.dial_out.policy import DialOutPolicyBody, OrganizerBody
from shared.domain.common.errors import SettingsUnreadable
from shared.domain.legs.leg import encode_leg_key
from shared.ports.records import StoredDocument
from shared.ports.tables import Delete, Insert, Row, Upsert, Value
from shared.usecases.charging.charge_legs import ChargeStatus
from shared.usecases.directory import codecs
from shared.usecases.directory.codecs import Kind
from tests.support.calls import CARD, LONDON, Calls
from tests.support.product import Product

ORGANIZER = ("organizer", "contoso|ken", "organizers/ken")
POLICY = ("dial_out_policy", "contoso", "dial-out-policy")
BROKEN = [
    (ORGANIZER, {"license": "gold"}),
    (ORGANIZER, {"policy": "DialoutOfAnotherVendor"}),
    (ORGANIZER, {"budgets": {"day": {"amount": "much"}}}),
    (ORGANIZER, {"budgets": {"day": {}}}),
    (ORGANIZER, {"groups": 7}),
    (POLICY, {"class_ranges": [{"prefix": "44"}]}),
    (POLICY, {"velocity": {"concurrent": "ten"}}),
    (POLICY, {"blocked_regions": "FR"}),
    (POLICY, {"suspended": "no"}),
]


@pytest.fixture(name="calls")
def _calls() -> Iterator[Calls]:
    app = Product()
    calls = Calls(app)
    calls.policy()
    calls.put("accounts/contoso/organizers/pia", {"license": "subscription"})
    yield calls
    app.close()


def _keep(calls: Calls, kind: str, key: str, document: Mapping[str, object]) -> None:
    """The document as it is stored, whatever the API would say of it."""
    app = calls.app
    record = app.run(app.container.records.get(kind, key))
    app.run(app.container.records.put(kind, key, document, if_match=record.etag))
    app.container.facts.drop(Kind(kind), key)


def _charged(calls: Calls, **changes: Any) -> Any:
    """What becomes of a leg from the queue. Its organizer's licence needs the policy too."""
    queued = calls.ended(**changes)
    (outcome,) = calls.app.run(calls.app.container.charge_legs([queued], seconds=10))
    return outcome


@pytest.mark.parametrize(("where", "document"), BROKEN)
def test_a_setting_that_cannot_be_read_parks_the_leg_and_put_again_the_leg_is_charged(
    calls: Calls, where: tuple[str, str, str], document: Mapping[str, object]
) -> None:
    kind, key, path = where
    _keep(calls, kind, key, document)
    organizer = "ken" if kind == "organizer" else "pia"

    outcome = _charged(calls, organizer=organizer)

    assert outcome.status is ChargeStatus.PARKED
    assert outcome.parked.reason == "settings_unreadable"
    parked = calls.app.get("/api/v1/parked-legs?reason=settings_unreadable").json["items"]
    assert [each["account"] for each in parked] == ["contoso"]
    shown = calls.app.get(f"/api/v1/accounts/contoso/{path}")
    assert (shown.status, shown.code) == (503, "settings_unreadable")
    assert "Put it again" in shown.json["detail"]
    put = calls.app.put(f"/api/v1/accounts/contoso/{path}", {}, shown.etag)
    assert put.status == 200, put.body
    assert calls.app.get(f"/api/v1/accounts/contoso/{path}").status == 200
    replayed = calls.app.post(f"/api/v1/parked-legs/{parked[0]['id']}/replay", {})
    assert replayed.json["status"] == "replayed", replayed.json
    leg = quote(encode_leg_key(outcome.queued.leg.key))
    assert calls.app.get(f"/api/v1/accounts/contoso/legs/{leg}").json["status"] == "charged"


@pytest.mark.parametrize(("where", "document"), BROKEN)
def test_a_question_that_needs_an_unreadable_setting_gets_a_stable_problem(
    calls: Calls, where: tuple[str, str, str], document: Mapping[str, object]
) -> None:
    kind, key, _ = where
    _keep(calls, kind, key, document)

    answer = calls.send("dial-outs", {"to": LONDON, "account": "contoso", "organizer_id": "ken"})

    assert (answer.status, answer.code) == (503, "settings_unreadable")
    assert answer.headers["retry-after"]


def test_a_damaged_row_of_an_organizer_parks_the_leg_and_can_be_put_again(calls: Calls) -> None:
    tables = calls.app.tables
    where = {"id": "contoso|ken"}
    page = calls.app.run(tables.scan("directory", where=where, limit=10, cursor=None))
    (row,) = page.rows
    damaged = Upsert(row.key, {**row.values, "document": "{"})
    calls.app.run(tables.transact("directory", row.partition, [damaged]))
    calls.app.container.facts.drop(Kind.ORGANIZER, "contoso|ken")

    outcome = _charged(calls)

    assert outcome.status is ChargeStatus.PARKED
    assert outcome.parked.account == "contoso"
    path = "/api/v1/accounts/contoso/organizers/ken"
    shown = calls.app.get(path)
    assert (shown.status, shown.code) == (503, "row_unreadable")
    assert calls.app.put(path, {}).code == "if_match_missing"
    assert calls.app.put(path, {}, shown.etag).status == 200
    assert _charged(calls).status is ChargeStatus.CHARGED


SETTINGS = {
    "account": ("contoso", "accounts/contoso", {"currency": "USD", "rate_card": CARD}),
    "organizer": ("contoso|ken", "accounts/contoso/organizers/ken", {}),
    "bridge": ("pbx", "bridges/pbx", {"dialect": "perminute", "accounts": ["*"]}),
}
DAMAGE: dict[str, Callable[[dict[str, Value]], dict[str, Value]]] = {
    "no schema": lambda values: {name: values[name] for name in values if name != "schema"},
    "a text for the schema": lambda values: {**values, "schema": "1"},
    "schema 0": lambda values: {**values, "schema": 0},
    "no version": lambda values: {name: values[name] for name in values if name != "version"},
    "a text for the version": lambda values: {**values, "version": "1"},
    "no document": lambda values: {name: values[name] for name in ("schema", "version", "id")},
}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_of_settings_parks_the_leg(calls: Calls, kind: str, damage: str) -> None:
    key, path, body = SETTINGS[kind]
    row = _row_of(calls, kind, key)
    _put_row(calls, kind, row, DAMAGE[damage](dict(row.values)))

    outcome = _charged(calls)

    assert outcome.status is ChargeStatus.PARKED
    assert outcome.parked.reason == "settings_unreadable"
    shown = calls.app.get(f"/api/v1/{path}")
    assert (shown.status, shown.code) == (503, "row_unreadable")
    put = calls.app.put(f"/api/v1/{path}", body, shown.etag)
    if kind == "account":  # the row names the storage account of the ledger
        assert (put.status, put.code) == (503, "row_unreadable")
        return
    assert put.status == 200, put.body
    assert _charged(calls).status is ChargeStatus.CHARGED


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_row_of_a_newer_release_makes_the_leg_wait(calls: Calls, kind: str) -> None:
    """In the middle of a deployment; nothing is parked that this release does not understand."""
    row = _row_of(calls, kind, SETTINGS[kind][0])
    _put_row(calls, kind, row, {**row.values, "schema": 99})

    assert _charged(calls).status is ChargeStatus.LATER
    assert calls.app.get(f"/api/v1/{SETTINGS[kind][1]}").code == "schema_unknown"


def _row_of(calls: Calls, kind: str, key: str) -> Row:
    page = calls.app.run(
        calls.app.tables.scan("directory", where={"id": key}, limit=100, cursor=None)
    )
    (row,) = [each for each in page.rows if each.partition.partition("|")[0] == kind]
    return row


def _put_row(calls: Calls, kind: str, row: Row, values: Mapping[str, Value]) -> None:
    for operation in (Delete(row.key), Insert(row.key, values)):
        calls.app.run(calls.app.tables.transact("directory", row.partition, [operation]))
    calls.app.container.facts.drop(Kind(kind), str(row.values["id"]))


@pytest.mark.parametrize(
    "damage", [{"at": "then"}, {"marker": ""}, {"action": "x"}, {"before": "{"}]
)
def test_a_damaged_row_of_the_audit_log_is_answered_with_its_key(
    calls: Calls, damage: dict[str, Value]
) -> None:
    (row, *_) = calls.app.run(calls.app.tables.query("directory", "audit|*"))
    damaged = Upsert(row.key, {**row.values, **damage})
    calls.app.run(calls.app.tables.transact("directory", "audit|*", [damaged]))

    shown = calls.app.get("/api/v1/audit-log")

    assert (shown.status, shown.code) == (503, "row_unreadable")
    assert row.key in shown.json["detail"]


@pytest.mark.parametrize(
    "edit", [{"header": "{"}, {"rate_count": "many"}, {"header": "[]"}, {"schema": "1"}]
)
def test_a_damaged_rate_card_version_parks_the_leg_and_answers_questions_with_a_problem(
    edit: dict[str, str],
) -> None:
    app = Product()
    calls = Calls(app)
    tables = app.tables
    (row,) = [
        each for each in app.run(tables.query("ratecards", "card|card")) if "header" in each.values
    ]
    damaged = Upsert(row.key, {**row.values, **edit})
    app.run(tables.transact("ratecards", row.partition, [damaged]))
    other = Product(tables)  # a process that has kept nothing of the card
    calls.app = other

    outcome = _charged(calls)

    assert outcome.status is ChargeStatus.PARKED
    assert outcome.parked.reason == "settings_unreadable"
    assert outcome.parked.account == "contoso"
    answer = calls.send("dial-outs", {"to": LONDON, "account": "contoso", "organizer_id": "ken"})
    assert (answer.status, answer.code) == (503, "rate_card_unreadable")
    app.close()
    other.close()


def test_what_the_api_would_refuse_today_is_read_as_it_is_stored(calls: Calls) -> None:
    """Longer texts and fields of other versions: the limits of the API bind what is put only."""
    stored = {"cost_center": "c" * 5_000, "colour": "red", "license": "pay_per_minute"}
    _keep(calls, "organizer", "contoso|ken", stored)
    _keep(calls, "dial_out_policy", "contoso", {"blocked_prefixes": ["9" * 40], "new": 1})

    assert _charged(calls).status is ChargeStatus.CHARGED
    assert calls.authorise()["decision"] == "allow"
    shown = calls.app.get("/api/v1/accounts/contoso/organizers/ken").json
    assert shown["cost_center"] == "c" * 5_000
    assert "colour" not in shown


AMOUNTS = st.none() | st.fixed_dictionaries(
    {"amount": st.integers(0, 10**9).map(lambda n: f"{n // 100}.{n % 100:02}")},
    optional={"mode": st.sampled_from(["hard", "warn"])},
)
BUDGETS = st.fixed_dictionaries({}, optional={"day": AMOUNTS, "month": AMOUNTS, "meeting": AMOUNTS})
REGIONS = st.lists(st.sampled_from(["FR", "GB", "US"]), max_size=3)
CLASSES = st.lists(st.sampled_from(["premium_rate", "toll_free", "uan"]), max_size=2)
RULE_FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    "allowed_regions": st.none() | REGIONS,
    "blocked_regions": REGIONS,
    "allowed_prefixes": st.none() | st.lists(st.sampled_from(["33", "+4420"]), max_size=2),
    "blocked_prefixes": st.lists(st.sampled_from(["1", "881"]), max_size=2),
    "allowed_classes": CLASSES,
    "blocked_classes": CLASSES,
    "max_price_per_minute": st.none() | st.sampled_from(["0", "0.25", "0.000000000001"]),
}
IDENTITY = st.none() | st.sampled_from(["DialoutCPCDomesticPSTNDisabled"])
ORGANIZERS = st.fixed_dictionaries(
    {},
    optional={
        "usage_location": st.none() | st.sampled_from(["FR", "GB"]),
        "license": st.sampled_from(["pay_per_minute", "subscription", "none"]),
        "policy": IDENTITY,
        "toll_free_dial_in": st.booleans(),
        "budgets": BUDGETS,
        "cost_center": st.none() | st.text("abc-1", min_size=1),
        "groups": st.lists(st.text("abc", min_size=1), max_size=3),
        "rules": st.none() | st.fixed_dictionaries({}, optional=RULE_FIELDS),
    },
)
VELOCITIES = st.fixed_dictionaries(
    {},
    optional={
        "concurrent": st.none() | st.integers(0, 50),
        "per_hour": st.none() | st.integers(0, 50),
        "new_region": st.sampled_from(["allow", "notice", "deny"]),
        "cost_per_ten_minutes": st.none() | st.just("5.00"),
    },
)
GROUPS = st.dictionaries(
    st.text("abc", min_size=1),
    st.fixed_dictionaries({"rank": st.integers(0, 9)}, optional={"policy": IDENTITY} | RULE_FIELDS),
    max_size=2,
)
POLICIES = st.fixed_dictionaries(
    {},
    optional=RULE_FIELDS
    | {
        "suspended": st.booleans(),
        "served_regions": st.none() | REGIONS,
        "unserved_regions": REGIONS,
        "class_ranges": st.just([{"prefix": "44345", "class": "fixed_line"}]),
        "block_high_risk": st.booleans(),
        "groups": GROUPS,
        "budgets": BUDGETS,
        "cost_centers": st.dictionaries(st.text("abc", min_size=1), BUDGETS, max_size=2),
        "velocity": VELOCITIES,
        "organizer_velocity": VELOCITIES,
    },
)


@given(body=ORGANIZERS)
def test_every_organizer_is_stored_and_read_back_and_so_is_its_former_wire_form(
    body: dict[str, Any],
) -> None:
    """Versions before kept what was sent, defaults filled in; so are these read."""
    stated = OrganizerBody.model_validate(body)
    organizer = stated.facts("ken")
    for document in (
        codecs.organizer_document(organizer),
        stated.model_dump(mode="json", by_alias=True),
    ):
        assert codecs.organizer(StoredDocument("contoso|ken", document, 1)) == organizer


@given(body=POLICIES)
def test_every_policy_is_stored_and_read_back_and_so_is_its_former_wire_form(
    body: dict[str, Any],
) -> None:
    stated = DialOutPolicyBody.model_validate(body)
    policy = stated.policy()
    for document in (
        codecs.policy_document(policy),
        stated.model_dump(mode="json", by_alias=True),
    ):
        assert codecs.policy(StoredDocument("contoso", document, 1)) == policy


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
_NAMES = [
    *("license", "policy", "budgets", "cost_center", "groups", "rules", "usage_location"),
    *("velocity", "class_ranges", "served_regions", "blocked_prefixes", "cost_centers"),
    *("max_price_per_minute", "currency", "alerts", "auth", "accounts", "registrations", "shard"),
]


@given(document=st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=4))
def test_whatever_is_stored_is_read_or_named_as_unreadable(document: dict[str, Any]) -> None:
    for read in (
        codecs.account,
        codecs.api_key,
        codecs.bridge,
        codecs.organizer,
        codecs.policy,
        codecs.registrations,
    ):
        error = _refusal(lambda read=read: read(StoredDocument("contoso|ken", document, 3)))
        assert error is None or (error.code, error.etag) == ("settings_unreadable", '"3"')


def _refusal(read: Callable[[], object]) -> SettingsUnreadable | None:
    try:
        read()
    except SettingsUnreadable as error:
        return error
    return None

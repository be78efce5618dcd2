"""The audit log: who changed which setting when, before and after, written with the change."""

import asyncio
import csv
import io
from typing import Any

import pytest

from shared.domain.common.errors import OutcomeUnknown, PerminuteError, StoreUnavailable
from shared.ports.audit import ChangeFilter
from tests.support.product import Product

ACCOUNT = "/api/v1/accounts/contoso"
CARD = "/api/v1/rate-cards/default/versions/2026-01-01T00:00:00Z"
BRIDGE = "/api/v1/bridges/studio"
RATES = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [{"kind": "dial_out", "prefix": "44", "destination": "UK", "slots": [
        {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
    ]}],
}  # fmt: skip

type Step = tuple[str, str, object, str | None]


def log(app: Product, query: str = "", **more: Any) -> list[dict[str, Any]]:
    answer = app.get(f"/api/v1/audit-log{query}", **more)
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_a_changed_account_shows_who_changed_what_before_and_after(app: Product) -> None:
    app.account(name="Contoso", credit_limit="5")
    app.put(ACCOUNT, {"currency": "USD", "name": "Contoso", "credit_limit": "7.5"}, '"1"')

    changed, created = log(app, "?account=contoso")

    assert changed["at"] == "2026-11-23T10:00:00Z"
    assert (changed["actor"], changed["request_id"]) == ("bootstrap", "an-invocation")
    assert (changed["action"], changed["kind"], changed["key"], changed["account"]) == (
        "changed",
        "account",
        "contoso",
        "contoso",
    )
    assert changed["before"] == {**changed["after"], "credit_limit": "5.00"}
    assert changed["after"]["credit_limit"] == "7.50"
    assert (created["action"], created["before"]) == ("created", None)


CHANGES: list[tuple[Step, str, str, str | None]] = [
    (("PUT", f"{ACCOUNT}/organizers/ken%40contoso.com", {"cost_center": "R&D"}, None),
     "organizer", "ken@contoso.com", "contoso"),
    (("PUT", f"{ACCOUNT}/conferences/3001", {"organizer": "ken@contoso.com"}, None),
     "conference", "3001", "contoso"),
    (("PUT", f"{ACCOUNT}/service-numbers/%2B33199009900", {"kind": "toll"}, None),
     "service_number", "+33199009900", "contoso"),
    (("PUT", f"{ACCOUNT}/dial-out-policy", {"suspended": True}, None),
     "dial_out_policy", "contoso", "contoso"),
    (("PUT", f"{ACCOUNT}/webhooks/erp",
      {"url": "https://erp.contoso.com/in?key=s3cret", "events": ["*"]}, None),
     "webhook", "erp", "contoso"),
    (("PUT", BRIDGE, {"dialect": "perminute", "accounts": ["*"]}, None), "bridge", "studio", None),
    (("PUT", CARD, RATES, None), "rate_card", "default/2026-01-01T00:00:00Z", None),
    (("POST", f"{ACCOUNT}/dial-out-policy/stop", {"reason": "fraud"}, None),
     "dial_out", "contoso", "contoso"),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[each[1] for each in CHANGES])
def test_every_kind_of_setting_is_logged_once_with_its_change(
    app: Product, change: tuple[Step, str, str, str | None]
) -> None:
    (method, path, body, _), kind, key, account = change
    app.account()
    assert app.call(method, path, body).status in {200, 201}

    [found] = log(app, f"?kind={kind}")

    assert (found["kind"], found["key"], found.get("account")) == (kind, key, account)
    assert found["after"]
    of_account = log(app, f"?account=contoso&kind={kind}")
    assert of_account == ([found] if account else [])


def test_a_stop_and_a_restart_that_change_nothing_are_not_logged(app: Product) -> None:
    app.account()
    for _ in range(2):
        app.post(f"{ACCOUNT}/dial-out-policy/stop", {"reason": "fraud"})
    for _ in range(2):
        app.post(f"{ACCOUNT}/dial-out-policy/restart", {})

    restarted, stopped = log(app, "?kind=dial_out")

    assert (restarted["action"], restarted["before"], restarted["after"]) == (
        "restarted",
        {"stopped": True, "reason": "fraud"},
        {"stopped": False},
    )
    assert (stopped["action"], stopped["before"]) == ("stopped", {"stopped": False})


def test_what_is_removed_is_logged_as_it_was(app: Product) -> None:
    app.account()
    app.put(f"{ACCOUNT}/webhooks/erp", {"url": "https://erp.contoso.com/in", "events": ["*"]})
    app.delete(f"{ACCOUNT}/webhooks/erp")

    removed = log(app, "?kind=webhook")[0]

    assert (removed["action"], removed["after"]) == ("deleted", None)
    assert removed["before"]["url"] == "https://erp.contoso.com/in"


def test_no_secret_stands_in_the_log(app: Product) -> None:
    app.account()
    secret = "whsec_" + "A" * 44
    app.put(BRIDGE, {"dialect": "perminute", "accounts": ["*"], "auth": {"secrets": [secret]}})
    made = app.put(BRIDGE, {"dialect": "perminute", "accounts": ["*"],
                              "auth": {"scheme": "bearer"}}, "*")  # fmt: skip
    hook = app.put(f"{ACCOUNT}/webhooks/erp",
                     {"url": "https://erp.contoso.com/in?key=s3cret", "events": ["*"]})  # fmt: skip
    key = app.api_key("reader")

    shown = app.get("/api/v1/audit-log").body.decode()
    stored = str(app.run(app.tables.query("directory", "audit|*")))

    secrets = [secret, made.json["auth"]["secrets"][0], hook.json["secret"], key.split("_")[2]]
    for each in (*secrets, "s3cret"):
        assert each not in shown
        assert each not in stored
    assert log(app, "?kind=bridge")[0]["after"]["secrets_changed"] is True


def test_who_sees_some_accounts_sees_their_changes_only(app: Product) -> None:
    app.account()
    app.account("fabrikam")
    app.put(BRIDGE, {"dialect": "perminute", "accounts": ["*"]})
    key = app.api_key("reader", accounts=("contoso",))

    assert {each["account"] for each in log(app, key=key)} == {"contoso"}
    assert app.get("/api/v1/audit-log?account=contoso", key=key).status == 200
    for foreign in ("fabrikam", "nosuch"):
        answer = app.get(f"/api/v1/audit-log?account={foreign}", key=key)
        assert (answer.status, answer.code) == (403, "account_not_allowed")
    two = app.api_key("reader", accounts=("contoso", "fabrikam"))
    assert [each["account"] for each in log(app, key=two)] == ["fabrikam", "contoso"]
    assert app.get("/api/v1/audit-log", key=app.api_key("payments")).status == 403


def test_pages_hold_every_change_once_the_newest_first(app: Product) -> None:
    app.account()
    for number in range(6):
        app.clock.advance(60)
        app.put(f"{ACCOUNT}/organizers/o{number}", {})

    keys, target = [], "/api/v1/audit-log?limit=3"
    while target:
        answer = app.get(target).json
        keys += [each["key"] for each in answer["items"]]
        target = f"/api/v1/audit-log?limit=3&cursor={answer['next']}" if "next" in answer else ""

    assert keys == [f"o{number}" for number in reversed(range(6))] + ["contoso"]
    spans = {"from=2026-11-23T10:02:00Z&to=2026-11-23T10:04:00Z": ["o2", "o1"]}
    for span, expected in spans.items():
        assert [each["key"] for each in log(app, f"?{span}")] == expected
    assert log(app, "?actor=nobody") == []
    assert app.get("/api/v1/audit-log?cursor=x").code == "cursor_invalid"


def test_csv_holds_every_row(app: Product) -> None:
    app.account()
    for number in range(150):
        app.put(f"{ACCOUNT}/organizers/o{number}", {})

    answer = app.get("/api/v1/audit-log?account=contoso", headers={"accept": "text/csv"})

    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert len(rows) == 151
    assert rows[0]["kind"] == "organizer"


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(
    ("error", "after"),
    [
        (OutcomeUnknown("lost"), False),
        (OutcomeUnknown("lost"), True),
        (StoreUnavailable("away"), False),
    ],
)
def test_a_change_is_in_the_log_if_and_only_if_it_was_made(
    app: Product, nth: int, error: PerminuteError, after: bool
) -> None:
    """Whichever write fails, and whether it was carried out or not: the log says what is stored."""
    app.account()
    app.tables.inject(nth, error, after=after)

    app.put(f"{ACCOUNT}/organizers/ken", {"cost_center": "R&D"})

    kept = app.get(f"{ACCOUNT}/organizers/ken").status == 200
    assert len(log(app, "?kind=organizer")) == kept


def test_a_process_that_dies_between_proposal_and_change_leaves_no_trace(app: Product) -> None:
    app.account()

    async def dies() -> None:
        transact = app.tables.transact

        async def killed(table: str, partition: str, operations: Any) -> Any:
            if partition.startswith("organizer|"):
                raise asyncio.CancelledError
            return await transact(table, partition, operations)

        app.tables.transact = killed  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await app.container.records.put("organizer", "contoso|ken", {}, if_match=None)
        app.tables.transact = transact  # type: ignore[method-assign]

    app.run(dies())

    proposals = app.run(app.tables.query("directory", "audit|contoso"))
    assert [row.values["kind"] for row in proposals].count("organizer") == 1
    assert log(app, "?kind=organizer") == []


def test_concurrent_changes_are_logged_in_the_order_of_their_versions(app: Product) -> None:
    app.account()
    records = app.container.records

    async def race() -> None:
        await asyncio.gather(
            *(
                records.put("organizer", "contoso|ken", {"cost_center": str(n)}, if_match="*")
                for n in range(5)
            ),
            return_exceptions=True,
        )

    made = app.run(records.put("organizer", "contoso|ken", {"cost_center": "first"}, if_match=None))
    app.run(race())

    changes, _ = app.run(
        app.container.audit_log.page(ChangeFilter(None, kind="organizer"), limit=100, cursor=None)
    )
    record = app.run(records.get("organizer", "contoso|ken"))
    assert len(changes) == 1 + record.version - made.version
    afters = [dict(each.change.after or {})["cost_center"] for each in changes]
    befores = [each.change.before["cost_center"] for each in changes if each.change.before]
    assert record.document["cost_center"] in afters
    assert sorted(befores) == sorted(set(afters) - {record.document["cost_center"]})


def test_an_erased_person_is_gone_from_the_log_and_the_changes_stay(app: Product) -> None:
    app.account()
    app.account("fabrikam")
    for account in ("contoso", "fabrikam"):
        app.put(f"/api/v1/accounts/{account}/organizers/ken%40contoso.com", {})
    app.put(f"{ACCOUNT}/conferences/3001", {"organizer": "ken@contoso.com"})

    app.post(f"{ACCOUNT}/erasures", {"organizer": "ken@contoso.com"})

    changes = app.get("/api/v1/audit-log?account=contoso").body.decode()
    assert "ken@contoso.com" not in changes
    erasure, *others = log(app, "?account=contoso")
    assert (erasure["kind"], erasure["key"]) == ("erasure", "contoso")
    assert erasure["after"]["of"] == "organizer"
    assert [each["key"] for each in others] == [
        "3001",
        "(erased)",
        "contoso",
    ]
    assert log(app, "?account=fabrikam")[0]["key"] == "ken@contoso.com"

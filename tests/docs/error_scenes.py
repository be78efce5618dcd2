"""A real request for each error code: one to a product with an account (CASES), or the state and
then the request (SCENES). Limits are lowered where reaching them would take minutes.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from functions import console
from functions import http as edge
from shared.adapters.ed25519 import Ed25519Signer
from shared.domain.common import limits
from shared.domain.common.errors import RowMissing, StoreUnavailable
from shared.domain.legs.bridge_payloads import Unreadable
from shared.pacing import RequestQuota
from shared.ports.tables import Upsert
from tests.support.calls import Calls
from tests.support.charging_app import BRITAIN, CARD, JANUARY, MAY, TOKYO, ChargingApp, card, rate
from tests.support.client import signed
from tests.support.credits_app import CreditsApp
from tests.support.product import SETTINGS, Answer, Product

type Scene = Callable[[ChargingApp, pytest.MonkeyPatch], Answer]
ACCOUNT = "/api/v1/accounts/contoso"
SECRET = "whsec_" + "QUJD" * 8
CHEAP = card(BRITAIN)


class Case(NamedTuple):
    """A request to a product with an account, and the code of its answer."""

    code: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    key: str | None = "admin"


LEG = f"{ACCOUNT}/legs/studio~no"
KEYED = {"idempotency-key": "k"}
RATES: dict[str, Any] = {
    "currency": "USD",
    "rounding": {"mode": "up", "decimals": 4},
    "rates": [],
}
CASES = [
    Case("not_authenticated", "GET", ACCOUNT, key=None),
    Case("role_missing", "PUT", ACCOUNT, {"currency": "USD"}, key="reader"),
    Case("account_not_allowed", "GET", "/api/v1/accounts/other", key="reader"),
    Case("rate_card_not_allowed", "GET", "/api/v1/rate-cards/other", key="reader"),
    Case("account_unknown", "GET", "/api/v1/accounts/other"),
    Case("alert_unknown", "POST", f"{ACCOUNT}/alerts/7/acknowledge", {}),
    Case("api_key_unknown", "DELETE", "/api/v1/api-keys/0000000000000000"),
    Case("bridge_unknown", "GET", "/api/v1/bridges/none"),
    Case("conference_unknown", "GET", f"{ACCOUNT}/conferences/none/cost"),
    Case("delivery_unknown", "POST", f"{ACCOUNT}/webhooks/w/deliveries/event|1/replay", {}),
    Case("entry_unknown", "GET", f"{ACCOUNT}/entries/99/receipt"),
    Case("leg_unknown", "GET", LEG),
    Case("leg_unknown", "POST", f"{LEG}/reversal", {"reason": "x"}),
    Case("organizer_unknown", "GET", f"{ACCOUNT}/organizers/none"),
    Case("parked_leg_unknown", "POST", "/api/v1/parked-legs/00.0/replay", {}),
    Case("day_open", "GET", f"{ACCOUNT}/proofs/2026-11-01"),
    Case("date_invalid", "GET", f"{ACCOUNT}/proofs/yesterday"),
    Case("rate_card_unknown", "GET", "/api/v1/rate-cards/none"),
    Case("rate_card_version_unknown", "GET",
         "/api/v1/rate-cards/default/versions/2026-01-01T00:00:00Z"),
    Case("recharge_unknown", "POST", "/api/v1/recharges/contoso~9/result",
         {"status": "declined", "amount": "5.00", "currency": "USD"}),
    Case("region_unknown", "GET", "/api/v1/regions/ZZ"),
    Case("webhook_unknown", "GET", f"{ACCOUNT}/webhooks/none"),
    Case("path_unknown", "GET", "/api/v1/nothing"),
    Case("method_not_allowed", "DELETE", ACCOUNT),
    Case("body_missing", "PUT", ACCOUNT),
    Case("json_invalid", "PUT", ACCOUNT, b"{"),
    Case("invalid", "PUT", "/api/v1/accounts/new", {"currency": "dollars", "colour": 1}),
    Case("id_invalid", "PUT", "/api/v1/accounts/A%20b", {"currency": "USD"}),
    Case("currency_fixed", "PUT", ACCOUNT, {"currency": "EUR"}, {"if-match": "etag"}),
    Case("if_match_missing", "PUT", ACCOUNT, {"currency": "USD"}),
    Case("etag_mismatch", "PUT", ACCOUNT, {"currency": "USD"}, {"if-match": '"99"'}),
    Case("idempotency_key_missing", "POST", f"{ACCOUNT}/top-ups", {"amount": "1"}),
    Case("idempotency_key_invalid", "POST", f"{ACCOUNT}/top-ups", {"amount": "1"},
         {"idempotency-key": "a b"}),
    Case("idempotency_key_reused", "POST", f"{ACCOUNT}/top-ups", {"amount": "2"}, KEYED),
    Case("amount_not_positive", "POST", f"{ACCOUNT}/top-ups", {"amount": "0"},
         {"idempotency-key": "zero"}),
    Case("amount_zero", "POST", f"{ACCOUNT}/adjustments", {"amount": "0", "reason": "x"},
         {"idempotency-key": "none"}),
    Case("overdraft_not_allowed", "POST", f"{ACCOUNT}/adjustments",
         {"amount": "-9", "reason": "x"}, {"idempotency-key": "over"}),
    Case("cursor_invalid", "GET", f"{ACCOUNT}/entries?cursor=abc"),
    Case("query_invalid", "GET", f"{ACCOUNT}/entries?month=May"),
    Case("month_invalid", "GET", f"{ACCOUNT}/statements/May"),
    Case("number_invalid", "PUT", f"{ACCOUNT}/service-numbers/12", {"kind": "toll"}),
    Case("unsupported_media_type", "PUT", ACCOUNT, b"x", {"content-type": "text/html"}),
    Case("encoding_unsupported", "PUT", ACCOUNT, b"x", {"content-encoding": "gzip"}),
    Case("too_large", "PUT", ACCOUNT, b" " * 300_000),
    Case("form_invalid", "POST", "/api/v1/rate-cards/c/import?effective_from=2030-01-01T00:00:00Z",
         b"x", {"content-type": "multipart/form-data; boundary=b"}),
    Case("effective_from_invalid", "PUT", "/api/v1/rate-cards/c/versions/soon", RATES),
    Case("rate_missing", "POST", "/api/v1/quotes",
         {"account": "contoso", "kind": "dial_out", "to": "+442079460123", "talk_seconds": 60}),
    Case("anchors_off", "GET", f"{ACCOUNT}/verify?anchors=true"),
]  # fmt: skip


def _keyed(name: str) -> dict[str, str]:
    return {"idempotency-key": name}


def _card_at(app: Product, moment: timedelta, query: str = "") -> Answer:
    when = (app.clock.now() + moment).strftime("%Y-%m-%dT%H:%M:%SZ")
    return app.put(f"{CARD}/{when}{query}", CHEAP)


def _changed(app: Product, kind: str, key: str, **values: Any) -> None:
    """Write other values into the row of a setting."""
    row = app.run(app.tables.get("directory", kind, key))
    app.run(app.tables.transact("directory", kind, [Upsert(key, {**row.values, **values})]))


def _conflict(app: ChargingApp) -> tuple[str, str]:
    """Two parked legs of one id: the first is charged."""
    leg = app.ended(leg_id="twice")
    app.leg(leg_id="twice")
    return leg.key, app.parked(replace(leg, to_number=TOKYO))["id"]


def _no_rate(app: ChargingApp) -> str:
    return str(app.parked(app.ended(to=TOKYO))["id"])


def authorization_ended(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    calls = Calls(Product(app.tables, app.clock))
    authorization = calls.authorise()["authorization"]
    calls.release(authorization)
    return calls.extend(authorization, 60)


def authorization_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    return Calls(Product(app.tables, app.clock)).extend("none", 60)


def bad_request(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    return app.put(f"{ACCOUNT}/organizers", b"id\n\xff", headers={"content-type": "text/csv"})


def console_missing(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    patch.setattr(console, "DIST", Path("missing"))
    return app.get("/console/", key=None)


def contended(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle()
    patch.setattr(limits, "COMMIT_TRIES_MAX", 0)
    return app.post(f"{ACCOUNT}/top-ups", {"amount": "1"}, headers=_keyed("a"))


def dead_letter_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    return app.post("/api/v1/dead-letters/9/replay", None)


def deck_too_costly(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    patch.setattr(limits, "DECK_CPU_SECONDS_MAX", 0.0)
    return _card_at(app, timedelta(days=1))


def effective_from_too_soon(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    return _card_at(app, timedelta(minutes=1))


def expiry_in_the_past(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    body = {"amount": "1", "expires_at": JANUARY}
    return app.post(f"{ACCOUNT}/top-ups", body, headers=_keyed("a"))


def idempotency_key_mismatch(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    auth = {"scheme": "standard-webhooks", "secrets": [SECRET]}
    app.put("/api/v1/bridges/signer", {"dialect": "perminute", "accounts": ["*"], "auth": auth})
    body = json.dumps({"to": TOKYO, "account": "contoso"}).encode()
    headers = signed(SECRET, body, at=app.clock.now().timestamp()) | _keyed("other")
    return app.post("/api/v1/bridges/signer/dial-outs", body, key=None, headers=headers)


def internal(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.tables.inject(1, RowMissing("A caller does not handle this answer."), kind="get")
    return app.get(ACCOUNT)


def ledger_corrupt(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    state = app.run(app.tables.get("ledger", "contoso", "state"))
    broken = Upsert("state", {**state.values, "data": "{"})
    app.run(app.tables.transact("ledger", "contoso", [broken]))
    return Product(app.tables, app.clock).get(ACCOUNT)


def leg_needed(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    unreadable = Unreadable("1", "The body is not JSON.", b"{")
    app.run(app.container.receive_legs.park_unreadable("pbx", unreadable))
    parked = app.get("/api/v1/parked-legs").json["items"][0]["id"]
    return app.post(f"/api/v1/parked-legs/{parked}/replay", {})


def length_required(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    return app.put(ACCOUNT, None, headers={"transfer-encoding": "chunked"})


def parked_leg_charged_as(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle()
    _, parked = _conflict(app)
    path = f"/api/v1/parked-legs/{parked}/replay"
    first = app.post(path, {"charge_as": "twice-2"})
    assert first.json["charged_as"] == "pbx~twice-2", first.json
    return app.post(path, {"charge_as": "twice-3"})


def parked_leg_dismissed(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    path = f"/api/v1/parked-legs/{_no_rate(app)}"
    app.post(f"{path}/dismiss", {})
    return app.post(f"{path}/replay", {})


def parked_leg_replayed(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    path = f"/api/v1/parked-legs/{_no_rate(app)}"
    app.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, rate("81", "0.30", "Japan")))
    app.post(f"{path}/replay", {})
    return app.post(f"{path}/dismiss", {})


def proof_key_compromised(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    (key,) = app.get("/api/v1/proof-keys").json["keys"]
    body = {"at": app.clock.now().isoformat()}
    app.post(f"/api/v1/proof-keys/{key['id']}/compromised", body)
    return app.get(f"{ACCOUNT}/entries/1/receipt?interim=true")


def proof_key_replaced(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.get("/api/v1/proof-keys")
    app.clock.advance(hours=1)
    other = Product(app.tables, app.clock)
    other.container.signer = Ed25519Signer(bytes(range(32)))
    other.get("/api/v1/proof-keys")
    return app.get(f"{ACCOUNT}/entries/1/receipt?interim=true")


def proofs_off(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.container.signer = None
    return app.get(f"{ACCOUNT}/entries/1/receipt?interim=true")


def rate_card_unreadable(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    version = app.run(app.tables.query("ratecards", "card|default", first="version|"))[0]
    broken = Upsert(version.key, {**version.values, "header": "{"})
    app.run(app.tables.transact("ratecards", "card|default", [broken]))
    return Product(app.tables, app.clock).get(f"{CARD}/{JANUARY}")


def rate_limited(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.container.settings = replace(SETTINGS, caller_allowance=RequestQuota(1, 100))
    key = app.api_key("reader")
    for _ in range(limits.BUDGET_BURST_SECONDS):
        app.get("/api/v1/rate-cards", key=key)
    return app.get("/api/v1/rate-cards", key=key)


def result_too_large(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.settle("fabrikam")
    patch.setattr(edge, "CSV_ROWS_MAX", 0)
    return app.get(f"{ACCOUNT}/entries?format=csv")


def row_unreadable(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    _changed(app, "bridge", "pbx", document="{")
    return Product(app.tables, app.clock).get("/api/v1/bridges/pbx")


def schema_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    _changed(app, "bridge", "pbx", schema=99)
    return Product(app.tables, app.clock).get("/api/v1/bridges/pbx")


def service_number_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.account("contoso")
    return app.get(f"{ACCOUNT}/service-numbers/+4969123456")


def settings_unreadable(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    _changed(app, "bridge", "pbx", document="{}")
    return Product(app.tables, app.clock).get("/api/v1/bridges/pbx")


def too_many_lots(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle()
    patch.setattr(limits, "OPEN_LOTS_MAX", 2)
    app.post(f"{ACCOUNT}/top-ups", {"amount": "1"}, headers=_keyed("b"))
    return app.post(f"{ACCOUNT}/top-ups", {"amount": "1"}, headers=_keyed("a"))


def too_many_registrations(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle("contoso", "fabrikam")
    patch.setattr(limits, "REGISTRATIONS_MAX", 2)
    answer = app.put(f"{ACCOUNT}/conferences/3001", {"organizer": "ken"})
    for name in ("amy", "bob"):
        app.clock.advance(days=1)
        answer = app.put(f"{ACCOUNT}/conferences/3001", {"organizer": name}, answer.etag)
    return answer


def too_many_versions(app: ChargingApp, patch: pytest.MonkeyPatch) -> Answer:
    app.settle()
    patch.setattr(limits, "RATE_CARD_VERSIONS_MAX", 2)
    _card_at(app, timedelta(days=2))
    return _card_at(app, timedelta(days=1))


def too_many_webhooks(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.account("contoso")
    hook = {"url": "https://w.example.com/", "events": ["*"]}
    for number in range(limits.WEBHOOKS_MAX):
        app.put(f"{ACCOUNT}/webhooks/w{number}", hook)
    return app.put(f"{ACCOUNT}/webhooks/one-more", hook)


def unavailable(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.tables.inject(1, StoreUnavailable("Table storage can't be reached."), kind="get")
    return app.get(ACCOUNT)


def version_frozen(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    version = app.get(f"{CARD}/{JANUARY}")
    return app.put(f"{CARD}/{JANUARY}", CHEAP, version.etag)


def currencies_differ(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    app.put(f"{CARD}/{MAY}?backdate=true", card(BRITAIN, currency="EUR"))
    return app.get(f"/api/v1/rate-cards/default/diff?from={JANUARY}&to={MAY}")


def checksum_wrong(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    auth = {"scheme": "bigbluebutton", "secrets": ["s" * 40]}
    body = {"dialect": "bigbluebutton", "accounts": ["*"], "auth": auth}
    body["public_url"] = "https://perminute.example.com"
    made = app.put("/api/v1/bridges/bbb", body)
    assert made.status == 201, made.json
    form = {"content-type": "application/x-www-form-urlencoded"}
    path = "/api/v1/bridges/bbb/call-ended?checksum=00"
    return app.post(path, b"event=%5B%5D&timestamp=1", key=None, headers=form)


def proof_key_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    body = {"at": app.clock.now().isoformat()}
    return app.post("/api/v1/proof-keys/none/compromised", body)


def proof_unknown(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    app.settle()
    return app.get(f"{ACCOUNT}/exports/2026-10?interim=true")


def _recharge(app: Product, amount: str, *statuses: str) -> Answer:
    credits_app = CreditsApp(app.tables, app.clock)
    auto = {"trigger": "20.00", "amount": "50.00"}
    credits_app.open(balance="21.00", auto_recharge=auto)
    credits_app.spend("2.00")
    (wanted,) = credits_app.items("recharges")
    answer = None
    for status in statuses:
        answer = credits_app.answer(wanted["id"], status, amount=amount)
    assert answer is not None
    return answer


def recharge_mismatch(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    return _recharge(app, "5.00", "succeeded")


def recharge_settled(app: ChargingApp, _: pytest.MonkeyPatch) -> Answer:
    return _recharge(app, "50.00", "succeeded", "declined")


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        *(checksum_wrong, proof_key_unknown, proof_unknown, recharge_mismatch, recharge_settled),
        *(authorization_ended, authorization_unknown, bad_request, console_missing, contended),
        *(currencies_differ, dead_letter_unknown, deck_too_costly, effective_from_too_soon),
        *(
            expiry_in_the_past,
            idempotency_key_mismatch,
            internal,
            ledger_corrupt,
            leg_needed,
        ),
        *(length_required, parked_leg_charged_as, parked_leg_dismissed, parked_leg_replayed),
        *(
            proof_key_compromised,
            proof_key_replaced,
            proofs_off,
            rate_card_unreadable,
            rate_limited,
        ),
        *(result_too_large, row_unreadable, schema_unknown, service_number_unknown),
        *(settings_unreadable, too_many_lots, too_many_registrations, too_many_versions),
        *(too_many_webhooks, unavailable, version_frozen),
    )
}


def _case(case: Case) -> Answer:
    with Product() as app:
        app.account()
        app.clock.advance(days=40)
        app.post(f"{ACCOUNT}/top-ups", {"amount": "1"}, headers=KEYED)
        app.put(f"{ACCOUNT}/webhooks/w", {"url": "https://w.example.com/", "events": ["*"]})
        headers = dict(case.headers)
        if headers.get("if-match") == "etag":
            headers["if-match"] = app.get(ACCOUNT).etag
        more: dict[str, Any] = {"headers": headers}
        if case.key != "admin":
            more["key"] = case.key and app.api_key(case.key, accounts=("contoso",))
        return app.call(case.method, case.path, case.body, **more)


def _scene(scene: Scene) -> Answer:
    with ChargingApp() as app, pytest.MonkeyPatch.context() as patch:
        return scene(app, patch)


@cache
def example(code: str) -> Answer:
    """The answer with a code. Raises LookupError for a code without a request."""
    if code in SCENES:
        return _scene(SCENES[code])
    return _case(next(each for each in CASES if each.code == code))

"""A session that calls every function of the API once, on a running product.

`python -m tests.openapi.session` plays it and records requests and answers as the examples
of the document. Who adds a route adds a call here.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from local.stack import Stack
from shared.domain.common.kinds import LegKind
from shared.domain.legs.leg import EndedLeg, QueuedLeg, queued_leg_bytes
from tests.support.client import Admin, Answer, Http, SigningBridge, eventually

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "shared" / "contracts" / "openapi" / "openapi_examples.json"
SECRETS = re.compile(r"whsec_[A-Za-z0-9+/=]+|(?<=pm_)[0-9a-f]{16}_[A-Za-z0-9_-]+")
ITEMS_MAX = 3
VERSION = "2026-01-01T00:00:00Z"
ACCOUNT, FUND, BRIDGE, CARD = "contoso", "fund", "studio", "default"
LEG = {
    "leg_id": "9f2c-1",
    "conference_id": "3001",
    "kind": "dial_out",
    "from": "+33170180042",
    "to": "+442079460123",
    "started_at": "2026-11-20T10:00:00Z",
    "answered_at": "2026-11-20T10:00:07Z",
    "ended_at": "2026-11-20T10:03:10Z",
    "talk_seconds": 183,
}
DEAD_LEG = EndedLeg(
    bridge=BRIDGE,
    leg_id="9f2c-5",
    conference_id="3001",
    kind=LegKind.DIAL_OUT,
    from_number="+33170180042",
    to_number="+442079460123",
    started_at=datetime(2026, 11, 20, 11, tzinfo=UTC),
    answered_at=datetime(2026, 11, 20, 11, 0, 7, tzinfo=UTC),
    ended_at=datetime(2026, 11, 20, 11, 3, 10, tzinfo=UTC),
)
DEAD_EVENT = json.dumps(
    {
        "specversion": "1.0",
        "id": f"{ACCOUNT}:1:1",
        "source": f"/accounts/{ACCOUNT}",
        "type": "credits.topped_up",
        "time": "2026-11-20T11:00:00Z",
        "data": {},
    }
).encode()
NO_PRICE = {**LEG, "leg_id": "9f2c-2", "to": "+390669812345"}


_MAPPING = {
    "currency": "USD",
    "rounding": {"mode": "half_up", "decimals": 4},
    "columns": {"prefix": "Code", "destination": ["Name"], "price": "Rate"},
}
_RECORD = "lost-1,dial_out,+442079460000,,2026-11-20T10:00:00Z,60,0.10,USD"
FILES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "put_organizers": {
        "": ("text/csv", "id,cost_center\nann@contoso.com,sales\nken@contoso.com,ops\n"),
    },
    "put_conferences": {"": ("text/csv", "conference;organizer\n3002;ann@contoso.com\n")},
    "put_service_numbers": {"": ("text/csv", "number,kind\n+33170180001,toll_free\n")},
    "import_rate_card_version": {
        "mapping": ("application/json", json.dumps(_MAPPING)),
        "deck": ("text/csv", "Code,Name,Rate\n44,United Kingdom,0.0110\n"),
    },
    "post_reconciliation": {
        "mapping": ("text/plain", "perminute"),
        "file": (
            "text/csv",
            f"leg,kind,to,from,answered_at,talk_seconds,amount,currency\n{_RECORD}\n",
        ),
    },
}
"""The bodies that are no JSON: media type and text by part, "" for the whole body."""


@dataclass
class Session:
    """Calls by function name; `played` has what became of each."""

    http: Http
    admin: Admin
    played: dict[str, dict[str, Any]] = field(default_factory=dict)
    bridge: SigningBridge | None = None
    management_url: str = ""

    def bury(self, body: bytes, entity: str = "call-ended") -> None:
        """Make a message a dead letter of a queue or subscription."""
        url = f"{self.management_url}/{entity}/$deadletterqueue"
        urlopen(Request(url, body, method="POST")).close()

    def note(self, name: str, answer: Answer, request: object = None) -> Any:
        """Keep what was answered; the JSON of it, None where there is none."""
        assert answer.status < 300, (name, answer)
        body = answer.json() if answer.body else None
        kept: dict[str, Any] = {"status": answer.status}
        if request is not None:
            kept["request"] = request
        if body is not None:
            kept["response"] = _short(body)
        self.played[name] = kept
        return body

    def call(
        self,
        name: str,
        method: str,
        path: str,
        request: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One call of an administrator."""
        return self.note(name, self.admin.request(method, path, request, headers=headers), request)

    def post(self, name: str, path: str, request: object) -> Any:
        """One signed call of the bridge."""
        assert self.bridge is not None
        return self.note(name, self.bridge.post(path, request), request)


def play(http: Http, admin: Admin, management_url: str) -> dict[str, dict[str, Any]]:
    """Call everything once; by function name: request, status, response."""
    session = Session(http, admin, management_url=management_url)
    for step in STEPS:
        step(session)
    return session.played


def _service(session: Session) -> None:
    # Its checks have a time limit, which a busy machine may overrun at first.
    requested: list[Answer] = []

    def is_well() -> bool:
        requested.append(session.http.send("GET", "/api/health"))
        return requested[-1].status == 200

    eventually(is_well)
    session.note("get_health", requested[-1])
    session.call("get_status", "GET", "status")
    answer = session.http.send("GET", "/api/openapi.json")
    assert answer.status == 200
    session.played["get_openapi"] = {"status": 200}


def _prices(session: Session) -> None:
    version = {
        "currency": "USD",
        "rounding": {"mode": "half_up", "decimals": 4},
        "rates": [
            {
                "kind": "dial_out",
                "prefix": "44",
                "destination": "United Kingdom",
                "connection_fee": "0.05",
                "slots": [_slot("0.012")],
            }
        ],
    }
    path = f"rate-cards/{CARD}/versions/{VERSION}"
    session.call("put_rate_card_version", "PUT", path, version)
    session.call("get_rate_card_version", "GET", path)
    session.call("lint_rate_card_version", "GET", f"{path}/lint")
    session.call("list_rate_cards", "GET", "rate-cards")
    session.call("get_rate_card", "GET", f"rate-cards/{CARD}")
    session.call("get_price_list", "GET", f"rate-cards/{CARD}/price-list")
    content, media_type = form(FILES["import_rate_card_version"])
    answer = session.admin.request(
        "POST",
        f"rate-cards/carrier/import?effective_from={VERSION}",
        content,
        headers={"content-type": media_type},
    )
    session.note("import_rate_card_version", answer)
    session.call(
        "diff_rate_card",
        "GET",
        f"rate-cards/{CARD}/diff?from={VERSION}&to={VERSION}&to_card=carrier",
    )


def form(parts: Mapping[str, tuple[str, str]]) -> tuple[bytes, str]:
    """The body of a form, and its media type."""
    lines: list[str] = []
    for name, (media_type, text) in parts.items():
        lines += ["--part", f'content-disposition: form-data; name="{name}"; filename="{name}"']
        lines += [f"content-type: {media_type}", "", text]
    return "\r\n".join([*lines, "--part--", ""]).encode(), "multipart/form-data; boundary=part"


def _account(session: Session) -> None:
    account = {
        "currency": "USD",
        "name": "Contoso",
        "usage_location": "FR",
        "alerts": [{"name": "low", "below": "20.00"}],
    }
    path = f"accounts/{ACCOUNT}"
    session.call("put_account", "PUT", path, account)
    credit = {"amount": "100.00", "reference": "PO 1234"}
    key = {"idempotency-key": "po-1234"}
    session.call("post_top_up", "POST", f"{path}/top-ups", credit, key)
    session.call("get_account", "GET", path)
    session.call("list_accounts", "GET", "accounts")
    session.call("patch_account", "PATCH", path, {"time_zone": "Europe/Paris"})
    organizer = {"license": "pay_per_minute", "cost_center": "sales"}
    session.call("put_organizer", "PUT", f"{path}/organizers/ken%40contoso.com", organizer)
    session.call("get_organizer", "GET", f"{path}/organizers/ken%40contoso.com")
    session.call(
        "patch_organizer", "PATCH", f"{path}/organizers/ken%40contoso.com", {"cost_center": "ops"}
    )
    policy = {"blocked_regions": ["CU"]}
    session.call("put_dial_out_policy", "PUT", f"{path}/dial-out-policy", policy)
    session.call("get_dial_out_policy", "GET", f"{path}/dial-out-policy")
    lists = {"blocked_regions": ["CU", "KP"]}
    session.call("patch_dial_out_policy", "PATCH", f"{path}/dial-out-policy", lists)
    meeting = {"organizer": "ken@contoso.com"}
    session.call("put_conference", "PUT", f"{path}/conferences/3001", meeting)
    session.call("get_conference", "GET", f"{path}/conferences/3001")
    number = {"kind": "toll"}
    session.call("put_service_number", "PUT", f"{path}/service-numbers/%2B33170180000", number)
    for name in ("organizers", "conferences", "service-numbers"):
        session.call(f"list_{name.replace('-', '_')}", "GET", f"{path}/{name}")
    for name in ("organizers", "conferences", "service-numbers"):
        function = f"put_{name.replace('-', '_')}"
        media_type, text = FILES[function][""]
        answer = session.admin.request(
            "PUT", f"{path}/{name}", text.encode(), headers={"content-type": media_type}
        )
        session.note(function, answer)
    session.call("get_region", "GET", f"regions/GB?account={ACCOUNT}")
    session.call("list_regions", "GET", f"regions?account={ACCOUNT}")
    session.call("get_service_number", "GET", f"{path}/service-numbers/%2B33170180000")
    requested = {"account": ACCOUNT, "kind": "dial_out", "to": LEG["to"], "talk_seconds": 183}
    session.call("post_quote", "POST", "quotes", requested)
    number = {"to": LEG["to"], "organizer_id": "ken@contoso.com"}
    session.call("try_dial_out", "POST", f"{path}/dial-out-policy/try", number)
    requested = {"account": ACCOUNT, "to": LEG["to"], "minutes": [1, 5]}
    session.call("post_quote_table", "POST", "quotes/table", requested)


def _bridge(session: Session) -> None:
    bridge = {
        "dialect": "perminute",
        "auth": {"scheme": "standard-webhooks"},
        "accounts": [ACCOUNT],
        "country": "FR",
        "control": {"url": "http://127.0.0.1:9/control"},
    }
    made = session.call("put_bridge", "PUT", f"bridges/{BRIDGE}", bridge)
    session.bridge = SigningBridge(session.http, BRIDGE, made["auth"]["secrets"][0])
    session.call("get_bridge", "GET", f"bridges/{BRIDGE}")
    session.call("list_bridges", "GET", "bridges?prefix=stu")
    session.call("try_bridge_post", "POST", f"bridges/{BRIDGE}/try", LEG)
    address = f"/api/v1/bridges/{BRIDGE}/call-ended"
    origin = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    session.note("options_call_ended", session.http.send("OPTIONS", address, b"", origin))
    session.call("patch_bridge", "PATCH", f"bridges/{BRIDGE}", {"country": "GB"})


def _calls(session: Session) -> None:
    requested = {"to": LEG["to"], "conference_id": "3001", "requested_seconds": 300}
    allowed = session.post("post_dial_out", "dial-outs", requested)
    named = {"authorization": allowed["authorization"]}
    call = f"dial-outs/{allowed['authorization']}"
    session.post("answer_dial_out", f"{call}/answered", named)
    session.post("extend_dial_out", f"{call}/extend", {"seconds": 600, **named})
    session.call("list_calls", "GET", f"accounts/{ACCOUNT}/calls")
    session.call("get_conference_cost", "GET", f"accounts/{ACCOUNT}/conferences/3001/cost")
    session.post("release_dial_out", f"{call}/release", {**named, "release": True})
    caller = {"from": "+33612345678", "to": "+33170180000", "conference_id": "3001"}
    session.post("post_dial_in", "dial-ins", caller)
    denied = {"to": "+442079460", "conference_id": "3001"}
    assert session.bridge is not None
    assert session.bridge.post("dial-outs", denied).json()["decision"] == "deny"
    denials = f"accounts/{ACCOUNT}/denials"
    assert eventually(lambda: session.admin.get(denials)["items"])
    session.call("list_denials", "GET", denials)
    session.post("post_call_ended", "call-ended", LEG)
    path = f"accounts/{ACCOUNT}/legs/{BRIDGE}~{LEG['leg_id']}"
    assert eventually(lambda: session.admin.request("GET", path).status == 200)
    session.call("get_leg", "GET", path)
    session.call("get_leg_receipt", "GET", f"{path}/receipt?interim=true")
    assert session.bridge is not None
    assert session.bridge.ended([NO_PRICE, {**NO_PRICE, "leg_id": "9f2c-3"}]).status == 202
    waiting = "parked-legs?status=open"
    assert eventually(lambda: len(session.admin.get(waiting)["items"]) == 2)
    first, second = session.call("list_parked_legs", "GET", waiting)["items"]
    corrected = {"leg": {**LEG, "leg_id": first["leg"].partition("~")[2]}}
    session.call("replay_parked_leg", "POST", f"parked-legs/{first['id']}/replay", corrected)
    because = {"note": "A test call"}
    session.call("dismiss_parked_leg", "POST", f"parked-legs/{second['id']}/dismiss", because)
    assert session.bridge.ended([{**NO_PRICE, "leg_id": "9f2c-4"}]).status == 202
    assert eventually(lambda: len(session.admin.get(waiting)["items"]) == 1)
    lot = {"reason": "rate_missing"}
    session.call("replay_parked_legs", "POST", "parked-legs/replay", lot)
    session.call("dismiss_parked_legs", "POST", "parked-legs/dismiss", lot | because)


def _dead_letters(session: Session) -> None:
    session.bury(queued_leg_bytes(QueuedLeg(DEAD_LEG, DEAD_LEG.ended_at)))
    session.bury(DEAD_EVENT, "credit-events/subscriptions/webhooks")
    letter, _ = session.call("list_dead_letters", "GET", "dead-letters")["items"]
    session.call("replay_dead_letter", "POST", f"dead-letters/{letter['id']}/replay")


def _reratings(session: Session) -> None:
    requested = {"accounts": [ACCOUNT], "from": "2026-11-01T00:00:00Z", "rate_card": "carrier"}
    requested |= {"to": "2026-12-01T00:00:00Z"}
    session.call("post_rerating", "POST", "reratings", requested)
    other = {"rate_card": "carrier", "month": "2026-11"}
    session.call("post_price_what_if", "POST", f"accounts/{ACCOUNT}/rate-card/what-if", other)
    content, media_type = form(FILES["post_reconciliation"])
    answer = session.admin.request(
        "POST",
        f"accounts/{ACCOUNT}/reconciliations",
        content,
        headers={"content-type": media_type},
    )
    session.note("post_reconciliation", answer)
    session.call(
        "get_pstn_usage", "GET", f"accounts/{ACCOUNT}/reports/pstn-usage?month=2026-11&format=graph"
    )


def _corrections(session: Session) -> None:
    path = f"accounts/{ACCOUNT}"
    correction = {"amount": "-3.20", "reason": "Invoice 77 was paid twice"}
    key = {"idempotency-key": "invoice-77"}
    session.call("post_adjustment", "POST", f"{path}/adjustments", correction, key)
    leg = f"{path}/legs/{BRIDGE}~{LEG['leg_id']}"
    session.call("post_reversal", "POST", f"{leg}/reversal", {"reason": "Bad line"})
    stop = f"{path}/dial-out-policy"
    session.call("stop_dial_out", "POST", f"{stop}/stop", {"reason": "Strange calls"})
    session.call("get_dial_out_state", "GET", f"{stop}/state")
    session.call("restart_dial_out", "POST", f"{stop}/restart", {})


def _reports(session: Session) -> None:
    path = f"accounts/{ACCOUNT}"
    session.call("list_entries", "GET", f"{path}/entries?limit=2")
    balance = session.call("get_balance", "GET", f"{path}/balance")
    month = session.played["list_entries"]["response"]["items"][0]["at"][:7]
    session.call("get_statement", "GET", f"{path}/statements/{month}")
    session.call("list_legs", "GET", f"{path}/legs?month={month}&limit=2")
    session.call("get_usage", "GET", f"{path}/usage?month={month}&group_by=region,organizer")
    session.call("verify_ledger", "GET", f"{path}/verify")
    session.call("post_erasure", "POST", f"{path}/erasures", {"number": LEG["from"]})
    assert balance


def _proofs(session: Session) -> None:
    """The audit closes no day of today's; the example of a closed one is that of docs/proof.md."""
    path = f"accounts/{ACCOUNT}"
    session.call("post_nightly_audit", "POST", "operations/nightly-audit")
    receipt = session.call("get_entry_receipt", "GET", f"{path}/entries/1/receipt?interim=true")
    session.call("list_proofs", "GET", f"{path}/proofs")
    closed = json.loads((ROOT / "tests/golden/proof_vectors.json").read_text("utf-8"))["roots"][:2]
    before, after = ({**each, "digest": ""} for each in closed)
    before["digest"] = after["root"]["previous"]
    session.played["get_proof"] = {"status": 200, "response": before}
    month = receipt["created_at"][:7]
    answer = session.admin.request("GET", f"{path}/exports/{month}?interim=true")
    assert answer.status == 200
    session.played["get_month_file"] = {"status": 200, "media_type": "application/gzip"}
    (key,) = session.call("list_proof_keys", "GET", "proof-keys")["keys"]
    at = {"at": receipt["created_at"]}
    session.call("post_compromised", "POST", f"proof-keys/{key['id']}/compromised", at)


def _notices(session: Session) -> None:
    """An account that runs low, requests credits and notifies a customer who does not answer."""
    path = f"accounts/{FUND}"
    recharge = {"trigger": "20.00", "amount": "50.00", "max_per_day": 2}
    alerts = [{"name": "low", "below": "15.00"}]
    wanted = {"currency": "USD", "alerts": alerts, "auto_recharge": recharge}
    assert session.admin.request("PUT", path, wanted).status == 201
    hook = {"url": "http://127.0.0.1:9/hook", "events": ["credits.low"]}  # one delivery
    session.call("put_webhook", "PUT", f"{path}/webhooks/erp", hook)
    session.call("get_webhook", "GET", f"{path}/webhooks/erp")
    session.call("list_webhooks", "GET", f"{path}/webhooks")
    session.admin.request("POST", f"{path}/top-ups", {"amount": "22.00"}, headers=_key("fund"))
    fee = {"amount": "-10.00", "reason": "A fee."}
    session.admin.request("POST", f"{path}/adjustments", fee, headers=_key("fee"))
    assert eventually(lambda: session.admin.items(f"{path}/alerts"), 20)
    (alert, *_) = session.call("list_alerts", "GET", f"{path}/alerts?limit=1")["items"]
    session.call("acknowledge_alert", "POST", f"{path}/alerts/{alert['id']}/acknowledge", {})
    assert eventually(lambda: session.admin.items(f"{path}/recharges"), 20)
    (requested, *_) = session.call("list_recharges", "GET", f"{path}/recharges")["items"]
    result = {"status": "succeeded", "amount": "50.00", "currency": "USD", "reference": "card 4242"}
    session.call("post_recharge_result", "POST", f"recharges/{requested['id']}/result", result)
    session.call("get_outlook", "GET", f"{path}/outlook")
    deliveries = f"{path}/webhooks/erp/deliveries"
    assert eventually(lambda: session.admin.items(deliveries)[0].get("error"), 30)
    (delivery, *_) = session.call("list_deliveries", "GET", f"{deliveries}?limit=1")["items"]
    session.call("replay_delivery", "POST", f"{deliveries}/{delivery['id']}/replay", {})
    session.call("delete_webhook", "DELETE", f"{path}/webhooks/erp")
    policy = {"policy": {"default_policy": "DialoutCPCandPSTNDisabled"}}
    session.call("post_what_if", "POST", f"accounts/{ACCOUNT}/dial-out-policy/what-if", policy)


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def _keys(session: Session) -> None:
    wanted = {"name": "reports", "roles": ["reader"], "accounts": [ACCOUNT]}
    made = session.call("create_api_key", "POST", "api-keys", wanted)
    session.call("list_api_keys", "GET", "api-keys")
    session.call("get_caller", "GET", "caller")
    session.call("list_audit_log", "GET", "audit-log")
    session.call("delete_api_key", "DELETE", f"api-keys/{made['id']}")


def _removals(session: Session) -> None:
    path = f"accounts/{ACCOUNT}"
    session.call("delete_conference", "DELETE", f"{path}/conferences/3001")
    session.call("delete_service_number", "DELETE", f"{path}/service-numbers/%2B33170180000")
    session.call("delete_organizer", "DELETE", f"{path}/organizers/ken%40contoso.com")
    session.call("delete_bridge", "DELETE", f"bridges/{BRIDGE}")


def _short(value: Any) -> Any:
    """The answer with the beginning of its lists: an example, not a whole price list."""
    if isinstance(value, list):
        return [_short(each) for each in value[:ITEMS_MAX]]
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    return value


def _slot(price: str) -> dict[str, object]:
    return {"from_second": 0, "price": price, "unit_seconds": 60, "increment_seconds": 60}


STEPS = (
    *(_service, _prices, _account, _bridge, _calls, _dead_letters),
    *(_reratings, _corrections, _reports, _proofs, _notices, _keys, _removals),
)


@contextmanager
def running(folder: Path) -> Iterator[tuple[Http, Admin, str]]:
    """A stack of its own; its third part is the management side of its bus."""
    with Stack(folder) as stack:
        http = Http(stack.base_url)
        yield http, Admin(http, stack.admin_key), stack.service_bus_management_url


def main() -> None:
    """Record."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as parts:
        played = play(*parts)
    text = json.dumps(dict(sorted(played.items())), indent=1, ensure_ascii=False)
    RECORDED.write_text(SECRETS.sub(lambda found: found[0][:6] + "…", text) + "\n", "utf-8")
    print(f"{len(played)} functions recorded")


if __name__ == "__main__":
    main()

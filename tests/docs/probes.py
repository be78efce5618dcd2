"""Mistaken requests to every route: absent and malformed ids, fields, parameters and headers."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from functions.http import ROUTES
from shared.contracts.common.queries import QueryKind
from shared.contracts.common.routes import Route
from shared.contracts.openapi.document import recorded
from tests.openapi.session import FILES, form
from tests.support.charging_app import JANUARY, TOKYO, ChargingApp

SECRET = "s" * 40
PRESENT = {
    "account": "contoso",
    "authorization": "none",
    "bridge": "probed",
    "card": "default",
    "conference": "3001",
    "date": "2026-11-22",
    "effective_from": JANUARY,
    "id": "1",
    "key": "none",
    "leg": "pbx~leg-1",
    "month": "2026-11",
    "name": "hook",
    "number": "%2B33170180042",
    "organizer": "ken",
    "recharge": "contoso~1",
    "region": "FR",
    "sequence": "1",
}
ABSENT = {
    **dict.fromkeys(PRESENT, "none"),
    "date": "2020-01-01",
    "effective_from": "2020-01-01T00:00:00Z",
    "leg": "pbx~none",
    "month": "2020-01",
    "number": "%2B4969123456",
    "recharge": "contoso~9",
    "region": "ZZ",
    "sequence": "99",
}
MALFORMED = "A%20b"
NEEDED = {
    "import_rate_card_version": "?effective_from=2030-01-01T00:00:00Z",
    "diff_rate_card": f"?from={JANUARY}&to={JANUARY}",
}
"""The query of a route that needs one."""


class Probe(NamedTuple):
    """A request to a route."""

    route: Route
    path: str
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def app() -> ChargingApp:
    """A product with one of each object that a path may name."""
    made = ChargingApp()
    made.settle()
    path = "/api/v1/accounts/contoso"
    bearer = {"scheme": "bearer", "secrets": [SECRET]}
    made.put("/api/v1/bridges/probed", {"dialect": "perminute", "accounts": ["*"], "auth": bearer})
    made.put(f"{path}/organizers/ken", {})
    made.put(f"{path}/conferences/3001", {"organizer": "ken"})
    made.put(f"{path}/service-numbers/+33170180042", {"kind": "toll"})
    made.put(f"{path}/webhooks/hook", {"url": "https://w.example.com/", "events": ["*"]})
    made.leg()
    made.parked(made.ended(to=TOKYO))
    return made


def probes() -> Iterator[Probe]:
    """Requests that differ from a valid one in one place."""
    for route in ROUTES:
        if "{" in route.path or route.body or route.queries:
            yield from _of(route)


def answer_code(made: ChargingApp, probe: Probe) -> str | None:
    """The error code of the answer to a probe."""
    headers = {"idempotency-key": "probe", **probe.headers}
    key: dict[str, Any] = {}
    if "{bridge}" in probe.route.path and probe.route.roles is None:
        headers["authorization"] = f"Bearer {SECRET}"
        key = {"key": None}
    answer = made.call(probe.route.method, probe.path, probe.body, headers=headers, **key)
    return answer.code if answer.status >= 400 else None


def _of(route: Route) -> Iterator[Probe]:
    names = re.findall(r"{(\w+)}", route.path)
    valid, body = _path(route, PRESENT), _body(route)
    headers = {}
    if isinstance(body, bytes):
        headers["content-type"] = _media_type(route)
    for name in names:
        creates = route.method == "PUT" and name == names[-1]
        for text in (MALFORMED,) if creates else (ABSENT[name], MALFORMED):
            yield Probe(route, _path(route, {**PRESENT, name: text}), body, headers)
    for query in route.queries or ():
        values = ["none", "contoso"] if query.kind is QueryKind.TEXT else ["x"]
        values += ["2020-01", "1969-01"] if query.kind is QueryKind.MONTH else []
        values += ["2020-01-01"] if query.kind is QueryKind.TIME else []
        for text in values:
            yield Probe(route, _with(valid, query.name, text), body, headers)
    if route.if_match:
        yield Probe(route, valid, body, {**headers, "if-match": '"99"'})
        absent = _path(route, {**PRESENT, names[-1]: "new"})
        yield Probe(route, absent, body, {**headers, "if-match": '"99"'})
    if route.idempotency_key:
        yield Probe(route, valid, body, {"idempotency-key": "a b"})
    if isinstance(body, dict):
        yield Probe(route, valid, {}, headers)
        for name, value in body.items():
            if isinstance(value, str):
                yield Probe(route, valid, {**body, name: "none"}, headers)


def _path(route: Route, values: dict[str, str]) -> str:
    path = re.sub(r"{(\w+)}", lambda found: values[found[1]], route.path)
    return f"/api/{path}{NEEDED.get(route.name, '')}"


def _with(target: str, name: str, text: str) -> str:
    """The target with a parameter set."""
    path, _, query = target.partition("?")
    others = [each for each in query.split("&") if each and not each.startswith(f"{name}=")]
    return f"{path}?{'&'.join([*others, f'{name}={text}'])}"


def _body(route: Route) -> Any:
    if route.body is None:
        return None
    if route.name in FILES:
        files = FILES[route.name]
        return files[""][1].encode() if "" in files else form(files)[0]
    return recorded()[route.name].get("request", {})


def _media_type(route: Route) -> str:
    files = FILES[route.name]
    return files[""][0] if "" in files else form(files)[1]

"""One account never sees another: every operation × every id that it takes × every role.

The matrix is made of the route table and of the contracts. A new route, query parameter or body
field is in it at once; a name that this test can't place fails it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args
from urllib.parse import quote

import pytest
from pydantic import BaseModel

import function_app
from functions.http import ROUTES
from shared.contracts.common.cursors import seal
from shared.contracts.common.routes import Route
from shared.contracts.common.visible_ids import ACCOUNTS, RATE_CARDS
from shared.domain.directory.access import Role
from tests.support.product import SETTINGS, Answer, Product

OWN, FOREIGN, ABSENT = "contoso", "fabrikam", "nosuch"
MARK = "of-fabrikam-only"
OWN_TIME, FOREIGN_TIME, ABSENT_TIME = (f"2026-0{n}-01T00:00:00Z" for n in (1, 2, 3))
RATE = {
    "kind": "dial_out",
    "prefix": "44",
    "connection_fee": "0.05",
    "slots": [{"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}],
}

PATH_IDS: dict[str, tuple[str, str, str]] = {
    "account": (OWN, FOREIGN, ABSENT),
    "authorization": (f"au_x.{OWN}", f"au_x.{FOREIGN}", f"au_x.{ABSENT}"),
    "bridge": ("own-bridge", "foreign-bridge", "absent-bridge"),
    "card": ("own-card", "foreign-card", "absent-card"),
    "conference": ("own-room", "foreign-room", "absent-room"),
    "date": ("2026-10-01", "2026-11-01", "2026-12-01"),
    "effective_from": (OWN_TIME, FOREIGN_TIME, ABSENT_TIME),
    "id": ("1", "2", "3"),
    "key": ("0" * 16, "1" * 16, "2" * 16),
    "leg": ("b~own", "b~foreign", "b~absent"),
    "month": ("2026-10", "2026-11", "2026-12"),
    "name": ("own-hook", "foreign-hook", "absent-hook"),
    "number": ("+33170000001", "+33170000002", "+33170000003"),
    "organizer": ("own@x", "foreign@x", "absent@x"),
    "region": ("FR", "DE", "GB"),
    "sequence": ("1", "2", "3"),
    "recharge": (f"{OWN}.1", f"{FOREIGN}.1", f"{ABSENT}.1"),
}
"""(own, foreign, absent) ids by the name of their path segment."""

OF_OTHERS = re.compile(r"account|card|tenant")
"""Names of parameters and fields that must be known to `visible_ids`, for they name what other
callers have; all other ids are looked up in the account that the request names."""
SHOWN_TO_ALL = frozenset({"subscription_licenses"})

NEEDED_QUERY = {"diff_rate_card": f"from={OWN_TIME}&to={OWN_TIME}"}
"""What an operation needs to get to its list."""
NEEDED_BODY: dict[str, dict[str, object]] = {
    "dismiss_parked_legs": {"account": OWN, "note": "x"},
    "post_price_what_if": {"rate_card": "own-card"},
    "post_rerating": {"accounts": [OWN], "from": OWN_TIME},
    "replay_parked_legs": {"account": OWN},
}
assert function_app.app, "importing it declares the routes"


@dataclass(frozen=True)
class Place:
    """Where an operation takes an id: `field` is the path to it within a body."""

    route: Route
    part: str
    name: str
    field: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.route.name}-{self.part}-{'.'.join(self.field) or self.name}"


def _fields(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The fields of a contract at every depth, lists as `[]`."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield here
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _fields(kind, here)


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


@cache
def places() -> tuple[Place, ...]:
    """Every place of every administrators' operation."""
    found: list[Place] = []
    for route in ROUTES:
        if route.roles is None:
            continue
        found += [Place(route, "path", name) for name in re.findall(r"\{(\w+)\}", route.path)]
        found += [Place(route, "query", each.name) for each in route.queries or ()]
        model = route.body.model if route.body else None
        for field in _fields(model) if model else ():
            found.append(Place(route, "body", field[-1], field))
    return tuple(found)


def is_of_others(place: Place) -> bool:
    return place.name in ACCOUNTS | RATE_CARDS


def test_every_name_of_what_others_have_is_known() -> None:
    """A name that the edge does not check is found here."""
    for place in places():
        if place.part == "path":
            assert place.name in PATH_IDS, f"{place}: say in PATH_IDS what is foreign"
        elif OF_OTHERS.search(place.name):
            assert is_of_others(place) or place.name in SHOWN_TO_ALL, f"{place}: see visible_ids"


@cache
def _neighbours() -> Product:
    """Own and foreign things of every kind, in one product for the whole matrix."""
    app = Product()
    for index, (account, card) in enumerate(((OWN, "own-card"), (FOREIGN, "foreign-card"))):
        mark = MARK if account == FOREIGN else "mine"
        app.account(account, rate_card=card, name=mark)
        base = f"/api/v1/accounts/{account}"
        rates = {
            "currency": "USD",
            "time_zone": "UTC",
            "rounding": {"mode": "half_up", "decimals": 4},
            "rates": [{**RATE, "destination": mark}],
        }
        ids = {name: quote(values[index], safe="") for name, values in PATH_IDS.items()}
        for path, body in (
            (f"rate-cards/{card}/versions/{(OWN_TIME, FOREIGN_TIME)[index]}", rates),
            (f"bridges/{ids['bridge']}", {"dialect": "perminute", "accounts": [account]}),
            (f"accounts/{account}/organizers/{ids['organizer']}", {"cost_center": mark}),
            (f"accounts/{account}/conferences/{ids['conference']}", {"organizer": mark}),
            (f"accounts/{account}/service-numbers/{ids['number']}", {"kind": "toll"}),
            (
                f"accounts/{account}/webhooks/{ids['name']}",
                {"url": f"https://{mark}.example/x", "events": ["*"]},
            ),
        ):
            assert app.put(f"/api/v1/{path}", body).status == 201, path
        stop = app.post(f"{base}/dial-out-policy/stop", {"reason": mark})
        assert stop.status == 200
        top_up = {"idempotency-key": account}
        assert app.post(f"{base}/top-ups", {"amount": "10"}, headers=top_up).status == 201
    return app


@cache
def _key(role: Role) -> str:
    return _neighbours().api_key(role.value, accounts=(OWN,))


def _send(place: Place, value: str, role: Role) -> Answer:
    """The operation with the id in its place, everything else one's own."""
    ids = {name: values[0] for name, values in PATH_IDS.items()}
    if place.part == "path":
        ids[place.name] = value
    path = re.sub(
        r"\{(\w+)\}", lambda match: quote(ids[match[1]], safe=""), f"/api/{place.route.path}"
    )
    query = NEEDED_QUERY.get(place.route.name, "")
    if place.part == "query":
        query = "&".join(part for part in (query, f"{place.name}={quote(value)}") if part)
    body: Any = dict(NEEDED_BODY.get(place.route.name, {})) or None
    if place.part == "body":
        inner: Any = [value] if place.name == "accounts" else value
        for name in reversed(place.field[1:]):
            inner = {name: inner}
        body = {**(body or {}), place.field[0]: inner}
    if body is None and place.route.method in {"POST", "PUT", "PATCH"}:
        body = {}
    target = f"{path}?{query}" if query else path
    headers = {"idempotency-key": "a-key"}
    return _neighbours().call(place.route.method, target, body, key=_key(role), headers=headers)


def _roles(route: Route) -> list[Role]:
    return sorted({*(route.roles or ()), Role.ADMIN})


def _values(place: Place) -> tuple[str, str, str] | None:
    if place.part == "path":
        return PATH_IDS[place.name]
    if place.name in ACCOUNTS:
        return PATH_IDS["account"]
    return PATH_IDS["card"] if place.name in RATE_CARDS else None


MATRIX = [(place, role) for place in places() if _values(place) for role in _roles(place.route)]


@pytest.mark.parametrize(("place", "role"), MATRIX, ids=[f"{p}-{r}" for p, r in MATRIX])
def test_what_is_foreign_is_answered_like_what_is_absent(place: Place, role: Role) -> None:
    values = _values(place)
    assert values is not None
    _, foreign_id, absent_id = values

    foreign, absent = _send(place, foreign_id, role), _send(place, absent_id, role)

    assert MARK not in foreign.body.decode()
    assert (foreign.status, _code(foreign)) == (absent.status, _code(absent))
    if is_of_others(place):
        assert foreign.status == 403


def _code(answer: Answer) -> str:
    return answer.code if answer.status >= 400 else ""


@pytest.mark.parametrize("role", [Role.READER, Role.FINANCE, Role.OPERATOR, Role.ADMIN])
def test_no_list_shows_what_is_foreign(role: Role) -> None:
    lists = [route for route in ROUTES if route.method == "GET" and route.roles is not None]
    for route in lists:
        if role in _roles(route):
            for form in ("application/json", "text/csv"):
                path = re.sub(
                    r"\{(\w+)\}",
                    lambda match: quote(PATH_IDS[match[1]][0], safe=""),
                    f"/api/{route.path}",
                )
                query = NEEDED_QUERY.get(route.name)
                target = f"{path}?{query}" if query else path
                answer = _neighbours().get(target, key=_key(role), headers={"accept": form})
                text = answer.body.decode()
                assert MARK not in text, (route.name, form)
                assert FOREIGN not in text, (route.name, form)


def _with_cursor() -> list[Place]:
    return [place for place in places() if place.name == "cursor"]


@pytest.mark.parametrize("place", _with_cursor(), ids=str)
def test_a_cursor_of_another_list_or_an_altered_one_is_refused(place: Place) -> None:
    """The place that a cursor names is never used for a list that did not give it out."""
    if place.part == "body":
        assert place.route.name in NEEDED_BODY, "say what the operation needs"
    key = SETTINGS.chain_key
    sealed = seal(key, ["another list", {}, {}, [OWN]], FOREIGN)
    altered = f"{'B' if sealed[0] == 'A' else 'A'}{sealed[1:]}"

    for cursor in (sealed, altered, FOREIGN, "0", "bnVsbA", "=", "é"):
        answer = _send(place, cursor, Role.ADMIN)
        # What needs all accounts is closed before any list begins.
        assert answer.status in {403, 422}, (cursor, answer.body)
        assert answer.code in {"cursor_invalid", "account_not_allowed"}, (cursor, answer.body)


def test_a_cursor_serves_its_own_account_query_and_caller_only() -> None:
    app = _neighbours()
    entries = "/api/v1/accounts/{}/entries?limit=1"
    for account in (OWN, FOREIGN):
        for number in range(3):
            key = {"idempotency-key": f"{account}-{number}"}
            app.post(f"/api/v1/accounts/{account}/top-ups", {"amount": "1"}, headers=key)

    cursor = app.get(entries.format(FOREIGN)).json["next"]

    assert app.get(f"{entries.format(FOREIGN)}&cursor={cursor}").status == 200
    assert app.get(f"{entries.format(FOREIGN)}&cursor={cursor}".replace("=1", "=2")).status == 200
    for target in (
        f"{entries.format(OWN)}&cursor={cursor}",
        f"{entries.format(FOREIGN)}&kind=top_up&cursor={cursor}",
        f"/api/v1/accounts?limit=1&cursor={cursor}",
    ):
        assert app.get(target).code == "cursor_invalid", target
    for number in range(0, len(cursor), 5):
        other = "B" if cursor[number] == "A" else "A"
        altered = f"{cursor[:number]}{other}{cursor[number + 1 :]}"
        answer = app.get(f"{entries.format(FOREIGN)}&cursor={altered}")
        assert answer.code == "cursor_invalid", altered
    limited = app.api_key("reader", accounts=(FOREIGN,))
    refused = app.get(f"{entries.format(FOREIGN)}&cursor={cursor}", key=limited)
    assert refused.code == "cursor_invalid"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "quotes", {"rate_card": "{card}", "to": "+442079460123", "talk_seconds": 60}),
        ("POST", f"accounts/{OWN}/rate-card/what-if", {"rate_card": "{card}"}),
        ("POST", "reratings", {"accounts": [OWN], "from": OWN_TIME, "rate_card": "{card}"}),
        ("POST", "reratings", {"accounts": [OWN], "from": OWN_TIME, "charged_by": "{card}"}),
        ("PUT", f"accounts/{OWN}", {"currency": "USD", "rate_card": "{card}"}),
    ],
)
def test_finance_of_one_account_gets_no_price_of_a_foreign_card(
    method: str, path: str, body: dict[str, object]
) -> None:
    app, key = _neighbours(), _key(Role.FINANCE)
    for card in ("foreign-card", "absent-card"):
        named = {name: card if value == "{card}" else value for name, value in body.items()}
        answer = app.call(method, f"/api/v1/{path}", named, key=key)
        assert (answer.status, answer.code) == (403, "rate_card_not_allowed")


def test_finance_of_one_account_does_not_fall_back_onto_a_card_that_it_does_not_see() -> None:
    """A PUT takes the default for what is left out; the card of that name may be another's."""
    app = _neighbours()
    etag = app.get(f"/api/v1/accounts/{OWN}").etag

    answer = app.put(f"/api/v1/accounts/{OWN}", {"currency": "USD"}, etag, key=_key(Role.FINANCE))

    assert (answer.status, answer.code) == (403, "rate_card_not_allowed")
    kept = {"currency": "USD", "rate_card": "own-card", "name": "mine"}
    put = app.put(f"/api/v1/accounts/{OWN}", kept, etag, key=_key(Role.FINANCE))
    assert put.status == 200

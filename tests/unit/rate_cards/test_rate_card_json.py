# ruff: noqa: E501 - a table is read by its columns
"""Rate cards as JSON: read strictly, written back the same."""

import contextlib
import copy
import json
import random
from typing import Any

import pytest

from shared.contracts.rate_cards.json_format import (
    RateCardBody,
    parse_rate_card_json,
    render_rate_card_json,
)
from shared.domain.common import limits
from shared.domain.common.errors import BadRequest, Invalid
from shared.domain.rating.rate_card import RateCardVersion
from tests.unit.rating.cases import VERSION_FROM, card, random_call
from tests.unit.rating.test_packing import random_version

type Json = dict[str, Any]

CONTRACT: Json = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
    "rates": [
        {
            "kind": "dial_out",
            "prefix": "33",
            "destination": "France",
            "connection_fee": "0.05",
            "slots": [
                {"from_second": 0, "price": "0.012", "unit_seconds": 60, "increment_seconds": 60}
            ],
        }
    ],
}
FULL_RATE: Json = {
    "kind": "dial_in",
    "prefix": "18005550100",
    "destination": "Toll-free, évening",
    "connection_fee": "0.05",
    "slots": [
        {"from_second": 0, "price": "0.000000000001", "unit_seconds": 1, "increment_seconds": 30},
        {"from_second": 30, "price": "0", "unit_seconds": 60, "increment_seconds": 6},
    ],
    "minimum_charge": "0.02",
    "maximum_charge": "5",
    "maximum_charge_strategy": "stop",
    "bands": [
        {
            "name": "evening",
            "weekdays": [1, 5],
            "from": "18:00",
            "until": "23:59:59",
            "dates": ["2026-12-25", "01-01"],
            "weight": 10,
            "connection_fee": "0",
            "slots": [
                {"from_second": 0, "price": "1", "unit_seconds": 60, "increment_seconds": 60}
            ],
        },
        {
            "from": "22:00",
            "until": "24:00",
            "weight": 11,
            "slots": [
                {"from_second": 0, "price": "2", "unit_seconds": 60, "increment_seconds": 60}
            ],
        },
    ],
    "origin": "US",
    "grace_seconds": 3,
}


def parse(value: object) -> RateCardVersion:
    return parse_rate_card_json(json.dumps(value).encode(), "default", VERSION_FROM)


def changed(*path: str | int, to: object = None, drop: bool = False) -> Json:
    """The contract's card with one thing changed or left out, its second rate a full one."""
    value = copy.deepcopy(CONTRACT)
    value["rates"].append(copy.deepcopy(FULL_RATE))
    place: Any = value
    for part in path[:-1]:
        place = place[part]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return value


def errors(value: object) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        parse(value)
    return {each.pointer: each.detail for each in refused.value.errors}


def test_what_goes_in_comes_out() -> None:
    """Every field of the contract and of ours."""
    value = changed("currency", to="EUR")

    assert render_rate_card_json(parse(value)) == value


@pytest.mark.parametrize("seed", range(3))
def test_random_cards_come_back(seed: int) -> None:
    """Through JSON text and again, nothing is lost."""
    version = random_version(seed, 200)
    back = parse(render_rate_card_json(version))

    assert list(back.rates()) == list(version.rates())
    assert (back.rounding, back.time_zone) == (version.rounding, version.time_zone)


def test_a_version_that_is_read_rates_as_one_that_is_built() -> None:
    """The same facts, by either way in."""
    rng = random.Random("json")
    for _ in range(20):
        version = card(random_call(rng).rate)

        assert list(parse(render_rate_card_json(version)).rates()) == list(version.rates())


def test_what_may_be_left_out() -> None:
    """Zone, connection fee, decimals, a band's times, and a maximum's strategy, which is a cap."""
    value = changed("rates", 1, "maximum_charge_strategy", drop=True)
    del value["time_zone"], value["rounding"]["decimals"], value["rates"][0]["connection_fee"]
    del value["rates"][1]["bands"][1]["from"], value["rates"][1]["bands"][1]["until"]
    back: Json = render_rate_card_json(parse(value))

    assert (back["time_zone"], back["rounding"]) == ("UTC", {"mode": "half_up", "decimals": 6})
    first, second = back["rates"]
    assert first["connection_fee"] == "0"
    assert second["maximum_charge_strategy"] == "cap"
    assert (second["bands"][1]["from"], second["bands"][1]["until"]) == ("00:00", "24:00")


def test_a_prefix_may_have_a_plus() -> None:
    """People write numbers so; it is not kept."""
    rates: Any = render_rate_card_json(parse(changed("rates", 0, "prefix", to="+33")))["rates"]

    assert rates[0]["prefix"] == "33"


PRICE = 'must be a decimal string such as "0.012", not a JSON number'


@pytest.mark.parametrize(
    ("value", "pointer", "detail"),
    [
        (changed("rates", 0, "connection_fee", to=0.05), "/rates/0/connection_fee", PRICE),
        (changed("rates", 0, "connection_fee", to=1), "/rates/0/connection_fee", PRICE),
        (changed("rates", 0, "connection_fee", to=None), "/rates/0/connection_fee", PRICE),
        (changed("rates", 0, "slots", 0, "price", to=0.05), "/rates/0/slots/0/price", PRICE),
        (changed("rates", 0, "slots", 0, "price", to="-1"), "/rates/0/slots/0/price", "must be"),
        (changed("rates", 0, "slots", 0, "price", to="1e3"), "/rates/0/slots/0/price", "must be"),
        (changed("rates", 0, "slots", 0, "from_second", to="0"), "/rates/0/slots/0/from_second", ""),
        (changed("rates", 0, "slots", 0, "from_second", to=0.0), "/rates/0/slots/0/from_second", ""),
        (changed("rates", 0, "slots", 0, "unit_seconds", to=True), "/rates/0/slots/0/unit_seconds", ""),
        (changed("rates", 0, "slots", 0, "unit_seconds", to=0), "/rates/0/slots/0/unit_seconds", ""),
        (changed("rates", 0, "slots", 0, drop=True), "/rates/0/slots", ""),
        (changed("rates", 0, "kind", to="voip"), "/rates/0/kind", ""),
        (changed("rates", 0, "kind", drop=True), "/rates/0/kind", ""),
        (changed("rates", 0, "colour", to=1), "/rates/0/colour", ""),
        (changed("rates", 0, "a/b~c", to=1), "/rates/0/a~1b~0c", ""),
        (changed("rates", 0, "from_", to="1"), "/rates/0/from_", ""),
        (changed("rates", 0, "origin", to="us"), "/rates/0/origin", "ISO region"),
        (changed("rates", 0, "prefix", to=33), "/rates/0/prefix", ""),
        (changed("rates", 0, "prefix", to="33x"), "/rates/0/prefix", "digits"),
        (changed("rates", 0, "prefix", to="1" * 16), "/rates/0/prefix", ""),
        (changed("rates", 1, "bands", 0, "from", to="6:00"), "/rates/1/bands/0/from", "time of day"),
        (changed("rates", 1, "bands", 0, "until", to="24:01"), "/rates/1/bands/0/until", "time of day"),
        (changed("rates", 1, "bands", 0, "until", to=18), "/rates/1/bands/0/until", "time of day"),
        (changed("rates", 1, "bands", 0, "weekdays", to=["1"]), "/rates/1/bands/0/weekdays/0", ""),
        (changed("rates", 1, "bands", 0, "weekdays", to=[0]), "/rates/1/bands/0/weekdays", "Monday"),
        (changed("rates", 1, "bands", 0, "dates", to=["x"]), "/rates/1/bands/0/dates/0", "must be"),
        (changed("rates", 1, "bands", 0, "weight", drop=True), "/rates/1/bands/0/weight", ""),
        (changed("rates", 1, "maximum_charge", drop=True), "/rates/1/maximum_charge_strategy", "needs"),
        (changed("rates", 1, "maximum_charge_strategy", to="disconnect"), "/rates/1/maximum_charge_strategy", ""),
        (changed("rounding", "mode", to="*up"), "/rounding/mode", ""),
        (changed("rounding", "decimals", to="4"), "/rounding/decimals", ""),
        (changed("rounding", drop=True), "/rounding", ""),
        (changed("currency", drop=True), "/currency", ""),
        (changed("currency", to="usd"), "/currency", "capital"),
        (changed("time_zone", to="Mars/Base"), "/time_zone", "IANA"),
        (changed("rates", to=[]), "/rates", ""),
        (changed("rates", to={}), "/rates", ""),
        (changed("rates", 1, to=CONTRACT["rates"][0]), "/rates/1/prefix", "/rates/0"),
        ([], "", ""),
        (1, "", ""),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(value: object, pointer: str, detail: str) -> None:
    """A pointer into what was sent, and a sentence."""
    found = errors(value)

    assert set(found) == {pointer}
    assert detail in found[pointer]


def test_all_wrong_fields_are_named_at_once() -> None:
    """Who corrects a card wants all of them."""
    value = changed("currency", to=1)
    value["rates"][0]["prefix"] = 1
    value["rates"][1]["slots"][1]["price"] = 2

    assert set(errors(value)) == {"/currency", "/rates/0/prefix", "/rates/1/slots/1/price"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": 1, "a": 2}', b"NaN", b"[" * 100])
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    """400, not 422."""
    with pytest.raises(BadRequest):
        parse_rate_card_json(body, "default", VERSION_FROM)


def test_the_schema_states_that_prices_are_strings() -> None:
    """What a generated document shows to those who write cards."""
    schema = RateCardBody.model_json_schema()["$defs"]

    assert schema["SlotBody"]["properties"]["price"]["type"] == "string"
    assert schema["BandBody"]["properties"]["from"]["type"] == "string"


@pytest.mark.parametrize("seed", range(300))
def test_mangled_json_is_refused_or_read_but_never_a_crash(seed: int) -> None:
    """Any value in any place."""
    rng = random.Random(seed)
    value = changed("currency", to="EUR")
    for _ in range(rng.randrange(1, 4)):
        place: Any = value
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], dict | list) and rng.random() < 0.8:
                place = place[key]
                continue
            place[key] = rng.choice(
                (None, True, 0, -1, 10**30, 0.5, "", "x", "1", "0.1", [], {}, [0], "\x00", "24:00")
            )
            break
    with contextlib.suppress(BadRequest, Invalid):
        assert len(list(parse(value).rates())) == len(value["rates"])


def test_wrong_rates_of_a_long_card_are_named_by_their_place() -> None:
    """It is read part by part."""
    one = CONTRACT["rates"][0]
    rates = [{**one, "prefix": f"44{number:04d}"} for number in range(2_500)]
    body = {**CONTRACT, "rates": rates}

    assert len(parse_rate_card_json(json.dumps(body).encode(), "default", VERSION_FROM)) == 2_500
    rates[2_100] = {**one, "kind": "fax"}
    with pytest.raises(Invalid) as refused:
        parse_rate_card_json(json.dumps(body).encode(), "default", VERSION_FROM)
    assert [each.pointer for each in refused.value.errors] == ["/rates/2100/kind"]


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"rates": 1}', b'{"rates": []}', b'{"rates": {}}'])
def test_a_card_without_a_list_of_rates_is_not_valid(body: bytes) -> None:
    with pytest.raises(Invalid):
        parse_rate_card_json(body, "default", VERSION_FROM)


def test_a_card_of_too_many_rates_states_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RATE_CARD_RATES_MAX", 2)
    with pytest.raises(Invalid) as refused:
        parse_rate_card_json(b'{"rates": [1, 2, 3]}', "default", VERSION_FROM)
    assert refused.value.errors[0].pointer == "/rates"


def test_reading_has_a_budget_of_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem, and neither a worker that is gone nor an empty answer."""
    monkeypatch.setattr(limits, "DECK_CPU_SECONDS_MAX", -1.0)
    with pytest.raises(Invalid) as refused:
        parse_rate_card_json(b'{"rates": [1]}', "default", VERSION_FROM)
    assert refused.value.code == "deck_too_costly"

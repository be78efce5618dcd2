"""Loads of many organizers, conferences and service numbers: all rows of a file, or none."""

import codecs
from typing import Any

import pytest

from shared.domain.common import limits
from shared.domain.common.errors import StoreUnavailable
from tests.support.product import Answer, Product

BASE = "/api/v1/accounts/contoso"
ORGANIZERS = f"{BASE}/organizers"
FILE = """id,cost_center,policy,toll_free_dial_in
ann,sales,DialoutCPCandPSTNDomestic,false
ken,ops,,
"""


@pytest.fixture
def contoso(app: Product) -> Product:
    app.account()
    app.account("fabrikam")
    return app


def load(
    app: Product, text: str | bytes, target: str = ORGANIZERS, kind: str = "text/csv"
) -> Answer:
    body = text if isinstance(text, bytes) else text.encode()
    return app.call("PUT", target, body, headers={"content-type": kind})


def stored(app: Product) -> str:
    """All rows but those of the audit log."""
    rows = app.run(app.tables.scan("directory", limit=1_000)).rows
    return str([row for row in rows if "audit" not in row.partition + row.key])


def test_a_file_makes_organizers_as_put_one_by_one(contoso: Product) -> None:
    answer = load(contoso, FILE)

    assert answer.status == 200, answer.body
    counts = {name: answer.json[name] for name in ("rows", "created", "changed", "unchanged")}
    assert counts == {"rows": 2, "created": 2, "changed": 0, "unchanged": 0}
    ann = contoso.get(f"{ORGANIZERS}/ann").json
    assert (ann["cost_center"], ann["toll_free_dial_in"]) == ("sales", False)
    assert contoso.get(f"{ORGANIZERS}/ken").json["policy"] is None
    log = contoso.get("/api/v1/audit-log?kind=organizer").json["items"]
    assert {each["key"] for each in log} == {"ann", "ken"}


def test_a_dry_run_states_what_would_change_and_changes_nothing(contoso: Product) -> None:
    load(contoso, FILE)
    before = stored(contoso)

    answer = load(
        contoso, "id,cost_center\nann,ops\nken,ops\nnew,x\n", f"{ORGANIZERS}?dry_run=true"
    )

    assert stored(contoso) == before
    assert (answer.json["changed"], answer.json["unchanged"], answer.json["created"]) == (1, 1, 1)
    changed, created = answer.json["items"]
    assert changed == {
        "line": 2,
        "id": "ann",
        "action": "changed",
        "changes": [{"field": "cost_center", "before": "sales", "after": "ops"}],
    }
    assert (created["id"], created["action"]) == ("new", "created")


def test_columns_that_are_left_out_stay_and_an_empty_cell_takes_the_default(
    contoso: Product,
) -> None:
    budgets = {"day": {"amount": "5.00"}}
    contoso.put(f"{ORGANIZERS}/ann", {"cost_center": "sales", "budgets": budgets})

    load(contoso, "id;cost_center\nann;\n")

    ann = contoso.get(f"{ORGANIZERS}/ann").json
    assert ann["cost_center"] is None
    assert ann["budgets"]["day"]["amount"] == "5.00"


def test_the_list_as_csv_loads_again_without_a_change(contoso: Product) -> None:
    contoso.put(
        f"{ORGANIZERS}/ann",
        {
            "budgets": {"day": {"amount": "5.00"}},
            "groups": ["a", "b"],
            "rules": {"blocked_regions": ["CU"]},
        },
    )
    load(contoso, FILE.replace("ann", "zoe"))
    for name, body in (("conferences/3001", {"organizer": "ann"}),):
        contoso.put(f"{BASE}/{name}", body)
    contoso.put(f"{BASE}/service-numbers/%2B33199009900", {"kind": "toll"})

    for name in ("organizers", "conferences", "service-numbers"):
        text = contoso.get(f"{BASE}/{name}?format=csv").body
        answer = load(contoso, text, f"{BASE}/{name}")
        assert answer.status == 200, answer.body
        assert answer.json["unchanged"] == answer.json["rows"] > 0, answer.json


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("id,policy\nann,Any\nken,\n", "/lines/2/policy"),
        ("id,cost_center\nann,=1+1\n", "/lines/2/cost_center"),
        ("id,cost_center\nann,+x\n", "/lines/2/cost_center"),
        ("id,cost_center\n@ann,x\n", "/lines/2/id"),
        ("id,cost_center\n'=ann,x\n", "/lines/2/id"),
        ("id,cost_center\nann,x\nann,y\n", "/lines/3/id"),
        ("id,toll_free_dial_in\nann,maybe\n", "/lines/2/toll_free_dial_in"),
        ("id,budgets\nann,{\n", "/lines/2/budgets"),
        ('id,budgets\nann,"{""day"": {""amount"": ""-1""}}"\n', "/lines/2/budgets/day/amount"),
        ("id,cost_center\n,x\n", "/lines/2/id"),
        ("id,colour\nann,red\n", "/lines/1"),
        ("cost_center\nred\n", "/lines/1"),
        ("id,id\nann,ann\n", "/lines/1"),
        ("id,cost_center\nann,x,y\n", "/lines/2"),
        ('id,etag\nann,"""7"""\n', "/lines/2/etag"),
        (f"id\n{'x' * 201}\n", "/lines/2/id"),
    ],
)
def test_one_wrong_cell_refuses_the_file(contoso: Product, text: str, pointer: str) -> None:
    before = stored(contoso)

    answer = load(contoso, f"{text}")

    assert answer.status == 422, answer.body
    assert pointer in answer.pointers()
    assert stored(contoso) == before


def test_a_stale_etag_refuses_the_file(contoso: Product) -> None:
    contoso.put(f"{ORGANIZERS}/ann", {})
    listed = contoso.get(f"{ORGANIZERS}?format=csv").body
    etag = contoso.get(f"{ORGANIZERS}/ann").etag
    contoso.put(f"{ORGANIZERS}/ann", {"cost_center": "ops"}, etag)

    assert load(contoso, listed).pointers() == ["/lines/2/etag"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (FILE.encode(), "text/csv"),
        (codecs.BOM_UTF8 + FILE.encode(), "text/csv; charset=utf-8"),
        (FILE.encode("utf-16"), "text/csv"),
        (FILE.replace(",", ";").replace("\n", "\r\n").encode(), "text/csv"),
        (FILE.replace(",", "\t").encode("utf-16"), "text/csv"),
        (FILE.replace("sales", "Ventes é").encode("cp1252"), "text/csv; charset=windows-1252"),
    ],
)
def test_files_as_spreadsheets_save_them(contoso: Product, body: bytes, kind: str) -> None:
    answer = load(contoso, body, kind=kind)

    assert (answer.status, answer.json["created"]) == (200, 2), answer.body
    assert contoso.get(f"{ORGANIZERS}/ann").json["cost_center"] in {"sales", "Ventes é"}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "text/csv", 400),
        (b"id\n\xff\xfe\n", "text/csv", 400),
        (b"id\nann\n", "text/csv; charset=klingon", 400),
        (b"PK\x03\x04\x00\x00", "text/csv", 400),
        (b'id\n"ann\n', "text/csv", 400),
        (b"{}", "application/json", 415),
        (b"id\n" + b"x\n" * (limits.LOAD_BODY_BYTES_MAX // 2), "text/csv", 413),
        (
            b"id\n" + b"".join(b"u%d\n" % n for n in range(limits.LOAD_ROWS_MAX + 1)),
            "text/csv",
            413,
        ),
    ],
)
def test_what_is_no_table_is_refused(contoso: Product, body: bytes, kind: str, status: int) -> None:
    assert load(contoso, body, kind=kind).status == status


def test_conferences_and_numbers_are_loaded_from_now_on(contoso: Product) -> None:
    contoso.put(f"{BASE}/conferences/3001", {"organizer": "ann"})
    contoso.clock.advance(60)
    rooms = load(contoso, "conference,organizer\n3001,ken\n3002,ken\n", f"{BASE}/conferences")
    numbers = load(
        contoso,
        "number;kind\n+33199009900;toll\n+33199009901;toll_free\n",
        f"{BASE}/service-numbers",
    )

    assert (rooms.status, rooms.json["changed"], rooms.json["created"]) == (200, 1, 1)
    assert numbers.json["created"] == 2, numbers.body
    shown = contoso.get(f"{BASE}/conferences/3001").json
    assert [each["organizer"] for each in shown["registrations"]] == ["ann", "ken"]
    assert contoso.get(f"{BASE}/service-numbers/%2B33199009900").json["kind"] == "toll"
    wrong = load(contoso, "number,kind\n+33199009902,toll\nparis,toll\n", f"{BASE}/service-numbers")
    assert wrong.pointers() == ["/lines/3/number"]
    assert contoso.get(f"{BASE}/service-numbers/%2B33199009902").status == 404
    key = contoso.api_key("operator", accounts=("contoso",))
    refused = contoso.call(
        "PUT",
        f"{BASE}/service-numbers",
        b"number,kind\n",
        key=key,
        headers={"content-type": "text/csv"},
    )
    assert refused.code == "account_not_allowed"


def test_a_load_that_breaks_off_is_finished_by_the_next_list(
    contoso: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a row that someone changed meanwhile keeps that change."""
    contoso.put(f"{ORGANIZERS}/user-3", {"cost_center": "before"})
    transact = contoso.tables.transact
    left = 5

    async def fail_soon(table: str, partition: str, *more: Any) -> Any:
        nonlocal left
        if partition.startswith("organizer"):
            left -= 1
            if left < 0:
                raise StoreUnavailable("Away.")
        return await transact(table, partition, *more)

    monkeypatch.setattr(contoso.tables, "transact", fail_soon)
    rows = "".join(f"user-{number},x\n" for number in range(20))
    assert load(contoso, f"id,cost_center\n{rows}").status == 503
    monkeypatch.setattr(contoso.tables, "transact", transact)
    last = next(
        name
        for name in (f"user-{number}" for number in range(19, -1, -1))
        if contoso.get(f"{ORGANIZERS}/{name}").status == 404
    )
    contoso.put(f"{ORGANIZERS}/{last}", {"cost_center": "mine"})

    listed = contoso.get(f"{ORGANIZERS}?limit=1000").json["items"]

    assert len(listed) == 20
    centers = {each["id"]: each["cost_center"] for each in listed}
    assert centers.pop(last) == "mine"
    assert set(centers.values()) == {"x"}
    assert '"load"' not in stored(contoso)

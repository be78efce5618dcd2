"""Lists of organizers, conferences, service numbers and bridges."""

import csv
import io
from urllib.parse import quote

import pytest

from shared.adapters.directory.account_index import PARTITIONS
from shared.ports.tables import Delete
from tests.support.product import Product

ACCOUNT = "/api/v1/accounts/contoso"
ODD = ["a/b", "a#b", "a?b", "a\\b", "a~b", "é", "日本", "\U0001f600", "=1+1", "x" * 200, "/" * 200]


@pytest.fixture
def contoso(app: Product) -> Product:
    app.account()
    app.account("fabrikam")
    return app


def ids(app: Product, target: str, name: str = "id") -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    query = "" if "?" in target else "?"
    following = ""
    while True:
        answer = app.get(f"{target}{query}{following}")
        assert answer.status == 200, answer.body
        found += [item[name] for item in answer.json["items"]]
        if "next" not in answer.json:
            return found
        following = f"&cursor={answer.json['next']}"


def put_organizers(app: Product, *names: str, account: str = "contoso") -> None:
    for name in names:
        path = f"/api/v1/accounts/{account}/organizers/{quote(name, safe='')}"
        assert app.put(path, {}).status == 201, name


def test_organizers_are_listed_by_id_in_pages_and_by_prefix(contoso: Product) -> None:
    put_organizers(contoso, "ken@x", "kim@x", "aiko@x")
    put_organizers(contoso, "ken@y", account="fabrikam")

    assert ids(contoso, f"{ACCOUNT}/organizers") == ["aiko@x", "ken@x", "kim@x"]
    assert ids(contoso, f"{ACCOUNT}/organizers?limit=1") == ["aiko@x", "ken@x", "kim@x"]
    assert ids(contoso, f"{ACCOUNT}/organizers?prefix=k") == ["ken@x", "kim@x"]
    assert ids(contoso, f"{ACCOUNT}/organizers?prefix=ki&limit=1") == ["kim@x"]
    assert ids(contoso, f"{ACCOUNT}/organizers?prefix=z") == []
    shown = contoso.get(f"{ACCOUNT}/organizers?prefix=aiko").json["items"][0]
    assert shown == contoso.get(f"{ACCOUNT}/organizers/aiko%40x").json


def test_any_id_is_listed_and_found_by_its_beginning(contoso: Product) -> None:
    put_organizers(contoso, *ODD)

    assert sorted(ids(contoso, f"{ACCOUNT}/organizers?limit=2")) == sorted(ODD)
    for name in ODD:
        found = ids(contoso, f"{ACCOUNT}/organizers?prefix={quote(name, safe='')}")
        assert found == [name]
    assert ids(contoso, f"{ACCOUNT}/organizers?prefix=%00%0a") == []


def test_what_is_deleted_or_ended_is_not_listed_and_may_return(contoso: Product) -> None:
    put_organizers(contoso, "ken", "kim")
    for path, body in (
        ("conferences/3001", {"organizer": "ken"}),
        ("service-numbers/%2B33199009900", {"kind": "toll"}),
    ):
        assert contoso.put(f"{ACCOUNT}/{path}", body).status == 201
    contoso.clock.advance(1)

    for name, key in (("conferences", "conference"), ("service-numbers", "number")):
        assert len(ids(contoso, f"{ACCOUNT}/{name}", key)) == 1
    for path in ("organizers/ken", "conferences/3001", "service-numbers/%2B33199009900"):
        assert contoso.delete(f"{ACCOUNT}/{path}").status == 204
    contoso.clock.advance(1)

    assert ids(contoso, f"{ACCOUNT}/organizers?limit=1") == ["kim"]
    assert ids(contoso, f"{ACCOUNT}/conferences", "conference") == []
    assert ids(contoso, f"{ACCOUNT}/service-numbers", "number") == []
    put_organizers(contoso, "ken")
    assert ids(contoso, f"{ACCOUNT}/organizers") == ["ken", "kim"]


def test_a_number_that_moves_is_in_the_list_of_its_new_account(contoso: Product) -> None:
    number = "service-numbers/%2B33199009900"
    contoso.put(f"{ACCOUNT}/{number}", {"kind": "toll"})
    contoso.clock.advance(1)
    contoso.put(f"/api/v1/accounts/fabrikam/{number}", {"kind": "toll"})
    contoso.clock.advance(1)

    assert ids(contoso, f"{ACCOUNT}/service-numbers", "number") == []
    [listed] = contoso.get("/api/v1/accounts/fabrikam/service-numbers?prefix=%2B33").json["items"]
    assert listed["number"] == "+33199009900"
    assert listed["kind"] == "toll"


def test_documents_of_before_the_index_are_listed(contoso: Product) -> None:
    put_organizers(contoso, "ken", "kim")
    contoso.put(f"{ACCOUNT}/conferences/3001", {"organizer": "ken"})
    contoso.put(f"{ACCOUNT}/service-numbers/%2B33199009900", {"kind": "toll"})
    page = contoso.run(contoso.tables.scan("directory", limit=1_000))
    for row in page.rows:
        if row.partition.startswith(PARTITIONS):
            contoso.run(contoso.tables.transact("directory", row.partition, [Delete(row.key)]))
    contoso.container.records.index._is_complete = False

    assert ids(contoso, f"{ACCOUNT}/organizers") == ["ken", "kim"]
    assert ids(contoso, f"{ACCOUNT}/conferences", "conference") == ["3001"]
    assert ids(contoso, f"{ACCOUNT}/service-numbers", "number") == ["+33199009900"]


def test_the_night_finds_what_an_older_process_wrote(contoso: Product) -> None:
    put_organizers(contoso, "ken")
    assert ids(contoso, f"{ACCOUNT}/organizers") == ["ken"]
    put_organizers(contoso, "kim")
    row = Delete("kim")
    contoso.run(contoso.tables.transact("directory", f"{PARTITIONS}|organizer|contoso", [row]))
    assert ids(contoso, f"{ACCOUNT}/organizers") == ["ken"]

    contoso.run(contoso.container.records.index.fill())

    assert ids(contoso, f"{ACCOUNT}/organizers") == ["ken", "kim"]


def test_an_erased_organizer_is_in_no_row_of_the_index(contoso: Product) -> None:
    put_organizers(contoso, "ken@x", "kim@x")

    assert contoso.post(f"{ACCOUNT}/erasures", {"organizer": "ken@x"}).status == 200

    assert ids(contoso, f"{ACCOUNT}/organizers") == ["kim@x"]
    assert "ken@x" not in str(contoso.run(contoso.tables.scan("directory", limit=1_000)))


def test_an_organizer_that_cannot_be_read_does_not_hide_the_others(contoso: Product) -> None:
    put_organizers(contoso, "ken", "kim")
    contoso.run(
        contoso.container.records.put("organizer", "contoso|ken", {"license": "gold"}, if_match="*")
    )

    first, second = contoso.get(f"{ACCOUNT}/organizers").json["items"]
    assert (first["id"], first["unreadable"], bool(first["etag"])) == ("ken", True, True)
    assert second["id"] == "kim"


def test_a_list_as_csv_has_every_row(contoso: Product) -> None:
    put_organizers(contoso, *(f"user-{number:04}@x" for number in range(120)), "=cmd()")

    answer = contoso.get(f"{ACCOUNT}/organizers?format=csv")

    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert len(rows) == 121
    assert {row["id"] for row in rows} >= {"user-0000@x", "user-0119@x", "'=cmd()"}


def test_a_list_of_an_unknown_account_is_404(app: Product) -> None:
    for name in ("organizers", "conferences", "service-numbers"):
        assert app.get(f"/api/v1/accounts/nosuch/{name}").code == "account_unknown"


def test_bridges_are_listed_without_secrets(app: Product) -> None:
    for name in ("studio", "pbx-1", "pbx-2"):
        app.put(f"/api/v1/bridges/{name}", {"dialect": "perminute", "accounts": ["*"]})

    assert ids(app, "/api/v1/bridges") == ["pbx-1", "pbx-2", "studio"]
    assert ids(app, "/api/v1/bridges?prefix=pbx&limit=1") == ["pbx-1", "pbx-2"]
    assert ids(app, "/api/v1/bridges?prefix=PBX") == []
    assert "whsec_" not in app.get("/api/v1/bridges").body.decode()
    reader = app.api_key("operator", accounts=("contoso",))
    assert app.get("/api/v1/bridges", key=reader).code == "account_not_allowed"

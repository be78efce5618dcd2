"""The console's files as they are served: caching, compression and security headers."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions import console
from tests.support.product import Product

PAGE = "<!doctype html><title>Perminute</title>" + " " * 500
SCRIPT = "console.log('ready')\n" * 50


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "assets" / "index-1a2b.js").write_text(SCRIPT)
    monkeypatch.setattr(console, "DIST", tmp_path)
    return tmp_path


@pytest.fixture
def app() -> Iterator[Product]:
    with Product() as product:
        yield product


def test_the_root_leads_to_the_console(app: Product) -> None:
    for place in ("/", "/console"):
        answer = app.get(place, key=None)
        assert (answer.status, answer.headers["location"]) == (302, "/console/")


@pytest.mark.parametrize(
    "place", ["/console/", "/console/status", "/console/accounts/contoso/organizers/ken@c.example"]
)
def test_every_address_is_the_page(app: Product, dist: Path, place: str) -> None:
    answer = app.get(place, key=None)

    assert (answer.status, answer.body) == (200, PAGE.encode())
    assert answer.headers["cache-control"] == "no-cache"


def test_an_asset_never_changes_and_a_missing_one_is_404(app: Product, dist: Path) -> None:
    found = app.get("/console/assets/index-1a2b.js", key=None)
    missing = app.get("/console/assets/index-0000.js", key=None)

    assert (found.status, found.body) == (200, SCRIPT.encode())
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (missing.status, missing.code) == (404, "path_unknown")


@pytest.mark.parametrize("place", ["../pyproject.toml", "assets/../../secret", "%2e%2e/secret"])
def test_nothing_outside_the_folder_is_served(app: Product, dist: Path, place: str) -> None:
    (dist.parent / "secret").write_text("secret")
    answer = app.get(f"/console/{place}", key=None)

    assert answer.body == PAGE.encode() or answer.status == 404


def test_a_known_etag_is_304(app: Product, dist: Path) -> None:
    first = app.get("/console/", key=None)
    for known in (first.etag, f'"other", W/{first.etag}', "*"):
        again = app.get("/console/", key=None, headers={"if-none-match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.etag == first.etag
    assert app.get("/console/", key=None, headers={"if-none-match": '"other"'}).status == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br, gzip;q=0.5", "gzip"), ("gzip;q=0", None), ("", None)],
)
def test_a_file_is_compressed_for_who_accepts_it(
    app: Product, dist: Path, accepted: str, encoding: str | None
) -> None:
    answer = app.get(
        "/console/assets/index-1a2b.js", key=None, headers={"accept-encoding": accepted}
    )

    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "accept-encoding"
    assert (gzip.decompress(answer.body) if encoding else answer.body) == SCRIPT.encode()


def test_nothing_inline_and_nothing_from_elsewhere_may_run(app: Product, dist: Path) -> None:
    for place in ("/console/", "/console/assets/index-1a2b.js", "/console/config.json", "/"):
        headers = app.get(place, key=None).headers
        directives = dict(
            each.strip().partition(" ")[::2]
            for each in headers["content-security-policy"].split(";")
        )
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == directives["style-src"] == "'self'"
        assert directives["connect-src"] == "'self' https://login.microsoftonline.com"
        assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_configuration_names_entra_only_where_tokens_are_accepted(app: Product) -> None:
    def entra() -> Any:
        return json.loads(app.get("/console/config.json", key=None).body)["entra"]

    assert entra() is None
    app.container.settings = replace(
        app.container.settings, entra_tenant="a-tenant", entra_audience="a-client"
    )
    assert entra() == {
        "authority": "https://login.microsoftonline.com/a-tenant",
        "client_id": "a-client",
    }


def test_without_a_build_the_console_states_it(app: Product, dist: Path, tmp_path: Path) -> None:
    console.DIST.joinpath("index.html").unlink()
    console.DIST.joinpath("assets", "index-1a2b.js").unlink()
    answer = app.get("/console/", key=None)

    assert (answer.status, answer.code) == (404, "console_missing")
    assert "make setup" in answer.json["detail"]


def test_a_caller_learns_its_roles_and_accounts(app: Product) -> None:
    key = app.api_key("finance", "operator", accounts=("contoso",))

    assert app.get("/api/v1/caller", key=key).json == {
        "name": "somebody",
        "roles": ["finance", "operator"],
        "accounts": ["contoso"],
    }
    assert app.get("/api/v1/caller", key=app.api_key("payments")).json["roles"] == ["payments"]
    assert app.get("/api/v1/caller", key="wrong").status == 401

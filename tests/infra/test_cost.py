"""docs/cost.md states what the templates deploy, and the source of each price."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.tools import prices
from infra.tools.prices import PRICES
from tests.bench import cost
from tests.infra.bicep import resources


@pytest.mark.parametrize(
    ("mark", "lines"),
    [(cost.FIXED_MARK, cost.fixed_table), (cost.PRICES_MARK, prices.page_table)],
    ids=["fixed", "prices"],
)
def test_the_page_has_what_is_counted(mark: str, lines: Any) -> None:
    """After a wanted change: `make cost`."""
    page = cost.PAGE.read_text("utf-8")

    assert page.split(mark)[1].strip().splitlines() == lines()


def test_zone_redundancy_is_billed_for_every_group() -> None:
    instances, _ = cost.fixed("prod")["always-ready instances"]

    assert instances == 2 * cost.function_groups()
    assert cost.fixed("dev")["always-ready instances"] == (0, 0)


def test_what_is_counted_is_what_is_deployed() -> None:
    found = cost.fixed("prod")

    assert found["private endpoints"][0] == len(resources("prod", "Network/privateEndpoints"))
    assert found["log alerts"][0] == len(resources("prod", "Insights/scheduledQueryRules"))


def test_every_price_has_a_source_with_its_version_or_is_marked() -> None:
    page = cost.PAGE.read_text("utf-8")

    for price in PRICES.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| {price.name} |"))
        dated = re.search(r"/blob/[0-9a-f]{40}/|\([0-9]{1,2} \w+ 20[0-9]{2}", price.source or "")
        assert dated if price.source else "**not verified**" in row, price.name
        assert price.query in row
    assert prices.READ_ON in page


class Api:
    """A stand-in of the Retail Prices API: the items of a meter, by its name."""

    def __init__(self) -> None:
        self.answers = {price.meter: _answer(price) for price in PRICES.values()}
        meter = re.compile(r"contains\(meterName, '([^']+)'\)")
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                words = parse_qs(urlsplit(self.path).query)
                named = meter.search(words["$filter"][0])
                body = answers[named[1]] if named else b""
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()


def _answer(price: prices.Price, dollars: float | None = None) -> bytes:
    retail = (price.dollars if dollars is None else dollars) / price.factor
    other = {"retailPrice": 0.0, "tierMinimumUnits": price.above + 1}
    return json.dumps(
        {"Items": [other, {"retailPrice": retail, "tierMinimumUnits": price.above}]}
    ).encode()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    found = Api()
    monkeypatch.setattr(prices, "API", f"http://127.0.0.1:{found.server.server_address[1]}/prices")
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_prices_that_the_api_confirms_pass(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert prices.main(["--check"]) == 0
    assert f"{len(PRICES)} prices" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (_answer(PRICES["endpoint"], 9.0), "7.30 here, the API has: 9.00"),
        (b'{"Items": []}', "no such meter"),
        (b'{"Items": [{}]}', "no answer that can be read"),
        (b"<html>", "no answer that can be read"),
        (b"[]", "no answer that can be read"),
    ],
    ids=["another price", "no meter", "an item without a price", "no JSON", "no object"],
)
def test_a_difference_is_named(
    api: Api, capsys: pytest.CaptureFixture[str], body: bytes, text: str
) -> None:
    api.answers[PRICES["endpoint"].meter] = body
    assert prices.main(["--check"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("private endpoint: ")
    assert text in line

"""`python -m tests.docs.charges`: computes every result on docs/how-a-charge-is-computed.md.

The page has inputs and results. Inputs are the `json` blocks (rates of a card), the first columns
of tables of calls, and the `http` blocks (requests to a product). Results are the last two columns
of those tables and the `text` blocks. Each section is computed on its own, by the product.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.canonical import parse_time
from shared.domain.common.kinds import LegKind
from shared.domain.common.money import format_amount
from shared.domain.rating.rating import Charge, rate_leg
from tests.support.processes import Deployment, Process
from tests.support.product import Answer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-a-charge-is-computed.md"
SECRET = "a-secret-of-32-characters-at-least"
START = datetime(2026, 11, 1, tzinfo=UTC)
CARD = {
    "currency": "USD",
    "time_zone": "UTC",
    "rounding": {"mode": "half_up", "decimals": 4},
}
CALL = {"kind": "dial_out", "prefix": "44", "destination": "United Kingdom"}
RESULTS = 2
_LINE = re.compile(r"^(GET|PUT|POST|PATCH) (\S+)$")


def computed(page: str) -> str:
    """The page with every result computed again."""
    head, *sections = re.split(r"(?m)^(?=## )", page)
    setup = _setup(page)
    return head + "".join(_section(each, setup) for each in sections)


def _setup(page: str) -> list[str]:
    """The requests with which every example on a ledger begins."""
    found = re.search(r"(?s)## Set-up of the examples.*?```http\n(.*?)```", page)
    assert found
    return found[1].splitlines()


def _section(text: str, setup: list[str]) -> str:
    """One section: blocks and tables in their order."""
    lines = list(_lines(text.splitlines(), setup))
    return "\n".join(lines) + "\n"


def _lines(lines: list[str], setup: list[str]) -> Iterator[str]:
    version: dict[str, Any] = {}
    charges: list[Charge] = []
    ledger: Ledger | None = None
    index = 0
    while index < len(lines):
        line = lines[index]
        if line.startswith("```") and line != "```":
            end = lines.index("```", index + 1)
            content = lines[index + 1 : end]
            if line == "```json":
                version, charges = _card("\n".join(content)), []
            elif line == "```http" and content != setup:
                ledger = ledger or Ledger(setup)
                ledger.play(content)
            elif line == "```text":
                content = ledger.text() if ledger else [_short(each) for each in charges]
                ledger = None
            yield from (line, *content, "```")
            index = end + 1
        elif line.startswith("|") and version:
            end = index
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            names = _cells(line)[:-RESULTS]
            yield from lines[index : index + 2]
            for row in lines[index + 2 : end]:
                inputs = dict(zip(names, _cells(row), strict=False))
                charge = _charge(version, inputs)
                charges.append(charge)
                results = (f"{charge.billed_seconds:,} s", format_amount(charge.amount_micros))
                yield f"| {' | '.join((*(inputs[name] for name in names), *results))} |"
            index = end
        else:
            yield line
            index += 1


def _cells(row: str) -> list[str]:
    return [each.strip() for each in row.strip("|").split("|")]


def _card(text: str) -> dict[str, Any]:
    """A card of a block: whole, or a rate, which takes what it lacks from the usual card."""
    content = json.loads(text)
    given = content if "rates" in content else {"rates": [content]}
    return {**CARD, **given, "rates": [{**CALL, **each} for each in given["rates"]]}


def _charge(card: dict[str, Any], inputs: dict[str, str]) -> Charge:
    changes: dict[str, Any] = {}
    if rounding := inputs.get("rounding"):
        mode, _, decimals = rounding.strip("`").partition(" to ")
        changes["rounding"] = {"mode": mode, "decimals": int(decimals or 6)}
    body = json.dumps({**card, **changes}).encode()
    version = parse_rate_card_json(body, "default", datetime(2026, 1, 1, tzinfo=UTC))
    number = inputs.get("number", "+442079460123")
    answered_at = parse_time(inputs.get("answered at", "2026-11-23T10:00:00Z"))
    charge = rate_leg(
        version,
        kind=LegKind(card["rates"][0]["kind"]),
        to_digits=number.removeprefix("+"),
        origin=inputs.get("caller") or None,
        answered_at=answered_at,
        talk_seconds=int(inputs["talk time"].removesuffix(" s").replace(",", "")),
    )
    assert charge is not None, inputs
    return charge


def _short(charge: Charge) -> str:
    """The sentence of a charge without the parts that are equal in all examples."""
    sentence = charge.sentence().replace(", version 2026-01-01T00:00:00Z", "")
    return sentence.replace(" of dial out to United Kingdom, by prefix 44 of rate card default", "")


class Ledger:
    """A product whose account `contoso` is charged by the requests of a section."""

    def __init__(self, setup: list[str]) -> None:
        deployment = Deployment()
        deployment.clock.moment = START
        self._app = Process(deployment, "page")
        self._count = 0
        self.play(setup)

    def play(self, lines: list[str]) -> None:
        """Send the requests of a block."""
        for method, path, body in _requests(lines):
            self._send(method, path, body)

    def text(self) -> list[str]:
        """The entries, each with the sentence of its charge; the product is closed."""
        entries = self._get("/api/v1/accounts/contoso/entries").json["items"]
        found = [
            f"{each['kind']:<10} {each['amount']:>8}   balance {each['balance']}"
            for each in entries
        ]
        for leg in dict.fromkeys(each["leg"] for each in entries if each.get("leg")):
            shown = self._get(f"/api/v1/accounts/contoso/legs/{leg}").json
            found += ["", f"{leg.partition('~')[2]}: {shown['status']}", *self._shown(shown)]
        with self._app:
            return found

    def _shown(self, charge: dict[str, Any]) -> list[str]:
        shown = [f"  {charge['sentence']}"] if charge.get("sentence") else []
        if "carrier" in charge:
            carrier = charge["carrier"]
            shown.append(
                f"  carrier: {carrier['amount']} {carrier['currency']} by {carrier['card']}"
            )
        return shown

    def _get(self, path: str) -> Answer:
        answer = self._app.get(path)
        assert answer.status == 200, answer.body
        return answer

    def _send(self, method: str, path: str, body: Any) -> None:
        self._count += 1
        more: dict[str, Any] = {"headers": {"idempotency-key": f"key-{self._count}"}}
        if path.endswith("/call-ended"):
            more["key"] = SECRET
            latest = max(parse_time(leg["ended_at"]) for leg in body)
            self._app.clock.moment = max(self._app.clock.moment, latest + timedelta(seconds=1))
        answer = self._app.call(method, path, body, **more)
        assert answer.status < 300, (method, path, answer.body)
        self._app.run(self._app.drain())


def _requests(lines: list[str]) -> Iterator[tuple[str, str, Any]]:
    """(method, path, body) of each request of a block."""
    at = [number for number, line in enumerate(lines) if _LINE.match(line)]
    for begin, end in zip(at, [*at[1:], len(lines)], strict=True):
        match = _LINE.match(lines[begin])
        assert match
        yield match[1], match[2], json.loads("\n".join(lines[begin + 1 : end]) or "null")


if __name__ == "__main__":
    PAGE.write_text(computed(PAGE.read_text("utf-8")), "utf-8")
    print(f"{PAGE.name} computed")

"""Cards are corrected after the fact: legs are charged again on the running product, once each."""

import contextlib
import csv
import gzip
import http.client
import io
import json
import os
import signal
import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.deployment import LONDON, ROME, Deployment, card, leg, rate, slot
from tests.e2e.test_bad_input import assert_problem
from tests.support.client import Answer, Json, at_once, eventually, every, unique

BEFORE, SINCE = "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"
DEAR, FAIR = Decimal("0.40"), Decimal("0.20")  # 183 seconds at 0.10 and 0.05 a minute
LEGS = 60


class Tariff:
    """A card of its own with a price too high, and an account that it charges."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.card = unique("card")
        self.versions = f"rate-cards/{self.card}/versions"
        deployment.admin.put(f"{self.versions}/{BEFORE}", card(rate("44", slot("0.10"))))
        self.account = deployment.account(rate_card=self.card)

    def legs(self, count: int, **changes: Any) -> list[str]:
        """Legs that were charged the price too high."""
        ended = [leg(self.account, **changes) for _ in range(count)]
        self.deployment.post(*ended)
        self.deployment.debits(self.account, count, 30)
        return [f"local~{each['leg_id']}" for each in ended]

    def correct(self, query: str = "") -> Json:
        """The answer to the version that has the right price from the beginning on."""
        corrected = card(rate("44", slot("0.05")))
        path = f"{self.versions}/{SINCE}?backdate=true{query}"
        answer = self.deployment.admin.request("PUT", path, corrected)
        assert answer.status in {200, 201}, answer
        found: Json = answer.json()
        return found

    def rerate(self, **body: Any) -> Json:
        answer = self.request(**body)
        assert answer.status == 200, answer
        found: Json = answer.json()
        return found

    def request(self, **body: Any) -> Answer:
        wanted = {"accounts": [self.account], "from": SINCE, **body}
        return self.deployment.admin.request("POST", "reratings", wanted)

    def book(self, **body: Any) -> Json:
        return self.rerate(**body, dry_run=False, reason="the price was wrong")

    @property
    def spent(self) -> Decimal:
        return 100 - self.deployment.balance(self.account)


@pytest.fixture
def tariff(deployment: Deployment) -> Tariff:
    return Tariff(deployment)


def test_the_proposal_of_a_backdated_version_leads_to_its_dry_run_and_that_to_the_booking(
    deployment: Deployment, tariff: Tariff
) -> None:
    legs = tariff.legs(3)
    proposal = tariff.correct()["rerating"]
    assert (proposal["legs"], proposal["accounts"]) == (
        3,
        [{"account": tariff.account, "legs": 3}],
    )

    step = proposal["dry_run"]
    path = step["path"].removeprefix("/api/v1/")
    dry = deployment.admin.request(step["method"], path, step["body"]).json()
    assert (dry["changed"], dry["accounts"][0]["difference"]) == (3, "-0.60")
    assert tariff.spent == 3 * DEAR
    booking = step["body"] | {"dry_run": False, "reason": "the price was wrong"}
    booked = deployment.admin.request(step["method"], path, booking).json()

    assert (booked["changed"], tariff.spent) == (3, 3 * FAIR)
    shown = deployment.admin.get(f"accounts/{tariff.account}/legs/{legs[0]}")
    assert (shown["amount"], shown["rate"]["version"]) == ("0.20", SINCE)
    assert [each["amount"] for each in shown["history"]] == ["0.40"]
    assert "It replaces the charge of 0.40" in shown["sentence"]
    assert deployment.verified(tariff.account)["legs"] == 3


@pytest.mark.extended
def test_ten_who_book_it_at_once_book_it_once(deployment: Deployment, tariff: Tariff) -> None:
    tariff.legs(8)
    tariff.correct()

    answers = at_once(10, lambda _: tariff.request(dry_run=False, reason="the price was wrong"))

    every(answers, 200)
    assert tariff.spent == 8 * FAIR
    assert len(deployment.entries(tariff.account)) == 1 + 3 * 8
    assert deployment.verified(tariff.account)["legs"] == 8


@pytest.mark.extended
def test_a_booking_that_dies_on_the_way_is_gone_on_with_by_the_same_request(
    deployment: Deployment, tariff: Tariff
) -> None:
    """The process is killed while it books; the next request does the rest."""
    legs = tariff.legs(LEGS)
    tariff.correct()
    entries_before = len(deployment.entries(tariff.account))

    def book() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # it dies: that is the test
            tariff.request(dry_run=False, reason="the price was wrong")

    booking = threading.Thread(target=book)
    booking.start()
    assert eventually(lambda: deployment.balance(tariff.account) > 100 - LEGS * DEAR)
    killed = deployment.stack.pids["http"]
    os.kill(killed, signal.SIGKILL)
    booking.join()
    assert eventually(lambda: deployment.stack.pids["http"] != killed)
    deployment.stack.wait_ready()

    done = tariff.book()

    assert done["changed"] <= LEGS
    assert tariff.book()["changed"] == 0
    assert tariff.spent == LEGS * FAIR
    assert len(deployment.entries(tariff.account)) == entries_before + 2 * LEGS
    assert deployment.verified(tariff.account)["legs"] == LEGS
    shown = [deployment.admin.get(f"accounts/{tariff.account}/legs/{each}") for each in legs[::10]]
    assert {each["amount"] for each in shown} == {"0.20"}


@pytest.mark.extended
def test_legs_go_on_being_charged_while_others_are_charged_again(
    deployment: Deployment, tariff: Tariff
) -> None:
    tariff.legs(20)
    tariff.correct()
    late = [leg(tariff.account) for _ in range(20)]

    def step(number: int) -> None:
        if number:
            deployment.post(*late[10 * (number - 1) : 10 * number])
        else:
            tariff.book()

    at_once(3, step)

    assert eventually(lambda: deployment.verified(tariff.account)["legs"] == 40, 20)
    tariff.book()
    assert tariff.spent == 40 * FAIR


@pytest.mark.extended
def test_a_month_by_another_card_and_the_difference_of_versions(
    deployment: Deployment, tariff: Tariff
) -> None:
    """What-if, the effect of a version on a month, and the statement after it was booked."""
    tariff.legs(2)
    tariff.correct()
    month = deployment.entries(tariff.account)[-1]["at"][:7]
    path = f"accounts/{tariff.account}"

    wanted = {"rate_card": tariff.card, "version": SINCE, "month": month}
    what_if = deployment.admin.request("POST", f"{path}/rate-card/what-if", wanted).json()
    query = f"from={BEFORE}&to={SINCE}&account={tariff.account}&month={month}"
    diff = deployment.admin.get(f"rate-cards/{tariff.card}/diff?{query}")
    assert what_if["accounts"][0]["after"] == diff["effect"]["after"] == "0.40"
    assert diff["items"][0]["percent"] == "-50"
    assert tariff.spent == 2 * DEAR

    tariff.book()

    statement = deployment.admin.get(f"{path}/statements/{month}")
    (place,) = statement["by_destination"]
    assert statement["re_adds"]
    assert (place["count"], place["amount"], place["billed_seconds"]) == (2, "0.40", 480)


def test_a_deck_is_imported_whole_or_not_at_all(deployment: Deployment) -> None:
    """As a file that is packed, in a form; then quoted, priced by country, and put back as CSV."""
    name = unique("deck")
    mapping = {
        "currency": "USD",
        "rounding": {"mode": "half_up", "decimals": 4},
        "delimiter": ";",
        "columns": {"prefix": "code", "destination": ["name"], "price": "rate"},
    }
    deck = "name;code;rate\nUnited Kingdom;44;0.0123\nItaly;39, 3906;0.02\n"
    path = f"rate-cards/{name}/import?effective_from={BEFORE}"

    wrong = import_deck(deployment, path, mapping, (deck + "Nowhere;abc;1\n").encode())
    assert_problem(wrong, 422, "invalid")
    assert wrong.json()["errors"][0]["pointer"] == "/lines/4/code"
    assert_problem(deployment.admin.request("GET", f"rate-cards/{name}"), 404, "rate_card_unknown")

    made = import_deck(deployment, path, mapping, gzip.compress(deck.encode()))
    assert (made.status, made.json()["rate_count"], made.json()["deck"]["rows"]) == (201, 3, 2)
    inquiry = {"rate_card": name, "to": LONDON}
    table = deployment.admin.request("POST", "quotes/table", inquiry).json()
    assert [item["amount"] for item in table["items"]] == [
        *("0.0123", "0.0615", "0.1845", "0.369", "0.738")
    ]
    text = deployment.admin.request(
        "GET", f"rate-cards/{name}/price-list", headers={"accept": "text/plain"}
    )
    assert "Italy" in text.body.decode()
    as_csv = deployment.admin.request(
        "GET", f"rate-cards/{name}/versions/{BEFORE}", headers={"accept": "text/csv"}
    )
    back = deployment.admin.request(
        *("PUT", f"rate-cards/{unique('deck')}/versions/{BEFORE}", as_csv.body),
        headers={"content-type": "text/csv"},
    )
    assert back.status == 201
    assert len(list(csv.DictReader(io.StringIO(as_csv.body.decode())))) == 3


@pytest.mark.extended
def test_what_a_corrected_card_lets_go_is_replayed_together(
    deployment: Deployment, tariff: Tariff
) -> None:
    """Twice at the same instant: each leg once."""
    ended = [leg(tariff.account, to=ROME) for _ in range(12)]
    deployment.post(*ended)
    lot = {"account": tariff.account, "reason": "rate_missing"}
    query = f"parked-legs?account={tariff.account}&status=open"
    assert eventually(lambda: len(deployment.admin.items(query)) == 12)
    deployment.admin.put(
        f"{tariff.versions}/{SINCE}?backdate=true",
        card(rate("44", slot("0.10")), rate("39", slot("0.10"))),
    )

    answers = at_once(4, lambda _: deployment.admin.request("POST", "parked-legs/replay", lot))

    every(answers, 200)
    assert tariff.spent == 12 * DEAR
    assert deployment.admin.items(query) == []
    assert deployment.verified(tariff.account)["legs"] == 12


def test_a_conflict_is_charged_as_another_leg(deployment: Deployment, tariff: Tariff) -> None:
    ended = leg(tariff.account)
    deployment.charged(tariff.account, ended)
    deployment.post(ended | {"talk_seconds": 182})
    parked = deployment.parked(ended["leg_id"])

    body = {"charge_as": f"{ended['leg_id']}-b"}
    answers = at_once(
        6, lambda _: deployment.admin.request("POST", f"parked-legs/{parked['id']}/replay", body)
    )

    every(answers, 200)
    assert {answer.json()["status"] for answer in answers} == {"replayed"}
    assert len(deployment.debits(tariff.account, 2)) == 2
    assert deployment.leg(tariff.account, f"{ended['leg_id']}-b")["talk_seconds"] == 182


def import_deck(deployment: Deployment, path: str, mapping: Json, deck: bytes) -> Answer:
    """As `curl -F` sends it."""
    parts = {"mapping": json.dumps(mapping).encode(), "deck": deck}
    body = b"".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in parts.items()
    )
    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    return deployment.admin.request("POST", path, body + b"--xyz--\r\n", headers=headers)

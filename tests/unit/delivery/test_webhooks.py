"""Webhooks: every event at least once and in order, signed, and never where it must not go."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.domain.common.errors import NotAuthenticated, PerminuteError, StoreUnavailable
from shared.domain.delivery.webhooks import (
    MAIL,
    Delivery,
    ReceiverResponse,
    Secret,
    address_fault,
    masked_url,
    signed_headers,
    url_fault,
)
from shared.domain.directory.request_signatures import verify_webhook
from shared.usecases.delivery.deliver_events import DeliverEvents
from shared.usecases.delivery.manage_webhooks import WebhookInput
from tests.support.credits_app import ACCOUNT, PATH
from tests.support.delivery_app import HOOK, OK, URL, DeliveryApp
from tests.support.product import START

BROKEN, GONE = ReceiverResponse(500), ReceiverResponse(410)


@pytest.fixture
def outside() -> Any:
    one = DeliveryApp()
    yield one
    one.close()


def test_an_event_is_delivered_as_a_signed_cloud_event(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    secret = outside.hook()
    outside.top_up("5.00")
    outside.relay()
    ((url, event_id, body, headers),) = outside.receiver.got
    assert url == URL
    assert verify_webhook([secret], headers, body, outside.clock.now()) == event_id
    event = json.loads(body)
    assert (event["specversion"], event["type"]) == ("1.0", "credits.topped_up")
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert outside.statuses == {"2:1": ("delivered", 1)}


def test_the_secret_is_shown_once_and_kept_from_everybody_after(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    secret = outside.hook("credits.low")
    assert secret.startswith("whsec_")
    for answer in (
        outside.get(HOOK),
        outside.get(f"{PATH}/webhooks"),
        outside.put(HOOK, {"url": URL, "events": ["*"]}, outside.get(HOOK).etag),
    ):
        assert answer.status == 200
        assert b"whsec_" not in answer.body
    assert outside.put(HOOK, {"url": URL, "events": ["*"]}).status == 428


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    old = outside.hook()
    changed = {"url": URL, "events": ["*"], "rotate_secret": True}
    new = outside.put(HOOK, changed, outside.get(HOOK).etag).json["secret"]
    for hours, valid in ((0, [old, new]), (23, [old, new]), (2, [new])):
        outside.clock.advance(hours * 3600)
        outside.top_up("1.00")
        outside.relay()
        _, event_id, body, headers = outside.receiver.got[-1]
        now = outside.clock.now()
        for secret in valid:
            assert verify_webhook([secret], headers, body, now) == event_id
        assert headers["webhook-signature"].count("v1,") == len(valid)


def test_however_often_a_secret_is_rotated_two_sign(outside: DeliveryApp) -> None:
    """The newest and the one before it; an older one is given up at once."""
    outside.open(balance=None)
    changed = {"url": URL, "events": ["*"], "rotate_secret": True}
    secrets = [
        outside.hook(),
        *(outside.put(HOOK, changed, outside.get(HOOK).etag).json["secret"] for _ in range(5)),
    ]
    outside.top_up("1.00")
    outside.relay()

    _, _, body, headers = outside.receiver.got[-1]
    now = outside.clock.now()
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in secrets[-2:]:
        assert verify_webhook([secret], headers, body, now)
    with pytest.raises(NotAuthenticated):
        verify_webhook(secrets[:-2], headers, body, now)


def test_of_many_secrets_that_were_stored_the_two_newest_sign() -> None:
    now = START
    until = now + timedelta(hours=1)
    texts = [f"whsec_{number:032d}" for number in range(820)]
    stored = [Secret(texts[0]), *(Secret(text, until) for text in texts[1:])]

    headers = signed_headers(stored, "contoso:2:1", b"{}", now)

    assert headers["webhook-signature"].count("v1,") == 2
    assert verify_webhook([texts[1]], headers, b"{}", now)


SECRET_URL = "https://erp.example.com/credits?token=s3cret&x=1"


@pytest.mark.parametrize(
    ("roles", "shown"),
    [
        (("reader",), "https://erp.example.com/credits?***"),
        (("finance",), SECRET_URL),
        (("operator",), SECRET_URL),
        (("reader", "finance"), SECRET_URL),
        (("admin",), SECRET_URL),
    ],
)
def test_the_query_of_a_url_is_shown_to_those_who_may_write_it(
    outside: DeliveryApp, roles: tuple[str, ...], shown: str
) -> None:
    outside.open(balance=None)
    outside.hook(url=SECRET_URL)
    key = outside.api_key(*roles)

    assert outside.get(HOOK, key=key).json["url"] == shown
    assert [each["url"] for each in outside.get(f"{PATH}/webhooks", key=key).json["items"]] == [
        shown
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example.com/x", "https://a.example.com/x"),
        ("https://a.example.com:443/x?", "https://a.example.com:443/x"),
        ("https://a.example.com?key", "https://a.example.com?***"),
        ("https://user:pw@a.example.com/x?y=z#part", "https://***@a.example.com/x?***"),
        ("https://user@[2606:4700::1]:443/", "https://***@[2606:4700::1]:443/"),
    ],
)
def test_user_password_and_query_are_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_only_the_wanted_types_come(outside: DeliveryApp) -> None:
    outside.open(balance=None, alerts=[{"name": "low", "below": "2.00"}])
    outside.hook("credits.low")
    outside.top_up("3.00")
    outside.spend("1.50")
    outside.relay()
    assert [json.loads(body)["type"] for _, _, body, _ in outside.receiver.got] == ["credits.low"]


def test_a_failure_is_tried_again_within_ten_seconds_then_with_growing_pauses(
    outside: DeliveryApp,
) -> None:
    outside.open(balance=None)
    outside.hook()
    times: list[Any] = []

    def answer(_: str) -> ReceiverResponse:
        times.append(outside.clock.now())
        return BROKEN

    outside.receiver.answer = answer
    outside.top_up("5.00")
    outside.relay()
    assert (times[1] - times[0]).total_seconds() <= 10
    start = times[0]
    while outside.clock.now() < start + timedelta(days=5):
        outside.retry(seconds=60)
    pauses = [(b - a).total_seconds() for a, b in pairwise(times)]
    assert all(later >= earlier * 0.7 for earlier, later in pairwise(pauses))
    assert timedelta(days=2.4) < times[-1] - start <= timedelta(days=3.6)
    assert outside.statuses == {"2:1": ("dead", len(times))}
    assert outside.get(f"{HOOK}/deliveries").json["items"][0]["answer"] == 500


def test_events_wait_in_order_behind_one_that_fails_and_overtake_it_after_an_hour(
    outside: DeliveryApp,
) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda event: BROKEN if event.endswith(":2:1") else OK
    for _ in range(3):
        outside.top_up("1.00")
        outside.relay()
    assert set(outside.receiver.ids) == {f"{ACCOUNT}:2:1"}
    for _ in range(70):
        outside.retry(seconds=60)
    assert [event for event in outside.receiver.ids if not event.endswith(":2:1")] == [
        f"{ACCOUNT}:3:1",
        f"{ACCOUNT}:4:1",
    ]


def test_order_is_kept_through_an_outage_of_minutes(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda _: ReceiverResponse(None, "refused")
    for _ in range(5):
        outside.top_up("1.00")
        outside.relay()
    outside.receiver.got.clear()
    outside.receiver.answer = lambda _: OK
    for _ in range(15):
        outside.retry(seconds=60)
    assert outside.receiver.ids == [f"{ACCOUNT}:{commit}:1" for commit in range(2, 7)]


def test_410_stops_a_webhook_until_it_is_put_again(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda _: GONE
    outside.top_up("1.00")
    outside.relay()
    assert outside.get(HOOK).json["status"] == "stopped"
    outside.top_up("1.00")
    outside.relay()
    outside.retry(hours=1)
    assert len(outside.receiver.got) == 1
    assert outside.statuses == {"2:1": ("stopped", 1), "3:1": ("stopped", 0)}
    outside.receiver.answer = lambda _: OK
    outside.put(HOOK, {"url": URL, "events": ["*"]}, outside.get(HOOK).etag)
    outside.top_up("1.00")
    outside.relay()
    assert outside.receiver.ids[-1] == f"{ACCOUNT}:4:1"
    assert outside.get(HOOK).json["status"] == "active"


def test_a_dead_letter_is_replayed_under_the_same_id(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda _: BROKEN
    outside.top_up("1.00")
    outside.relay()
    while outside.statuses["2:1"][0] == "pending":
        outside.retry(hours=1)
    outside.receiver.answer = lambda _: OK
    again = outside.post(f"{HOOK}/deliveries/{ACCOUNT}:2:1/replay", {})
    assert (again.status, again.json["status"]) == (202, "pending")
    outside.retry()
    assert outside.statuses == {"2:1": ("delivered", 1)}
    assert outside.post(f"{HOOK}/deliveries/{ACCOUNT}:9:1/replay", {}).code == "delivery_unknown"
    assert outside.post(f"{HOOK}/deliveries/nonsense/replay", {}).code == "delivery_unknown"


def test_a_message_that_comes_again_is_not_sent_again(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.top_up("1.00")
    bodies = [message.body for message in outside.topic.published]
    for _ in range(3):
        outside.run(outside.container.deliver_events([*bodies, *bodies], seconds=80))
        outside.retry(minutes=5)
    assert outside.receiver.ids == [f"{ACCOUNT}:2:1"]


def test_an_outage_of_the_tables_takes_a_message_one_of_its_lives(
    outside: DeliveryApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again while the function has time; only then the message is given back."""
    outside.open(balance=None)
    outside.hook()
    outside.top_up("1.00")
    bodies = [message.body for message in outside.topic.published]
    accept = outside.container.deliveries.accept
    ends_at = outside.clock.now() + timedelta(seconds=20)

    async def away(delivery: Delivery) -> None:
        if outside.clock.now() < ends_at:
            raise StoreUnavailable("It is away.")
        await accept(delivery)

    monkeypatch.setattr(outside.container.deliveries, "accept", away)
    with pytest.raises(StoreUnavailable):
        outside.run(outside.container.deliver_events(bodies, seconds=10))
    outside.run(outside.container.deliver_events(bodies, seconds=80))

    assert outside.receiver.ids == [f"{ACCOUNT}:2:1"]


def test_a_taken_away_webhook_gets_nothing_more(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda _: BROKEN
    outside.top_up("1.00")
    outside.relay()
    assert outside.delete(HOOK).status == 204
    assert outside.delete(HOOK).code == outside.get(HOOK).code == "webhook_unknown"
    count = len(outside.receiver.got)
    outside.top_up("1.00")
    outside.relay()
    outside.retry(days=1)
    assert len(outside.receiver.got) == count


def test_one_bad_receiver_does_not_keep_others_waiting(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.put(f"{PATH}/webhooks/other", {"url": "https://b.example.com/", "events": ["*"]})
    outside.receiver.answer = lambda _: OK
    real = outside.receiver.post

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        reply = await real(url, headers, body)
        return BROKEN if url == URL else reply

    outside.receiver.post = post  # type: ignore[method-assign]
    for _ in range(4):
        outside.top_up("1.00")
        outside.relay()
    assert [url for url, *_ in outside.receiver.got].count("https://b.example.com/") == 4


def test_what_is_no_event_of_ours_is_passed_over(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.top_up("1.00")
    good = outside.topic.published[0].body
    bad = [b"", b"[]", b"{}", b'{"id": "x", "source": "/accounts/x", "type": "y"}', b"\xff"]
    outside.run(outside.container.deliver_events([*bad, good], seconds=80))
    assert outside.receiver.ids == [f"{ACCOUNT}:2:1"]


def test_an_account_has_ten_webhooks_at_most(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    answers = [outside.put(f"{PATH}/webhooks/hook-{n}", body) for n in range(11)]
    assert [answer.status for answer in answers] == [201] * 10 + [409]
    assert answers[-1].code == "too_many_webhooks"
    assert len(outside.items("webhooks")) == 10


@pytest.mark.parametrize("seed", range(5))
def test_puts_at_the_same_time_do_not_pass_the_ten(outside: DeliveryApp, seed: int) -> None:
    outside.open(balance=None)
    webhooks, wanted = outside.container.webhooks, WebhookInput(URL, ("*",))

    async def put(name: str) -> str:
        try:
            await webhooks.put(ACCOUNT, name, wanted, None)
        except PerminuteError as error:
            return error.code
        return "created"

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(put(f"hook-{seed}-{n}") for n in range(30)))

    answers = Counter(outside.run(all_at_once()))

    assert answers == {"created": 10, "too_many_webhooks": 20}
    assert len(outside.items("webhooks")) == 10


def test_a_webhook_that_was_taken_away_makes_room_for_another(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    for round_ in range(3):
        for number in range(10):
            assert outside.put(f"{PATH}/webhooks/hook-{round_}-{number}", body).status == 201
        assert outside.put(f"{PATH}/webhooks/one-more", body).code == "too_many_webhooks"
        for number in range(10):
            assert outside.delete(f"{PATH}/webhooks/hook-{round_}-{number}").status == 204
    assert outside.items("webhooks") == []


@pytest.mark.parametrize("stored", [1, 7, 10])
def test_webhooks_from_before_the_count_are_counted(outside: DeliveryApp, stored: int) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    kind = f"webhook|{ACCOUNT}"
    for number in range(stored):
        outside.put(f"{PATH}/webhooks/old-{number}", body)
        document = outside.run(outside.container.records.get(kind, f"old-{number}")).document
        outside.run(outside.container.records.delete(kind, f"old-{number}"))
        outside.run(outside.container.records.put(kind, f"old-{number}", document, if_match=None))

    answers = [outside.put(f"{PATH}/webhooks/new-{n}", body).status for n in range(11 - stored)]
    assert answers == [201] * (10 - stored) + [409]
    assert outside.delete(f"{PATH}/webhooks/old-0").status == 204
    assert outside.put(f"{PATH}/webhooks/new-11", body).status == 201
    assert outside.put(f"{PATH}/webhooks/new-12", body).status == 409


# Receivers that hang


class Hanging:
    """Receivers of which some never answer: the events that came to each, and how many hang."""

    def __init__(self, outside: DeliveryApp, fragment: str) -> None:
        self.took: list[tuple[str, str]] = []
        self.hanging: Counter[str] = Counter()
        self._fragment = fragment
        outside.container.webhook_sender = self  # type: ignore[assignment]
        del outside.container.__dict__["deliver_events"]

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        if self._fragment in url:
            self.hanging[url] += 1
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.hanging[url] -= 1
        self.took.append((url, json.loads(body)["id"]))
        return OK

    async def end(self, deliver: DeliverEvents) -> None:
        """Nothing goes on after the test."""
        tasks = list(deliver._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _message(account: str, number: int) -> bytes:
    event = {
        "id": f"{account}:{number}:1",
        "source": f"/accounts/{account}",
        "type": "credits.topped_up",
        "data": {},
    }
    return json.dumps(event).encode()


def test_accounts_whose_receivers_hang_do_not_delay_a_healthy_one_of_another(
    outside: DeliveryApp,
) -> None:
    """Twelve accounts with ten receivers each that never answer, in batches before and after."""
    victims = [f"hangs-{number}" for number in range(12)]
    for account in [*victims, "healthy"]:
        outside.account(account)
    for account in victims:
        for number in range(10):
            url = f"https://hangs.example.com/{account}/{number}"
            outside.put(
                f"/api/v1/accounts/{account}/webhooks/h-{number}", {"url": url, "events": ["*"]}
            )
    url = "https://healthy.example.com/"
    outside.put("/api/v1/accounts/healthy/webhooks/erp", {"url": url, "events": ["*"]})
    receivers = Hanging(outside, "hangs")
    deliver = outside.container.deliver_events

    async def scenario() -> None:
        await deliver([_message(account, 1) for account in victims], seconds=80)
        for number in range(1, 4):
            batch = [*(_message(account, 1 + number) for account in victims)]
            await deliver([*batch, _message("healthy", number)], seconds=80)
        await deliver.retry(seconds=80)
        assert sum(receivers.hanging.values()) > 0
        assert max(receivers.hanging.values()) == 1
        await receivers.end(deliver)

    async def within(seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await scenario()

    outside.run(within(8.0))  # a receiver is given up after ten

    assert receivers.took == [(url, f"healthy:{number}:1") for number in range(1, 4)]


def test_receivers_that_hang_do_not_delay_a_healthy_one_of_the_same_account(
    outside: DeliveryApp,
) -> None:
    outside.open(balance=None)
    for number in range(9):
        body = {"url": f"https://hangs.example.com/{number}", "events": ["*"]}
        outside.put(f"{PATH}/webhooks/h-{number}", body)
    outside.put(HOOK, {"url": URL, "events": ["*"]})
    receivers = Hanging(outside, "hangs")
    deliver = outside.container.deliver_events

    async def within(seconds: float) -> None:
        async with asyncio.timeout(seconds):
            for number in range(1, 4):
                await deliver([_message(ACCOUNT, number)], seconds=80)
        await receivers.end(deliver)

    outside.run(within(5.0))

    assert receivers.took == [(URL, f"{ACCOUNT}:{number}:1") for number in range(1, 4)]


def test_receivers_that_gave_no_answer_share_few_slots(
    outside: DeliveryApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are known, four of an account are tried at once."""
    outside.open(balance=None)
    for number in range(10):
        body = {"url": f"https://hangs.example.com/{number}", "events": ["*"]}
        outside.put(f"{PATH}/webhooks/h-{number}", body)
    receivers = Hanging(outside, "hangs")
    deliver = outside.container.deliver_events
    deliver._failing.update((ACCOUNT, f"h-{number}") for number in range(10))

    async def scenario() -> None:
        await deliver([_message(ACCOUNT, 1)], seconds=80)
        assert sum(receivers.hanging.values()) == 4
        await receivers.end(deliver)

    outside.run(scenario())


# Where a webhook may point


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example.com/",
        "https://erp.example.com:8443/",
        "https://user@erp.example.com/",
        "https://user:pw@erp.example.com/",
        "https://erp.example.com/#part",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://localhost/",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://printer.local./",
        "https://nas.lan/",
        "https://erp.corp/",
        "https://router.home/",
        "https://router.home.arpa/",
        "https://erp.intranet/",
        "https://x.private/",
        "https://x.onion/",
        "https://x.test/",
        "https://x.invalid/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:9.9.9.9]/",
        "https://[::127.0.0.1]/",
        "https://[::9.9.9.9]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[::ffff:0:9.9.9.9]/",
        "https://[0:0:0:0:0:0:7f00:1]/",
        "https://[64:ff9b::9.9.9.9]/",
        "https://[64:ff9b:1::10.0.0.1]/",
        "https://[2002:a9fe:a9fe::1]/",
        "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "https://[2606:4700::5efe:10.0.0.1]/",
        "https://[2606:4700::200:5efe:10.0.0.1]/",
        "https://[2606:4700::1111%25eth0]/",
        "https://[2606:4700::1111%eth0]/",
        "https://[4000::1]/",
        "https://127.0.0.1./",
        "https://localhost./",
        "https://0x7f.1/",
        "https://0x7f.0.0.0x1/",
        "https://0300.0250.0.1/",
        "https://017700000001/",
        "https://10.1/",
        "https://%31%32%37.0.0.1/",
        "https://169.254.169.254./",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[2002:7f00:1::]/",
        "https://[ff02::1]/",
        "https://[fec0::1]/",
        "https://224.0.0.1/",
        "https://100.64.0.1/",
        "https://192.0.2.1/",
        "https://0.0.0.0/",
        "https://erp.example.com\\@127.0.0.1/",
        "https://erp.example.com /",
        "https://exämple.com/",
        "https:///nothing",
        "https://[::1",
        "https://erp.example.com:99999/",
        "ftp://erp.example.com/",
        "javascript:alert(1)",
        "https://a" + "a" * 2100 + ".example.com/",
        "https://a..example.com/",
        "https://-a.example.com/",
    ],
)
def test_a_url_that_is_not_public_https_is_refused(outside: DeliveryApp, url: str) -> None:
    outside.open(balance=None)
    answer = outside.put(HOOK, {"url": url, "events": ["*"]})
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.pointers() == ["/url"]


@pytest.mark.parametrize(
    "url",
    [
        *(URL, "https://erp.example.com", "https://erp.example.com:443/a?b=c"),
        *("https://9.9.9.9/x", "https://[2606:4700::1111]/", "https://erp.example.com./"),
    ],
)
def test_public_https_is_taken(url: str) -> None:
    assert url_fault(url, allow_loopback=False) is None


def test_loopback_is_taken_only_where_a_setting_states_it() -> None:
    for url in ("http://127.0.0.1:8099/hook", "http://localhost:1/", "http://[::1]:8099/"):
        assert url_fault(url, allow_loopback=True) is None
        assert url_fault(url, allow_loopback=False) is not None
    for url in ("http://10.0.0.1/", "http://erp.example.com/", "https://169.254.169.254/"):
        assert url_fault(url, allow_loopback=True) is not None


def test_long_hosts_are_judged_in_no_time() -> None:
    import time

    started = time.perf_counter()
    for host in ("a" * 2000, "a." * 900, "-" * 2000, "a-" * 900 + "!", "1." * 900):
        assert url_fault(f"https://{host}/", allow_loopback=False) is not None
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("events", [[], ["nonsense"], ["credits.low", "~recharge"]])
def test_unknown_events_are_refused(outside: DeliveryApp, events: list[str]) -> None:
    outside.open(balance=None)
    assert outside.put(HOOK, {"url": URL, "events": events}).status == 422


def test_who_may_set_up_webhooks(outside: DeliveryApp) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    assert outside.put(HOOK, body, key=outside.api_key("reader")).code == "role_missing"
    assert outside.put(HOOK, body, key=outside.api_key("payments")).code == "role_missing"
    foreign = outside.api_key("finance", accounts=("fabrikam",))
    assert outside.put(HOOK, body, key=foreign).code == "account_not_allowed"
    assert outside.put(HOOK, body, key=outside.api_key("finance")).status == 201


# Mail


def test_alerts_are_mailed_in_the_accounts_language(outside: DeliveryApp) -> None:
    outside.open(
        balance="21.00",
        name="Contoso SA",
        alerts=[{"name": "low", "below": "20.00"}],
        emails=["ops@contoso.example", "ken@contoso.example"],
        language="fr",
    )
    outside.spend("2.00")
    outside.relay()
    (mail,) = outside.mail.mails
    assert (
        mail.subject
        == "Contoso SA\N{NO-BREAK SPACE}: le solde est passé sous 20,00\N{NO-BREAK SPACE}USD"
    )
    assert list(mail.to) == ["ops@contoso.example", "ken@contoso.example"]
    assert "Solde\N{NO-BREAK SPACE}: 19,00\N{NO-BREAK SPACE}USD" in mail.text
    assert mail.mail_id == f"{ACCOUNT}:3:1"
    deliveries = outside.container.deliveries
    page, _ = outside.run(deliveries.page(ACCOUNT, MAIL, limit=10, cursor=None))
    assert [each.status for each in page] == ["delivered"]


def test_top_ups_and_requests_are_not_mailed_successes_and_declines_are(
    outside: DeliveryApp,
) -> None:
    outside.open(
        balance="21.00",
        auto_recharge={"trigger": "20.00", "amount": "50.00"},
        emails=["ops@contoso.example"],
    )
    outside.spend("2.00")
    outside.answer(f"{ACCOUNT}~1", "declined")
    outside.tick(hours=1)
    outside.answer(f"{ACCOUNT}~2", "succeeded")
    outside.relay()
    assert [mail.subject for mail in outside.mail.mails] == [
        "contoso: a recharge was declined",
        "contoso: recharged by 50.00 USD",
    ]


@pytest.mark.parametrize(
    ("address", "refused"),
    [("9.9.9.9", False), ("2620:fe::fe", False), ("192.88.99.1", True), ("3fff::1", True)],
)
def test_the_deny_list_goes_beyond_what_python_calls_global(address: str, refused: bool) -> None:
    from ipaddress import ip_address

    fault = address_fault(ip_address(address), allow_loopback=False)
    assert (fault is not None) == refused

"""Webhooks: every event at least once and in order, signed, and never where it must not go."""

import json
from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.domain.errors import StoreUnavailable
from shared.domain.signatures import verify_webhook
from shared.domain.webhooks import MAIL, Delivery, Reply, address_fault, url_fault
from tests.unit.credits.outside import HOOK, OK, URL, Outside
from tests.unit.credits.world import ACCOUNT, PATH

BROKEN, GONE = Reply(500), Reply(410)


@pytest.fixture
def outside() -> Any:
    one = Outside()
    yield one
    one.close()


def test_an_event_is_delivered_as_a_signed_cloud_event(outside: Outside) -> None:
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


def test_the_secret_is_shown_once_and_kept_from_everybody_after(outside: Outside) -> None:
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


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(outside: Outside) -> None:
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


def test_only_the_wanted_types_come(outside: Outside) -> None:
    outside.open(balance=None, alerts=[{"name": "low", "below": "2.00"}])
    outside.hook("credits.low")
    outside.top_up("3.00")
    outside.spend("1.50")
    outside.relay()
    assert [json.loads(body)["type"] for _, _, body, _ in outside.receiver.got] == ["credits.low"]


def test_a_failure_is_tried_again_within_ten_seconds_then_with_growing_pauses(
    outside: Outside,
) -> None:
    outside.open(balance=None)
    outside.hook()
    times: list[Any] = []

    def answer(_: str) -> Reply:
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
    outside: Outside,
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


def test_order_is_kept_through_an_outage_of_minutes(outside: Outside) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.receiver.answer = lambda _: Reply(None, "refused")
    for _ in range(5):
        outside.top_up("1.00")
        outside.relay()
    outside.receiver.got.clear()
    outside.receiver.answer = lambda _: OK
    for _ in range(15):
        outside.retry(seconds=60)
    assert outside.receiver.ids == [f"{ACCOUNT}:{commit}:1" for commit in range(2, 7)]


def test_410_stops_a_webhook_until_it_is_put_again(outside: Outside) -> None:
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


def test_a_dead_letter_is_replayed_under_the_same_id(outside: Outside) -> None:
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


def test_a_message_that_comes_again_is_not_sent_again(outside: Outside) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.top_up("1.00")
    bodies = [message.body for message in outside.topic.published]
    for _ in range(3):
        outside.run(outside.container.deliver_events([*bodies, *bodies], seconds=80))
        outside.retry(minutes=5)
    assert outside.receiver.ids == [f"{ACCOUNT}:2:1"]


def test_an_outage_of_the_tables_takes_a_message_one_of_its_lives(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
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


def test_a_taken_away_webhook_gets_nothing_more(outside: Outside) -> None:
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


def test_one_bad_receiver_does_not_keep_others_waiting(outside: Outside) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.put(f"{PATH}/webhooks/other", {"url": "https://b.example.com/", "events": ["*"]})
    outside.receiver.answer = lambda _: OK
    real = outside.receiver.post

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = await real(url, headers, body)
        return BROKEN if url == URL else reply

    outside.receiver.post = post  # type: ignore[method-assign]
    for _ in range(4):
        outside.top_up("1.00")
        outside.relay()
    assert [url for url, *_ in outside.receiver.got].count("https://b.example.com/") == 4


def test_what_is_no_event_of_ours_is_passed_over(outside: Outside) -> None:
    outside.open(balance=None)
    outside.hook()
    outside.top_up("1.00")
    good = outside.topic.published[0].body
    bad = [b"", b"[]", b"{}", b'{"id": "x", "source": "/accounts/x", "type": "y"}', b"\xff"]
    outside.run(outside.container.deliver_events([*bad, good], seconds=80))
    assert outside.receiver.ids == [f"{ACCOUNT}:2:1"]


def test_an_account_has_ten_webhooks_at_most(outside: Outside) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    answers = [outside.put(f"{PATH}/webhooks/hook-{n}", body) for n in range(11)]
    assert [answer.status for answer in answers] == [201] * 10 + [409]
    assert answers[-1].code == "too_many_webhooks"
    assert len(outside.items("webhooks")) == 10


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
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
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
def test_a_url_that_is_not_public_https_is_refused(outside: Outside, url: str) -> None:
    outside.open(balance=None)
    answer = outside.put(HOOK, {"url": url, "events": ["*"]})
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.pointers() == ["/url"]


@pytest.mark.parametrize(
    "url",
    [URL, "https://erp.example.com", "https://erp.example.com:443/a?b=c", "https://9.9.9.9/x"],
)
def test_public_https_is_taken(url: str) -> None:
    assert url_fault(url, allow_loopback=False) is None


def test_loopback_is_taken_only_where_a_setting_says_so() -> None:
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
def test_unknown_events_are_refused(outside: Outside, events: list[str]) -> None:
    outside.open(balance=None)
    assert outside.put(HOOK, {"url": URL, "events": events}).status == 422


def test_who_may_set_up_webhooks(outside: Outside) -> None:
    outside.open(balance=None)
    body = {"url": URL, "events": ["*"]}
    assert outside.put(HOOK, body, key=outside.api_key("reader")).code == "role_missing"
    assert outside.put(HOOK, body, key=outside.api_key("payments")).code == "role_missing"
    foreign = outside.api_key("finance", accounts=("fabrikam",))
    assert outside.put(HOOK, body, key=foreign).code == "account_not_allowed"
    assert outside.put(HOOK, body, key=outside.api_key("finance")).status == 201


# Mail


def test_alerts_are_mailed_in_the_accounts_language(outside: Outside) -> None:
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
    assert mail.subject == "Contoso SA : le crédit est inférieur à 20.00 USD"
    assert list(mail.to) == ["ops@contoso.example", "ken@contoso.example"]
    assert "Solde : 19.00 USD" in mail.text
    assert mail.mail_id == f"{ACCOUNT}:3:1"
    deliveries = outside.container.deliveries
    page, _ = outside.run(deliveries.page(ACCOUNT, MAIL, limit=10, cursor=None))
    assert [each.status for each in page] == ["delivered"]


def test_top_ups_and_requests_are_not_mailed_successes_and_declines_are(outside: Outside) -> None:
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

"""The stand-ins of the laptop are strict: a wrong signature is refused, a mail is kept as sent."""

import base64
import http.client
import json
import smtplib
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from local.demo.mailbox import Mailbox
from local.demo.payments import PaymentProvider, PlannedAnswer
from local.demo.receiver import WebhookReceiver, is_signed
from local.demo.wire import standard_webhooks

SECRET = "whsec_" + base64.b64encode(b"a secret of at least 24 bytes").decode()
BODY = json.dumps({"id": "a:1:1", "type": "credits.low"}).encode()


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    one = WebhookReceiver()
    one.secrets.append(SECRET)
    yield one
    one.close()


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    address, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("POST", f"/{path}", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_webhook_is_taken_with_a_right_signature_only(receiver: WebhookReceiver) -> None:
    good = standard_webhooks(SECRET)(BODY)
    other = standard_webhooks("whsec_" + base64.b64encode(b"another secret, also long").decode())
    assert post(receiver.url, good, BODY) == 200
    assert post(receiver.url, good, BODY) == 200  # it comes again
    assert post(receiver.url, good, BODY + b" ") == 401
    assert post(receiver.url, other(BODY), BODY) == 401
    assert post(receiver.url, {}, BODY) == 401
    assert ([each.event["id"] for each in receiver.received], receiver.refused) == (["a:1:1"], 3)


def test_an_old_signature_is_none() -> None:
    headers = standard_webhooks(SECRET)(BODY)
    assert is_signed(SECRET, headers, BODY)
    assert not is_signed(SECRET, headers | {"webhook-timestamp": str(int(time.time()) - 400)}, BODY)
    assert not is_signed(SECRET, headers | {"webhook-timestamp": "soon"}, BODY)


def test_a_mail_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    """Lines that begin with a dot and letters beyond ASCII come through the protocol."""
    mailbox = Mailbox(tmp_path / "mail")
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@a.example", "b@b.example", "Crédit épuisé"
    mail.set_content(".\n..two dots\nCrédit\n")
    port = int(mailbox.settings["SMTP_PORT"])
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.send_message(mail)
        client.send_message(mail)
    mailbox.close()
    assert [each.get_content().splitlines() for each in mailbox.mails] == [
        [".", "..two dots", "Crédit"]
    ] * 2
    assert mailbox.mails[0]["subject"] == "Crédit épuisé"
    assert sorted(each.name for each in (tmp_path / "mail").iterdir()) == [
        *("000001.eml", "000002.eml")
    ]


def test_the_provider_answers_as_its_file_states_now(tmp_path: Path) -> None:
    file = tmp_path / "payments.json"
    provider = PaymentProvider(file)
    provider.close()
    assert provider.usual() == PlannedAnswer("succeeded")
    file.write_text('{"status": "declined", "hard": true}')
    assert provider.usual() == PlannedAnswer("declined", hard=True)

"""Plays the meeting over HTTP, and keeps what the product answered."""

import json
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import quote

from local.demo import cdr, meeting
from local.demo.control import HangingUpBridge
from local.demo.events import Subscription
from local.demo.external_services import ExternalServices
from local.demo.meeting import FREESWITCH_BRIDGE, LEGS, LOCAL_BRIDGE, DemoLeg, Question
from local.demo.payments import Callback, subscribe
from local.demo.rate_card import RateJson, missing_rates, rate_card, version_path
from local.demo.receiver import ReceivedEvent, WebhookReceiver
from local.demo.seed import ACCOUNT, ACCOUNTS, CARD, seed
from local.demo.wire import Admin, BridgeClient, DemoError, Json, Response, basic, standard_webhooks
from local.stack import Stack
from shared.domain.common.counts import counted

MEETING_MINUTES_AGO = 70
CHARGED_SECONDS_MAX = 20.0
EVENT_SECONDS_MAX = 40.0
WEBHOOK = "erp"  # the account's own
POLL_SECONDS = 0.05
ENTRIES_MAX = 100
_ACCOUNT = f"/api/v1/accounts/{ACCOUNT}"


@dataclass(slots=True)
class DemoResult:
    """The product's answers, in the order of the requests."""

    began_at: datetime
    rate_count: int = 0
    account_at_first: Json = field(default_factory=dict)
    dial_outs: list[tuple[Question, Json]] = field(default_factory=list)
    account_while_held: Json = field(default_factory=dict)
    alert: Json = field(default_factory=dict)
    parked: Json = field(default_factory=dict)
    replayed: Json = field(default_factory=dict)
    top_ups: list[Response] = field(default_factory=list)
    call_ended: Json = field(default_factory=dict)
    deliveries: list[Json] = field(default_factory=list)
    recharges: list[Json] = field(default_factory=list)
    payment_answers: list[Callback] = field(default_factory=list)
    webhooks: list[ReceivedEvent] = field(default_factory=list)
    webhooks_refused: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    legs: dict[str, Json] = field(default_factory=dict)
    entries: list[Json] = field(default_factory=list)
    account_at_last: Json = field(default_factory=dict)
    verification: Json = field(default_factory=dict)

    def authorization_for(self, leg: DemoLeg) -> str | None:
        """The authorization of the dial-out that became this leg, if one was requested."""
        found = (answer for request, answer in self.dial_outs if request.leg == leg.id)
        return next((answer.get("authorization") for answer in found), None)


class Play:
    """The parts of the story, each after the one before it. All raise DemoError."""

    def __init__(
        self,
        stack: Stack,
        services: ExternalServices,
        events: Subscription,
        say: Callable[[str], None],
    ) -> None:
        self._services = services
        self._receiver = WebhookReceiver()  # the customer's own server
        self._admin = Admin(stack.base_url, stack.admin_key)
        self._base_url, self._admin_key = stack.base_url, stack.admin_key
        self._events = events
        self._say = say
        signs = standard_webhooks(stack.bridge_secret)
        password = secrets.token_urlsafe(24)
        self._password = password
        self._bridges = {
            LOCAL_BRIDGE: BridgeClient(stack.base_url, LOCAL_BRIDGE, signs),
            FREESWITCH_BRIDGE: BridgeClient(
                stack.base_url, FREESWITCH_BRIDGE, basic(FREESWITCH_BRIDGE, password)
            ),
        }
        now = datetime.now(UTC).replace(microsecond=0)
        self.result = DemoResult(began_at=now - timedelta(minutes=MEETING_MINUTES_AGO))

    def run(self) -> DemoResult:
        """The whole meeting."""
        self._load()
        self._ask_dial_outs()
        self._post_legs()
        self._receive_alert()
        self._replay_parked_leg()
        self._recharge()
        self._top_up()
        self._end_a_call()
        self._read_back()
        self._receiver.close()
        return self.result

    def _load(self) -> None:
        seed(self._base_url, self._admin_key)
        freeswitch = {
            "dialect": "freeswitch",
            "auth": {"scheme": "basic", "username": FREESWITCH_BRIDGE, "secrets": [self._password]},
            "accounts": [ACCOUNT],
            "default_account": ACCOUNT,
        }
        self._admin.put(f"/api/v1/bridges/{FREESWITCH_BRIDGE}", freeswitch)
        self._services.payments.plan.extend(meeting.PAYMENTS)
        self._services.payments.connect(self._base_url, self._admin_key, [ACCOUNT])
        url = self._receiver.url
        secret = subscribe(self._admin, ACCOUNT, WEBHOOK, url, list(meeting.EXPECTED_EVENTS))
        self._receiver.secrets.append(secret)
        self._put_auto_recharge()
        card = self._admin.get(f"/api/v1/rate-cards/{CARD}")
        self.result.rate_count = sum(version["rate_count"] for version in card["versions"])
        self.result.account_at_first = self._admin.get(_ACCOUNT)
        balance = self.result.account_at_first["balance"]
        lots = len(self.result.account_at_first["lots"])
        self._say(
            f"rate card of {counted(self.result.rate_count, 'rate')}; "
            f"{ACCOUNT} has {balance} in {counted(lots, 'lot')}"
        )

    def _put_auto_recharge(self) -> None:
        etag = self._admin.get(_ACCOUNT)["etag"]
        wanted = {**ACCOUNTS[ACCOUNT], "auto_recharge": meeting.AUTO_RECHARGE}
        answer = self._admin.ask("PUT", _ACCOUNT, wanted, if_match=etag)
        if answer.status != 200:
            raise DemoError(f"the settings were answered {answer.status}: {answer.body}")

    def _ask_dial_outs(self) -> None:
        for question in (*meeting.ALLOWED, *meeting.DENIED):
            request = {"to": question.to, "conference_id": question.conference}
            answer = self._bridges[question.bridge].ask_dial_out(request)
            self.result.dial_outs.append((question, answer))
        self.result.account_while_held = self._admin.get(_ACCOUNT)
        held = self.result.account_while_held["held"]
        decisions = [answer["decision"] for _, answer in self.result.dial_outs]
        allowed = decisions.count("allow")
        self._say(
            f"{counted(len(decisions), 'dial-out')} requested: {allowed} allowed, "
            f"{decisions.count('deny')} denied; {held} held"
        )

    def _post_legs(self) -> None:
        signed = [leg for leg in LEGS if not leg.encoding]
        several = [meeting.event_of(leg, *self._known_of(leg)) for leg in signed if leg.posts == 1]
        local = self._bridges[LOCAL_BRIDGE]
        local.post_ended(json.dumps(several).encode())
        for leg in LEGS:
            if leg.encoding:
                record = cdr.record_of(leg, *self._known_of(leg))
                body, content_type = cdr.posted(record, leg.encoding)
                # mod_json_cdr appends this to its URL
                query = f"?uuid={leg.id}"
                self._bridges[FREESWITCH_BRIDGE].post_ended(body, content_type, query)
        for leg in signed:
            if leg.posts > 1:
                self._post_at_once(leg)
        self._say(f"{counted(len(LEGS), 'leg')} posted by two bridges; waiting for their charges")
        deadline = time.monotonic() + CHARGED_SECONDS_MAX
        for leg in LEGS:
            self._wait_for_charge(leg, deadline)
        self._say("all legs are charged or parked")

    def _post_at_once(self, leg: DemoLeg) -> None:
        body = json.dumps(meeting.event_of(leg, *self._known_of(leg))).encode()
        local = self._bridges[LOCAL_BRIDGE]
        with ThreadPoolExecutor(leg.posts) as pool:
            list(pool.map(lambda _: local.post_ended(body), range(leg.posts)))

    def _known_of(self, leg: DemoLeg) -> tuple[datetime, str | None]:
        return self.result.began_at, self.result.authorization_for(leg)

    def _wait_for_charge(self, leg: DemoLeg, deadline: float) -> None:
        path = _leg_path(leg)
        while (answer := self._admin.ask("GET", path)).status != 200:
            if answer.status != 404 or time.monotonic() > deadline:
                raise DemoError(f"leg {leg.key} has no charge yet: {answer.status} {answer.body}")
            time.sleep(POLL_SECONDS)

    def _receive_alert(self) -> None:
        self.result.alert = self._events.wait_for(
            "the alert", lambda event: event["type"] == "credits.low", EVENT_SECONDS_MAX
        )
        threshold = self.result.alert["data"]["threshold"]
        self._say(f"alert received from the topic: {ACCOUNT} is below {threshold}")

    def _replay_parked_leg(self) -> None:
        parked = self._admin.get(f"/api/v1/parked-legs?account={ACCOUNT}&status=open")["items"]
        if len(parked) != 1:
            raise DemoError(f"Parked legs: {len(parked)}, and not the one without a rate")
        self.result.parked = parked[0]
        card = rate_card()
        rates: list[RateJson] = [*_rates(card), *missing_rates()]
        # The leg was answered when there was no rate: only a backdated version rates it.
        path = version_path(CARD, self.result.began_at)
        self._admin.put(f"{path}?backdate=true", {**card, "rates": rates})
        replay = f"/api/v1/parked-legs/{quote(parked[0]['id'])}/replay"
        answer = self._admin.ask("POST", replay)
        if answer.status != 200:
            raise DemoError(f"the replay was answered {answer.status}: {answer.body}")
        self.result.replayed = answer.body
        self._say(f"rate card corrected, parked leg replayed: {answer.body['status']}")

    def _recharge(self) -> None:
        """The replayed leg brought the balance below the trigger."""
        result = self.result
        declined = self._wait_for_recharge(1, "declined")
        self._say(f"recharge of {declined['amount']} requested and declined")
        self._put_auto_recharge()  # a person corrected the payment: the next request is at once
        paid = self._wait_for_recharge(2, "succeeded")
        self._say(f"recharge of {paid['amount']} requested again, pending, then paid")
        result.payment_answers = self._services.payments.callbacks
        expected, webhooks, mails = (
            len(meeting.EXPECTED_EVENTS),
            self._receiver.received,
            self._services.mails,
        )
        self._wait(lambda: min(len(webhooks), len(mails)) >= expected, "all webhooks and mails")
        self._say(
            f"{counted(len(webhooks), 'webhook')} received and verified, "
            f"{counted(len(mails), 'mail')} received"
        )

    def _wait_for_recharge(self, number: int, status: str) -> Json:
        """Wait for the newest of a number of recharges."""

        def is_there() -> bool:
            found = self._admin.get(f"{_ACCOUNT}/recharges")["items"]
            self.result.recharges = found[::-1]
            return len(found) == number and found[0]["status"] == status

        self._wait(is_there, f"recharge {number}, {status},")
        return self.result.recharges[-1]

    def _wait(self, is_there: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + EVENT_SECONDS_MAX
        while not is_there():
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not come within {EVENT_SECONDS_MAX:.0f} s")
            time.sleep(POLL_SECONDS)

    def _top_up(self) -> None:
        body = {"amount": meeting.TOP_UP, "reference": "invoice 2042"}
        for _ in range(2):
            key = "after-the-alert"
            answer = self._admin.ask("POST", f"{_ACCOUNT}/top-ups", body, idempotency_key=key)
            if answer.status != 201:
                raise DemoError(f"the top-up was answered {answer.status}: {answer.body}")
            self.result.top_ups.append(answer)
        self._say(f"topped up by {meeting.TOP_UP}, requested twice with the same key")
        # Events come in order: what is not there when this one is was never published.
        balance = self.result.top_ups[0].body["balance"]
        self._events.wait_for(
            "the event of the top-up",
            lambda event: (
                event["type"] == "credits.topped_up"
                and event["data"]["account"] == ACCOUNT
                and event["data"]["balance"] == balance
            ),
            EVENT_SECONDS_MAX,
        )
        self.result.deliveries = [
            event for event in self._events.deliveries if event["data"]["account"] == ACCOUNT
        ]

    def _end_a_call(self) -> None:
        """Suspend the account while a call rings, and end the suspension."""
        bridge = HangingUpBridge(self._admin, self._bridges[LOCAL_BRIDGE])
        call = bridge.dial({"to": meeting.RINGING, "conference_id": meeting.RINGING_FROM})
        suspended = time.monotonic()
        self._suspend(is_suspended=True)
        self._wait(lambda: bool(call.ended_by), "call.end")
        self._suspend(is_suspended=False)
        bridge.close()
        self.result.call_ended = call.ended_by
        self._say(
            f"account suspended: call.end {call.ended - suspended:.1f} s later, and the bridge "
            "hung up"
        )

    def _suspend(self, *, is_suspended: bool) -> None:
        path = f"{_ACCOUNT}/dial-out-policy"
        answer = self._admin.ask("PATCH", path, {"suspended": is_suspended})
        if answer.status not in {200, 201}:
            raise DemoError(f"the policy was answered {answer.status}: {answer.body}")

    def _read_back(self) -> None:
        self.result.legs = {leg.key: self._admin.get(_leg_path(leg)) for leg in LEGS}
        self.result.entries = self._admin.get(f"{_ACCOUNT}/entries?limit={ENTRIES_MAX}")["items"]
        self.result.account_at_last = self._admin.get(_ACCOUNT)
        self.result.webhooks = list(self._receiver.received)
        self.result.webhooks_refused = self._receiver.refused
        by_id = {str(mail["message-id"]): mail for mail in self._services.mails}
        self.result.mails = list(by_id.values())  # as a mail box shows what comes twice
        self.result.verification = self._admin.get(f"{_ACCOUNT}/verify")
        self._say("ledger read and verified")


def _leg_path(leg: DemoLeg) -> str:
    return f"{_ACCOUNT}/legs/{quote(leg.key, safe='~')}"


def _rates(card: dict[str, object]) -> list[RateJson]:
    rates = card["rates"]
    assert isinstance(rates, list)
    return rates

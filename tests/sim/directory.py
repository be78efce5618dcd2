"""What a run begins with, and what administrators change of it later."""

import asyncio
import json
from datetime import datetime, timedelta

from shared.bootstrap.composition import Container
from shared.contracts.common.validation import parse_body
from shared.contracts.directory.accounts import AccountBody
from shared.contracts.ledger.entries import AdjustmentBody, TopUpBody, entry_body
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.canonical import format_time
from shared.domain.common.money import format_amount
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.directory.entities import BridgeInput, OnOutage, Registration
from shared.domain.directory.request_signatures import AuthScheme
from shared.domain.rating.versioning import PutRules
from shared.usecases.delivery.manage_webhooks import WebhookInput
from shared.usecases.directory.codecs import Kind, conference_kind
from tests.sim.deployment import Deployment
from tests.sim.requester import Act, Json, Requester
from tests.sim.scheduler import START
from tests.support.processes import ADMIN, CARD

CONFERENCES = ("3001", "3002", "3003")
FIRST_CREDITS = ("3", "25", "60.5")
HOOK = WebhookInput("https://erp.example.com/credits", ("*",))


class Directory(Requester):
    """Administrators."""

    def __init__(self, deployment: Deployment, point: str) -> None:
        super().__init__(deployment)
        self.keys: list[tuple[str, str, Json]] = []
        self.at_the_settings = asyncio.Lock()
        always = point.startswith("recharge.")
        self.recharging = {
            name: self._auto_recharge(always=always)
            for name in self.accounts
            if always or self.rng.random() < 0.3
        }
        always = point.startswith("delivery.")
        self.hooked = [name for name in self.accounts if always or self.rng.random() < 0.15]

    def _auto_recharge(self, *, always: bool) -> Json:
        return {
            "trigger": self.rng.choice(("5", "30")),
            "amount": self.rng.choice(("7", "20")),
            "max_per_day": 4 if always else self.rng.choice((1, 2, 4)),
        }

    # ---- set-up, before anything fails

    async def set_up(self) -> None:
        effective_from = START - timedelta(days=30)
        await self._put_card(CARD, effective_from)
        limits = {name: self.rng.choice(("0", "0", "2")) for name in self.accounts}
        for name in self.accounts:
            await self._put_account(name, limits[name])
            if name in self.hooked:
                self.deployment.broker.subscribers.add(name)
                await self.request("put_webhook", name, {}, self._hook(name))
            await self.request(
                "put_organizer", name, {"organizer": "ken", "body": {}}, self._organizer(name)
            )
            await self.booked("top_up", name, {"amount": self.rng.choice(FIRST_CREDITS)}, 1)
        owners = {name: self.rng.choice(self.accounts) for name in CONFERENCES}
        for conference, account in owners.items():
            await self._register(conference, account)
        for bridge, accounts, default in (
            ("local", frozenset({"*"}), None),
            ("solo", frozenset({self.accounts[0]}), self.accounts[0]),
        ):
            await self.request("put_bridge", "", {}, self._bridge(bridge, accounts, default))
        if self.deployment.reports_events:
            act = self._bridge("events", frozenset({"*"}), None, dialect="twilio")
            await self.request("put_bridge", "", {}, act)
        assert all(record["outcome"] == "ok" for record in self.history), self.history[-1]

    @staticmethod
    def _organizer(account: str) -> Act:
        return lambda app: app.dial_out_settings.put_organizer(account, OrganizerFacts("ken"), None)

    @staticmethod
    def _hook(account: str) -> Act:
        return lambda app: app.webhooks.put(account, "erp", HOOK, None)

    @staticmethod
    def _bridge(
        name: str,
        accounts: frozenset[str],
        default: str | None,
        etag: str | None = None,
        dialect: str = "perminute",
    ) -> Act:
        wanted = BridgeInput(
            dialect=dialect,
            scheme=AuthScheme.BEARER,
            username=None,
            secrets=("a-secret-of-the-tests-" + "x" * 22,),
            accounts=accounts,
            default_account=default,
            country=None,
            on_outage=OnOutage.DENY,
        )
        return lambda app: app.bridges.put(name, wanted, etag)

    async def _put_card(self, version: Json, effective_from: datetime) -> None:
        async def act(app: Container) -> None:
            parsed = parse_rate_card_json(json.dumps(version).encode(), "default", effective_from)
            await app.rate_cards.put(parsed, PutRules(app.clock.now(), backdate=True))

        request = {"card": "default", "effective_from": format_time(effective_from)}
        await self.request("put_rate_card", "", {**request, "version": version}, act)

    async def _put_account(self, name: str, credit_limit: str, if_match: str | None = None) -> None:
        body = {
            "currency": "USD",
            "credit_limit": credit_limit,
            "alerts": [{"name": "low", "below": "10"}, {"name": "gone", "below": "0"}],
            **({"auto_recharge": self.recharging[name]} if name in self.recharging else {}),
        }

        async def act(app: Container) -> None:
            settings = parse_body(AccountBody, body).settings()
            await app.accounts.put(name, settings, if_match)

        await self.request("put_account", name, body, act)

    async def move_meeting(self) -> None:
        await self._register(self.rng.choice(CONFERENCES), self.rng.choice(self.accounts))

    async def _register(self, conference: str, account: str) -> None:
        async def act(app: Container) -> None:
            record = await app.records.get(conference_kind(conference), account)
            etag = record.etag if record else None
            wanted = Registration(account, None, organizer="ken")
            await app.registrations.put(
                Kind.CONFERENCE,
                conference,
                wanted,
                ADMIN,
                since=None,
                if_match=etag,
                take_over=True,
            )

        await self.request("register", account, {"conference": conference}, act)

    async def move_bridge(self) -> None:
        """The bridge of one account serves another one from now on."""
        account = self.rng.choice(self.accounts)

        async def act(app: Container) -> None:
            etag = (await app.bridges.read("solo")).etag
            await self._bridge("solo", frozenset({account}), account, etag)(app)

        await self.request("put_bridge", "", {}, act)

    async def new_credit_limit(self) -> None:
        account = self.rng.choice(self.accounts)
        versions: list[str] = []

        async def act(app: Container) -> None:
            record = await app.records.get(Kind.ACCOUNT, account)
            versions.append(record.etag if record else "")

        async with self.at_the_settings:  # by one person: which of two was last, no one knows
            await self.request_once("get_account", account, {}, act)
            if versions:
                await self._put_account(account, self.rng.choice(("0", "1", "5")), versions[0])

    async def new_prices(self) -> None:
        """Calls to Japan have a price, soon."""
        japan = {**CARD["rates"][1], "prefix": "81", "destination": "Japan"}
        version = {**CARD, "rates": [*CARD["rates"], japan]}
        effective_from = self.scheduler.now().replace(microsecond=0) + timedelta(seconds=660)
        await self._put_card(version, effective_from)

    async def booked(self, op: str, account: str, body: Json, tries: int) -> None:
        """A keyed booking; sometimes one of those that were made before, or a key used again."""
        key = f"key-{self.next()}"
        same = [each for each in self.keys if each[0] == f"{op} {account}"]
        if same and self.rng.random() < 0.2:
            _, key, old = self.rng.choice(same)
            body = old if self.rng.random() < 0.7 else body
        self.keys.append((f"{op} {account}", key, body))
        model = TopUpBody if op == "top_up" else AdjustmentBody

        async def act(app: Container) -> Json:
            command = parse_body(model, body).command(key, "admin")
            entry, _ = await app.credit_account(account, command)
            return {"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)}

        await self.request(op, account, {"key": key, "body": body}, act, tries=tries)

"""What callers do in a run, and the history that they keep of it, in the shapes of the auditor."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from shared.bootstrap import Container
from shared.contracts.accounts import AccountBody
from shared.contracts.dial_out_policy import OrganizerBody
from shared.contracts.ledger import AdjustmentBody, TopUpBody, entry_body, parked_body
from shared.contracts.rate_cards import parse_rate_card_json
from shared.contracts.strict import read, wire
from shared.domain.card_versions import PutRules
from shared.domain.directory import OnOutage, Registration, WantedBridge
from shared.domain.errors import OutcomeUnknown, PerminuteError, StoreError, Unavailable
from shared.domain.legs import content_digest, format_time, shown_leg
from shared.domain.money import format_amount
from shared.domain.parking import ParkStatus
from shared.domain.posts import BridgePost
from shared.domain.signatures import AuthScheme
from shared.usecases.documents import Kind
from shared.usecases.questions import Question
from tests.sim.world import START, World, finished
from tests.unit.ledger.world import ADMIN, CARD, JP

ACCOUNTS = ("contoso", "fabrikam", "northwind")
CONFERENCES = ("3001", "3002", "3003")
PATIENCE_SECONDS = 35.0
LEGS_AT_ONCE = (1, 1, 1, 1, 1, 2, 2, 3, 12)
NUMBERS = ("+442079460000", "+33170000000", "+442079460001", JP)

type Json = dict[str, Any]
type Act = Callable[[Container], Awaitable[Any]]


class Callers:
    """Bridges, administrators and timers of a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self.rng = world.scheduler.rng
        self.history: list[Json] = []
        self.accounts = list(ACCOUNTS[: self.rng.randint(1, 3)])
        self.legs: list[Json] = []
        self.allowed: list[tuple[str, str]] = []
        self.keys: list[tuple[str, str, Json]] = []
        self.unacked: list[Json] = []
        self.count = 0
        self.at_the_settings = asyncio.Lock()

    # ---- asking, and noting what came of it

    async def ask(self, op: str, account: str, request: Json, act: Act, *, tries: int = 1) -> Json:
        """Call a process, patiently; again with the same key while the outcome is unknown."""
        record: Json = {}
        for _ in range(tries):
            record = await self._ask_once(op, account, request, act)
            self.history.append(record)
            if record["outcome"] != "info":
                break
            await asyncio.sleep(self.rng.uniform(0.5, 5))
        return record

    async def _ask_once(self, op: str, account: str, request: Json, act: Act) -> Json:
        record: Json = {"op": op, "account": account, "request": request}
        record |= {"began": self._time(), "outcome": "info", "result": None}
        alive = [each for each in self.world.webs if not each.is_dead]
        if alive:
            process = self.rng.choice(alive)

            async def run() -> Any:
                return await act(process.house)

            task = process.spawn(op, run())
            if await finished(task, process, PATIENCE_SECONDS):
                record["outcome"], record["result"] = self._outcome(op, task)
        record["at"] = self._time()
        self.scheduler.note(f"{op} {account} {record['outcome']}")
        return record

    def _outcome(self, op: str, task: asyncio.Task[Any]) -> tuple[str, Any]:
        error = task.exception()
        if error is None:
            return "ok", task.result()
        if isinstance(error, OutcomeUnknown | Unavailable):
            return "info", None
        if isinstance(error, StoreError) or not isinstance(error, PerminuteError):
            self.world.escaped.append(f"{op}: {error!r}")
            return "info", None
        self.scheduler.note(f"  {op} refused: {error.code}")
        return ("info" if error.code == "ledger_corrupt" else "fail"), None

    def _time(self) -> str:
        return format_time(self.scheduler.now())

    def _next(self) -> int:
        self.count += 1
        return self.count

    # ---- set-up, before anything fails

    async def set_up(self) -> None:
        effective_from = START - timedelta(days=30)
        await self._put_card(CARD, effective_from)
        limits = {name: self.rng.choice(("0", "0", "2")) for name in self.accounts}
        for name in self.accounts:
            await self._put_account(name, limits[name])
            await self.ask(
                "put_organizer", name, {"organizer": "ken", "body": {}}, self._organizer(name)
            )
            await self._top_up(name, {"amount": self.rng.choice(("3", "25", "60.5"))}, tries=1)
        owners = {name: self.rng.choice(self.accounts) for name in CONFERENCES}
        for conference, account in owners.items():
            await self._register(conference, account)
        for bridge, accounts, default in (
            ("local", frozenset({"*"}), None),
            ("solo", frozenset({self.accounts[0]}), self.accounts[0]),
        ):
            await self.ask("put_bridge", "", {}, self._bridge(bridge, accounts, default))
        assert all(record["outcome"] == "ok" for record in self.history), self.history[-1]

    @staticmethod
    def _organizer(account: str) -> Act:
        body = wire(read(OrganizerBody, {}))
        return lambda house: house.dial_out_settings.put_organizer(account, "ken", body, None)

    @staticmethod
    def _bridge(
        name: str, accounts: frozenset[str], default: str | None, etag: str | None = None
    ) -> Act:
        wanted = WantedBridge(
            dialect="perminute",
            scheme=AuthScheme.BEARER,
            username=None,
            secrets=("a-secret-of-the-tests-" + "x" * 22,),
            accounts=accounts,
            default_account=default,
            country=None,
            on_outage=OnOutage.DENY,
        )
        return lambda house: house.bridges.put(name, wanted, etag)

    async def _put_card(self, version: Json, effective_from: datetime) -> None:
        async def act(house: Container) -> None:
            parsed = parse_rate_card_json(json.dumps(version).encode(), "default", effective_from)
            await house.rate_cards.put(parsed, PutRules(house.clock.now(), backdate=True))

        request = {"card": "default", "effective_from": format_time(effective_from)}
        await self.ask("put_rate_card", "", {**request, "version": version}, act)

    async def _put_account(self, name: str, credit_limit: str, if_match: str | None = None) -> None:
        body = {
            "currency": "USD",
            "credit_limit": credit_limit,
            "alerts": [{"name": "low", "below": "10"}, {"name": "gone", "below": "0"}],
        }

        async def act(house: Container) -> None:
            settings = read(AccountBody, body).settings()
            await house.accounts.put(name, settings, if_match)

        await self.ask("put_account", name, body, act)

    # ---- a random caller

    async def somebody(self) -> None:
        """One of all that people and bridges do."""
        acts = (
            (self.leg_ended, 46),
            (self.dial_out, 14),
            (self.extend, 5),
            (self.release, 4),
            (self.top_up, 9),
            (self.adjust, 5),
            (self.reverse, 6),
            (self.replay, 5),
            (self.move_meeting, 3),
            (self.new_credit_limit, 2),
            (self.new_prices, 1),
            (self.move_bridge, 2),
        )
        (act,) = self.rng.choices([act for act, _ in acts], [weight for _, weight in acts])
        await act()

    async def lead_to(self, point: str) -> None:
        """Do what brings somebody to a crash point."""
        match point:
            case "park.written":
                await self.post("local", [{**self._leg(), "to": JP}])
            case "hold.placed":
                await self.dial_out()
            case "hold.extended":
                await self.dial_out()
                await self.extend()
            case "topup.acked":
                await self.top_up()
            case "lots.expired":
                soon = format_time(self.scheduler.now() + timedelta(minutes=10))
                body = {"amount": "40", "kind": "granted", "expires_at": soon}
                await self._top_up(self.rng.choice(self.accounts), body, tries=3)
                await asyncio.sleep(10_000)  # a timer comes by within that time
            case "card.published":
                await self.new_prices()
            case _:
                await self.leg_ended()

    async def leg_ended(self) -> None:
        legs = [self._leg() for _ in range(self.rng.choice(LEGS_AT_ONCE))]
        await self.post(self.rng.choice(("local", "local", "local", "solo")), legs)

    async def post(self, bridge: str, legs: list[Json]) -> None:
        """What a bridge posts at once; it posts again what was not taken."""
        unique = list({leg["leg_id"]: leg for leg in legs}.values())

        async def act(house: Container) -> list[str]:
            post = BridgePost(bridge=bridge, body=json.dumps(unique).encode())
            received = await house.receive_legs(bridge, house.parse_post("perminute", post))
            return [each.status for each in received]

        before = len(self.history)
        record = await self._ask_once("call_ended", "", {}, act)
        assert len(self.history) >= before
        for place, leg in enumerate(unique):
            each = {**record, "op": "call_ended", "request": {"bridge": bridge, "leg": leg}}
            if record["outcome"] == "ok":
                each["result"] = {"status": record["result"][place]}
            else:
                self.unacked.append({"bridge": bridge, "leg": leg})
            self.history.append(each)

    def _leg(self) -> Json:
        chance = self.rng.random()
        if self.legs and chance < 0.2:
            return self.rng.choice(self.legs)
        if self.legs and chance < 0.27:
            return {**self.rng.choice(self.legs), "to": self.rng.choice(NUMBERS)}
        now = self.scheduler.now()
        talk_seconds = self.rng.choice((0, 1, 59, 60, 61, 185, 900, 2_000))
        answered_at = now - timedelta(seconds=talk_seconds)
        leg: Json = {
            "leg_id": f"leg-{self._next()}",
            "conference_id": self.rng.choice(CONFERENCES),
            "kind": "dial_out",
            "from": "+33170000000",
            "to": self.rng.choices(NUMBERS, (6, 2, 2, 1))[0],
            "started_at": format_time(answered_at - timedelta(seconds=7)),
            "answered_at": format_time(answered_at),
            "ended_at": format_time(now),
            "talk_seconds": talk_seconds,
        }
        if chance < 0.6:
            leg["account"] = self.rng.choice(self.accounts)
        elif chance < 0.65:
            leg |= {"answered_at": None, "talk_seconds": None}
        elif chance < 0.7:
            leg["kind"] = "voip"
        elif chance < 0.73:
            leg["talk_seconds"] = talk_seconds + 100
        if self.allowed and self.rng.random() < 0.4:
            authorization, account = self.allowed.pop(self.rng.randrange(len(self.allowed)))
            leg |= {"authorization": authorization, "account": account, "organizer_id": "ken"}
        self.legs.append(leg)
        return leg

    async def dial_out(self) -> None:
        account = self.rng.choice(self.accounts)
        key = f"dial-{self._next()}"
        body: Json = {"to": self.rng.choice(NUMBERS[:3]), "account": account}
        body |= {"organizer_id": "ken", "requested_seconds": self.rng.choice((60, 300, 900))}
        question = Question(
            to=body["to"],
            key=key,
            digest=content_digest(body),
            account=account,
            organizer="ken",
            requested_seconds=body["requested_seconds"],
        )

        async def act(house: Container) -> Any:
            bridge = await house.facts.bridge("local")
            assert bridge is not None
            return dict(await house.authorise_dial_out(bridge, question))

        request = {"bridge": "local", "key": key, "body": body}
        tries = self.rng.choice((1, 1, 3))
        record = await self.ask("dial_out", account, request, act, tries=tries)
        if record["outcome"] == "ok" and record["result"]["decision"] == "allow":
            self.allowed.append((record["result"]["authorization"], account))

    async def extend(self) -> None:
        if not self.allowed:
            return
        authorization, account = self.rng.choice(self.allowed)
        seconds = self.rng.choice((600, 1_200, 1_800))

        async def act(house: Container) -> Any:
            bridge = await house.facts.bridge("local")
            assert bridge is not None
            return dict(await house.open_calls.extend(bridge, authorization, seconds))

        request = {"bridge": "local", "authorization": authorization, "seconds": seconds}
        await self.ask("extend", account, request, act, tries=self.rng.choice((1, 2)))

    async def release(self) -> None:
        if not self.allowed:
            return
        authorization, account = self.allowed.pop(self.rng.randrange(len(self.allowed)))

        async def act(house: Container) -> None:
            bridge = await house.facts.bridge("local")
            assert bridge is not None
            await house.open_calls.release(bridge, authorization)

        request = {"bridge": "local", "authorization": authorization}
        await self.ask("release", account, request, act, tries=self.rng.choice((1, 2)))

    async def top_up(self) -> None:
        body: Json = {"amount": self.rng.choice(("0.01", "5", "12.345678", "40"))}
        if self.rng.random() < 0.15:
            expires_at = self.scheduler.now() + timedelta(hours=self.rng.choice((1, 30)))
            body |= {"kind": "granted", "expires_at": format_time(expires_at)}
        await self._top_up(self.rng.choice(self.accounts), body, self.rng.choice((1, 2, 4)))

    async def _top_up(self, account: str, body: Json, tries: int) -> None:
        await self._booked("top_up", account, body, tries)

    async def adjust(self) -> None:
        body = {"amount": self.rng.choice(("-0.5", "-3", "1", "0.000001")), "reason": "because"}
        await self._booked("adjust", self.rng.choice(self.accounts), body, 2)

    async def _booked(self, op: str, account: str, body: Json, tries: int) -> None:
        """A keyed booking; sometimes one of those that were made before, or a key used again."""
        key = f"key-{self._next()}"
        same = [each for each in self.keys if each[0] == f"{op} {account}"]
        if same and self.rng.random() < 0.2:
            _, key, old = self.rng.choice(same)
            body = old if self.rng.random() < 0.7 else body
        self.keys.append((f"{op} {account}", key, body))
        model = TopUpBody if op == "top_up" else AdjustmentBody

        async def act(house: Container) -> Json:
            command = read(model, body).command(key, "admin")
            entry, _ = await house.credit_account(account, command)
            return {"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)}

        await self.ask(op, account, {"key": key, "body": body}, act, tries=tries)

    async def reverse(self) -> None:
        if not self.legs:
            return
        leg = shown_leg(f"local~{self.rng.choice(self.legs)['leg_id']}")
        account = self.rng.choice(self.accounts)

        async def act(house: Container) -> Json:
            entry, _ = await house.credit_account.reverse(
                account, leg, reason="a mistake", actor="admin"
            )
            return {"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)}

        request = {"leg": leg, "body": {"reason": "a mistake"}}
        await self.ask("reverse", account, request, act, tries=2)

    async def replay(self) -> None:
        chosen: list[str] = []

        async def act(house: Container) -> Json:
            items, _ = await house.parking.page(where={"status": "open"}, limit=20, cursor=None)
            if not items:
                return {}
            chosen.append(self.rng.choice(items).id)
            return parked_body(await house.parked_legs.replay(ADMIN, chosen[0]))

        record = await self._ask_once("replay", "", {}, act)
        if chosen:
            self.history.append({**record, "request": {"parked": chosen[0], "bridge": "local"}})

    async def move_meeting(self) -> None:
        await self._register(self.rng.choice(CONFERENCES), self.rng.choice(self.accounts))

    async def _register(self, conference: str, account: str) -> None:
        async def act(house: Container) -> None:
            record = await house.records.get(Kind.CONFERENCE, conference)
            etag = record.etag if record else None
            wanted = Registration(account, None, organizer="ken")
            await house.registrations.put(
                Kind.CONFERENCE, conference, wanted, ADMIN, since=None, if_match=etag
            )

        await self.ask("register", account, {"conference": conference}, act)

    async def move_bridge(self) -> None:
        """The bridge of one account serves another one from now on."""
        account = self.rng.choice(self.accounts)

        async def act(house: Container) -> None:
            etag = (await house.bridges.read("solo")).etag
            await self._bridge("solo", frozenset({account}), account, etag)(house)

        await self.ask("put_bridge", "", {}, act)

    async def new_credit_limit(self) -> None:
        account = self.rng.choice(self.accounts)
        versions: list[str] = []

        async def act(house: Container) -> None:
            record = await house.records.get(Kind.ACCOUNT, account)
            versions.append(record.etag if record else "")

        async with self.at_the_settings:  # by one person: which of two was last, nobody can tell
            await self._ask_once("get_account", account, {}, act)
            if versions:
                await self._put_account(account, self.rng.choice(("0", "1", "5")), versions[0])

    async def new_prices(self) -> None:
        japan = {**CARD["rates"][1], "prefix": "81", "destination": "Japan"}
        version = {**CARD, "rates": [*CARD["rates"], japan]}
        effective_from = self.scheduler.now().replace(microsecond=0) + timedelta(seconds=660)
        await self._put_card(version, effective_from)

    # ---- when all is quiet

    async def post_again(self) -> None:
        """What was not taken comes again, until it is."""
        for _ in range(20):
            pending, self.unacked = self.unacked, []
            if not pending:
                return
            for each in pending:
                await self.post(each["bridge"], [each["leg"]])
        raise AssertionError("legs are never taken")

    async def replay_open(self) -> None:
        """Somebody replays all that waits."""

        async def act(house: Container) -> None:
            items, _ = await house.parking.page(where={}, limit=1_000, cursor=None)
            for item in items:
                if item.status is ParkStatus.OPEN:
                    request = {"parked": item.id, "bridge": item.bridge}
                    record = {"op": "replay", "account": "", "request": request, "result": None}
                    began = self._time()
                    await house.parked_legs.replay(ADMIN, item.id)
                    done = {"began": began, "at": self._time(), "outcome": "ok"}
                    self.history.append(record | done)

        await self._ask_once("replay_open", "", {}, act)

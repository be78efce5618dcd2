"""What callers do in a run."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from shared.bootstrap.composition import Container
from shared.contracts.ledger.entries import entry_body, parked_body
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.money import format_amount
from shared.domain.legs.bridge_payloads import BridgePayload
from shared.domain.legs.leg import encode_leg_key
from shared.domain.legs.parking import ParkStatus
from shared.usecases.dial_out.authorisation_request import AuthorisationRequest
from tests.sim.deployment import Deployment
from tests.sim.directory import CONFERENCES, Directory
from tests.sim.requester import Json
from tests.support.processes import ADMIN, JP
from tests.support.vendors import twilio_call

LEGS_AT_ONCE = (1, 1, 1, 1, 1, 2, 2, 3, 12)
CAUSES = ("NORMAL_TEMPORARY_FAILURE", "LOSE_RACE", "41", "USER_BUSY", "17", "ORIGINATOR_CANCEL")
NUMBERS = ("+442079460000", "+33170000000", "+442079460001", JP)


class Callers(Directory):
    """Bridges, administrators and operators of a run."""

    def __init__(self, deployment: Deployment, point: str) -> None:
        super().__init__(deployment, point)
        self.legs: list[Json] = []
        self.allowed: list[tuple[str, str]] = []
        self.ended: list[tuple[str, str]] = []
        self.unacked: list[Json] = []

    # ---- a random caller

    async def act(self) -> None:
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
        """Do what brings someone to a crash point."""
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
                await self.booked("top_up", self.rng.choice(self.accounts), body, tries=3)
                await asyncio.sleep(10_000)  # a timer comes by within that time
            case "card.published":
                await self.new_prices()
            case "recharge.requested" | "recharge.sent" | "recharge.credited":
                body = {"amount": "-70", "reason": "because", "allow_overdraft": True}
                await self.booked("adjust", self.rng.choice(self.accounts), body, 2)
                await asyncio.sleep(100)  # for most answers
            case "inbox.sent":
                await self.leg_ended()
                await self.deployment.tick("forward_inbox", lambda app: app.forward_inbox())
            case "parked.charged":
                await self.correct()
            case "delivery.kept" | "delivery.posted":
                await self.top_up()
            case "event.kept" | "event.sent":
                await self.call_reported()
            case "checkpoint.written":
                await self.deployment.tick("nightly_audit", lambda app: app.audit_ledgers())
            case _:
                await self.leg_ended()

    async def leg_ended(self) -> None:
        legs = [self._leg() for _ in range(self.rng.choice(LEGS_AT_ONCE))]
        await self.post(self.rng.choice(("local", "local", "local", "solo")), legs)

    async def post(self, bridge: str, legs: list[Json]) -> None:
        """What a bridge posts at once; it posts again what was not taken."""
        unique = list({leg["leg_id"]: leg for leg in legs}.values())

        async def act(app: Container) -> list[str]:
            post = BridgePayload(bridge=bridge, body=json.dumps(unique).encode())
            received = await app.receive_legs(bridge, app.parse_post("perminute", post))
            return [each.status for each in received]

        before = len(self.history)
        record = await self.request_once("call_ended", "", {}, act)
        assert len(self.history) >= before
        for place, leg in enumerate(unique):
            each = {**record, "op": "call_ended", "request": {"bridge": bridge, "leg": leg}}
            if record["outcome"] == "ok":
                each["result"] = {"status": record["result"][place]}
            else:
                self.unacked.append({"bridge": bridge, "leg": leg})
            self.history.append(each)

    async def call_reported(self) -> None:
        """A leg of two events, whose account only the conference tells: in any order, again and
        again, with pauses."""
        talk_seconds = self.rng.choice((0, 1, 60, 185))
        ended_at = self.scheduler.now().replace(microsecond=0)
        answered_at = ended_at - timedelta(seconds=talk_seconds)
        leg: Json = {
            "leg_id": f"CA{self.next()}",
            "conference_id": self.rng.choice(CONFERENCES),
            "kind": "dial_out",
            "from": "+33170000000",
            "to": self.rng.choice(NUMBERS[:3]),
            "started_at": format_time(answered_at),
            "answered_at": format_time(answered_at),
            "ended_at": format_time(ended_at),
            "talk_seconds": talk_seconds,
        }
        await self.post_events(leg)

    async def post_events(self, leg: Json) -> None:
        """Both events of a leg, until each was taken once; else it is for the end."""
        joined, call = twilio_call(
            leg["leg_id"],
            caller=leg["from"],
            to=leg["to"],
            talk_seconds=leg["talk_seconds"],
            ended_at=leg["ended_at"],
            joined_at=leg["answered_at"],
        )
        joined |= {"FriendlyName": leg["conference_id"]}
        pending = [call, joined, *self.rng.choices((call, joined), k=self.rng.randrange(3))]
        self.rng.shuffle(pending)
        taken: set[str] = set()
        record: Json = {}
        began = self.time()
        for event in pending:
            await asyncio.sleep(self.rng.choice((0.0, 0.5, 40.0)))

            async def act(app: Container, event: Json = event) -> None:
                bridge = await app.facts.bridge("events")
                assert bridge is not None
                post = BridgePayload(bridge="events", body=json.dumps(event).encode())
                await app.assemble_calls(bridge, app.parse_post("twilio", post))

            record = await self.request_once("event_posted", "", {}, act)
            if record["outcome"] == "ok":
                taken.add("call" if event is call else "joined")
        done = {"op": "call_ended", "began": began, "request": {"bridge": "events", "leg": leg}}
        if len(taken) == 2:
            done |= {"outcome": "ok", "result": {"status": "queued"}}
        else:
            done |= {"outcome": "info", "result": None}
            self.unacked.append({"bridge": "events", "leg": leg})
        self.history.append({**record, **done})

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
            "leg_id": f"leg-{self.next()}",
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
            place = self.rng.randrange(len(self.allowed))
            authorization, account = self.allowed[place]
            if self.rng.random() < 0.25:  # an attempt that failed; the call may go on
                leg |= {"answered_at": None, "talk_seconds": None}
                leg["hangup_cause"] = self.rng.choice(CAUSES)
            else:
                self.ended.append(self.allowed.pop(place))
            leg |= {"authorization": authorization, "account": account, "organizer_id": "ken"}
        elif self.ended and self.rng.random() < 0.1:  # the same call, reported twice
            authorization, account = self.rng.choice(self.ended)
            leg |= {"authorization": authorization, "account": account, "organizer_id": "ken"}
        self.legs.append(leg)
        return leg

    async def dial_out(self) -> None:
        account = self.rng.choice(self.accounts)
        key = f"dial-{self.next()}"
        body: Json = {"to": self.rng.choice(NUMBERS[:3]), "account": account}
        body |= {"organizer_id": "ken", "requested_seconds": self.rng.choice((60, 300, 900))}
        question = AuthorisationRequest(
            to=body["to"],
            key=key,
            digest=content_digest(body),
            account=account,
            organizer="ken",
            requested_seconds=body["requested_seconds"],
        )

        async def act(app: Container) -> Any:
            bridge = await app.facts.bridge("local")
            assert bridge is not None
            return dict(await app.authorise_dial_out(bridge, question))

        request = {"bridge": "local", "key": key, "body": body}
        tries = self.rng.choice((1, 1, 3))
        record = await self.request("dial_out", account, request, act, tries=tries)
        if record["outcome"] == "ok" and record["result"]["decision"] == "allow":
            self.allowed.append((record["result"]["authorization"], account))

    async def extend(self) -> None:
        if not self.allowed:
            return
        authorization, account = self.rng.choice(self.allowed)
        seconds = self.rng.choice((600, 1_200, 1_800))

        async def act(app: Container) -> Any:
            bridge = await app.facts.bridge("local")
            assert bridge is not None
            return dict(await app.active_calls.extend(bridge, authorization, seconds))

        request = {"bridge": "local", "authorization": authorization, "seconds": seconds}
        await self.request("extend", account, request, act, tries=self.rng.choice((1, 2)))

    async def release(self) -> None:
        if not self.allowed:
            return
        authorization, account = self.allowed.pop(self.rng.randrange(len(self.allowed)))

        async def act(app: Container) -> None:
            bridge = await app.facts.bridge("local")
            assert bridge is not None
            await app.active_calls.release(bridge, authorization)

        request = {"bridge": "local", "authorization": authorization}
        await self.request("release", account, request, act, tries=self.rng.choice((1, 2)))

    async def top_up(self) -> None:
        body: Json = {"amount": self.rng.choice(("0.01", "5", "12.345678", "40"))}
        if self.rng.random() < 0.15:
            expires_at = self.scheduler.now() + timedelta(hours=self.rng.choice((1, 30)))
            body |= {"kind": "granted", "expires_at": format_time(expires_at)}
        account, tries = self.rng.choice(self.accounts), self.rng.choice((1, 2, 4))
        await self.booked("top_up", account, body, tries)

    async def adjust(self) -> None:
        body: Json = {
            "amount": self.rng.choice(("-0.5", "-3", "1", "0.000001")),
            "reason": "because",
        }
        body["allow_overdraft"] = True
        await self.booked("adjust", self.rng.choice(self.accounts), body, 2)

    async def reverse(self) -> None:
        if not self.legs:
            return
        leg = encode_leg_key(f"local~{self.rng.choice(self.legs)['leg_id']}")
        account = self.rng.choice(self.accounts)

        async def act(app: Container) -> Json:
            entry, _ = await app.credit_account.reverse(
                account, leg, reason="a mistake", actor="admin", dry_run=False
            )
            return {"entry": entry_body(entry), "balance": format_amount(entry.balance_micros)}

        request = {"leg": leg, "body": {"reason": "a mistake"}}
        await self.request("reverse", account, request, act, tries=2)

    async def correct(self) -> None:
        """A leg without a price is parked, then someone corrects it, until that is answered."""
        leg = {**self._leg(), "leg_id": f"leg-{self.next()}", "to": JP}
        leg |= {"kind": "dial_out", "account": self.rng.choice(self.accounts)}
        await self.post("local", [leg])
        await asyncio.sleep(20)
        key = f"local~{leg['leg_id']}"
        corrected = {**leg, "to": NUMBERS[0]}
        chosen: list[str] = []

        async def act(app: Container) -> Json:
            items, _ = await app.parking.page(where={"status": "open"}, limit=50, cursor=None)
            if not chosen:
                chosen.extend(each.id for each in items if each.leg == key)
            if not chosen:
                return {}
            return parked_body(await app.parked_legs.replay(ADMIN, chosen[0], corrected))

        for _ in range(3):
            record = await self.request_once("replay", "", {}, act)
            if chosen:
                request = {"parked": chosen[0], "bridge": "local", "leg": corrected}
                self.history.append({**record, "request": request})
            if record["outcome"] != "info":
                return

    async def replay(self) -> None:
        chosen: list[str] = []

        async def act(app: Container) -> Json:
            items, _ = await app.parking.page(where={"status": "open"}, limit=20, cursor=None)
            if not items:
                return {}
            chosen.append(self.rng.choice(items).id)
            return parked_body(await app.parked_legs.replay(ADMIN, chosen[0]))

        record = await self.request_once("replay", "", {}, act)
        if chosen:
            self.history.append({**record, "request": {"parked": chosen[0], "bridge": "local"}})

    # ---- when all is quiet

    async def post_again(self) -> None:
        """What was not taken comes again, until it is."""
        for _ in range(20):
            pending, self.unacked = self.unacked, []
            if not pending:
                return
            for each in pending:
                if each["bridge"] == "events":
                    await self.post_events(each["leg"])
                else:
                    await self.post(each["bridge"], [each["leg"]])
        raise AssertionError("legs are never taken")

    async def replay_open(self) -> None:
        """Somebody replays all that waits."""

        async def act(app: Container) -> None:
            items, _ = await app.parking.page(where={}, limit=1_000, cursor=None)
            for item in items:
                if item.status is ParkStatus.OPEN:
                    request = {"parked": item.id, "bridge": item.bridge}
                    record = {"op": "replay", "account": "", "request": request, "result": None}
                    began = self.time()
                    await app.parked_legs.replay(ADMIN, item.id)
                    done = {"began": began, "at": self.time(), "outcome": "ok"}
                    self.history.append(record | done)

        await self.request_once("replay_open", "", {}, act)

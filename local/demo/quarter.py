"""A played quarter: the account `northwind` with about 3,000 legs of the 92 days up to a time.

Everything is drawn from a seed and booked by the product's own use cases, with the clock of the
legs. There are four organizers of two cost centers, three bridges, dial-outs and callers of many
regions.
There are included minutes, a lot that expires, recharges, reversals, a re-rating, adjustments, legs
that are parked for several reasons, and denials. The same seed and time make the same legs and
amounts.

`python -m local.demo.quarter` plays the quarter up to now into the stack that the environment
names. Again it changes nothing, and one that was broken off is gone on with.
"""

import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from local.demo.rate_card import rate_card
from local.parts import Part
from local.stack import Stack
from shared.bootstrap.composition import Container
from shared.contracts.dial_out.policy import DialOutPolicyBody, OrganizerBody
from shared.contracts.directory.accounts import AccountBody
from shared.contracts.ledger.entries import AdjustmentBody, TopUpBody
from shared.contracts.rate_cards.json_format import parse_rate_card_json
from shared.domain.common.canonical import content_digest, format_time
from shared.domain.common.counts import counted
from shared.domain.common.errors import StoreUnavailable
from shared.domain.common.kinds import LegKind, ServiceNumberKind
from shared.domain.common.money import format_amount
from shared.domain.credits.recharge import RechargeStatus, recharge_id
from shared.domain.directory.access import ALL_ACCOUNTS, Principal, Role
from shared.domain.directory.entities import BridgeInput, Registration
from shared.domain.directory.request_signatures import AuthScheme
from shared.domain.legs.leg import EndedLeg, QueuedLeg, encode_leg_key
from shared.ports.activity import PostCounts
from shared.ports.notices import DueMark, DueMarks
from shared.ports.queues import Message
from shared.settings import Settings
from shared.usecases.charging.past_legs import AnsweredSpan
from shared.usecases.charging.rerate_legs import Attribution, RerateSelection
from shared.usecases.credits.record_recharge_results import RechargeResult
from shared.usecases.dial_out.authorisation_request import AuthorisationRequest
from shared.usecases.directory.codecs import Kind
from shared.usecases.ledger.close_months import close_months

ACCOUNT, CARD, CARRIER_CARD = "northwind", "northwind", "northwind-carrier"
CURRENCY, ZONE = "EUR", "Europe/Paris"
SEED, DAYS = 2026, 92
_BATCH_HOURS = 4
ATTEMPTS_MAX = 10
RERATED_DAY, EXPIRY_DAY, RERATED_DAYS = 53, 40, 3
_ACTOR = "demo@northwind.example"
_ADMIN = Principal(_ACTOR, frozenset(Role), frozenset({ALL_ACCOUNTS}))
_STUDIO, _PBX, _CLOUD = "northwind-studio", "northwind-pbx", "northwind-cloud"
BRIDGES = {_STUDIO: ("perminute", "FR"), _PBX: ("freeswitch", "DE"), _CLOUD: ("perminute", "US")}
TOLL_PARIS, TOLL_BERLIN, TOLL_FREE = "+33199005678", "+493023125678", "+18005550166"
_NUMBERS = {
    TOLL_PARIS: ServiceNumberKind.TOLL,
    TOLL_BERLIN: ServiceNumberKind.TOLL,
    TOLL_FREE: ServiceNumberKind.TOLL_FREE,
}
AMELIE, BRUNO, CHIARA, DAVID = (
    f"{name}@northwind.example" for name in ("amelie", "bruno", "chiara", "david")
)
ORGANIZERS: dict[str, dict[str, object]] = {
    AMELIE: {"cost_center": "sales"},
    BRUNO: {"cost_center": "sales", "policy": "DialoutCPCZoneAPSTNInternational"},
    CHIARA: {"cost_center": "engineering", "license": "subscription"},
    DAVID: {"cost_center": "engineering", "usage_location": "GB"},
}
_ROOMS = {
    AMELIE: ("6101", "6102", "6103"),
    BRUNO: ("6201", "6202"),
    CHIARA: ("6301", "6302"),
    DAVID: ("6401", "6402"),
}
_MEETINGS_A_DAY = {AMELIE: 4, BRUNO: 3, CHIARA: 2, DAVID: 3}
_BRIDGE_OF = {AMELIE: _STUDIO, BRUNO: _STUDIO, CHIARA: _PBX, DAVID: _CLOUD}
# The numbers are of ranges that are kept for examples, or that no one was given.
_CALLED = (
    ("+3319900%04d", 16),
    ("+3361200%04d", 8),
    ("+4930231251%02d", 8),
    ("+49176040690%02d", 5),
    ("+442079460%03d", 10),
    ("+4670174062%01d", 6),
    ("+12025550%03d", 8),
    ("+34910000%03d", 4),
    ("+390212345%03d", 4),
    ("+31201234%03d", 3),
    ("+81312340%03d", 2),
    ("+91112345%04d", 3),
    ("+61255500%03d", 2),
    ("+5511400%05d", 2),
)
_CALLERS = (
    ("+3319901%04d", TOLL_PARIS, 10),
    ("+3361201%04d", TOLL_PARIS, 5),
    ("+4930231252%02d", TOLL_BERLIN, 6),
    ("+12025551%03d", TOLL_FREE, 4),
    ("+14165550%03d", TOLL_FREE, 2),
)
_UNPRICED = "+996312%06d"  # Kyrgyzstan, which the card leaves out
_DENIED = (
    ("+996312555123", AMELIE, "6101"),
    ("+8613812345678", DAVID, "6401"),
    ("+5352123456", AMELIE, "6102"),
    ("+33899701234", DAVID, "6402"),
    ("+5491123456789", BRUNO, "6201"),
    ("+442079460", CHIARA, "6301"),
    ("+88216123456", AMELIE, "6103"),
)


@dataclass(slots=True)
class QuarterClock:
    """The clock of the legs."""

    moment: datetime

    def now(self) -> datetime:
        """The present moment of the played quarter."""
        return self.moment


@dataclass(slots=True)
class DeferredMarks:
    """Due marks that wait until the quarter is played: the timer of the running stack would act on
    them by the clock on the wall."""

    stored: DueMarks
    marks: list[DueMark] = field(default_factory=list)

    async def mark(self, marks: Sequence[DueMark]) -> None:
        """Store the marks."""
        self.marks += marks

    async def due(self, now: datetime, *, limit: int) -> list[DueMark]:
        """None: the quarter does the due work by itself."""
        return []

    async def clear(self, marks: Sequence[DueMark]) -> None:
        """Nothing was due."""

    async def write(self, since: datetime) -> None:
        """Write the marks of a time and later."""
        marks = sorted({each for each in self.marks if each.at >= since}, key=lambda m: m.at)
        await self.stored.mark(marks)


class _DiscardedEvents:
    """Takes events and sends none: they are months old."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Drop them."""

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Raises RuntimeError: a leg that can't be charged now would come by another clock."""
        raise RuntimeError("A leg of the quarter could not be charged at once; play it again.")


@dataclass(slots=True)
class SeededIds:
    """Tokens that follow from a seed."""

    chance: random.Random

    def token(self, bytes_count: int) -> str:
        """URL-safe text of so many random bytes."""
        return self.chance.randbytes(bytes_count).hex()[: bytes_count * 4 // 3]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Legs that are booked together once the last one has ended."""

    organizer: str
    legs: tuple[EndedLeg, ...]
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class Played:
    """The contents: `legs` that were posted, `parked` among them."""

    legs: int
    parked: int
    corrected: int
    denied: int
    balance: str
    seconds: float


def meetings(until: datetime, seed: int = SEED) -> list[Meeting]:
    """The meetings of the quarter before `until`, by the time of their booking."""
    chance = random.Random(seed)  # noqa: S311 - played, no secret
    first = until.date() - timedelta(days=DAYS)
    found: list[Meeting] = []
    for number in range(DAYS + 1):
        day = first + timedelta(days=number)
        for organizer, a_day in _MEETINGS_A_DAY.items():
            count = a_day if day.weekday() < 5 else chance.random() < 0.15
            for _ in range(int(count)):
                found.append(_meeting(chance, day, organizer, len(found)))
    past = [each for each in found if each.booked_at < until]
    return sorted(past, key=lambda each: each.booked_at)


def _meeting(chance: random.Random, day: date, organizer: str, number: int) -> Meeting:
    begin = datetime(day.year, day.month, day.day, chance.randrange(6, 17), tzinfo=UTC)
    begin += timedelta(minutes=15 * chance.randrange(4))
    room, bridge = chance.choice(_ROOMS[organizer]), _BRIDGE_OF[organizer]
    minutes = chance.choice((15, 25, 25, 45, 50, 55, 80))
    legs = tuple(
        _leg(chance, begin, minutes, (bridge, room, f"{number:04}-{at}"))
        for at in range(chance.randrange(2, 7))
    )
    return Meeting(organizer, legs, max(leg.ended_at for leg in legs) + timedelta(seconds=3))


def _leg(
    chance: random.Random, begin: datetime, minutes: int, names: tuple[str, str, str]
) -> EndedLeg:
    bridge, room, name = names
    started = begin + timedelta(seconds=chance.randrange(240))
    ringing = chance.randrange(3, 20)
    talk = max(20, int(60 * minutes * chance.betavariate(5, 1.4)) - chance.randrange(60))
    draw = chance.random()
    kind, to, caller = LegKind.DIAL_OUT, _number(chance, _CALLED), TOLL_PARIS
    if draw > 0.62:
        kind = LegKind.DIAL_IN
        [(pattern, to)] = chance.choices(
            [each[:2] for each in _CALLERS], [each[2] for each in _CALLERS]
        )
        caller, ringing = _filled(chance, pattern), 0
    answered: datetime | None = started + timedelta(seconds=ringing)
    cause = None
    if kind is LegKind.DIAL_OUT and draw < 0.06:
        answered, talk, cause = None, 0, chance.choice(("17", "19", "21"))
    leg = EndedLeg(
        bridge=bridge,
        leg_id=name,
        conference_id=room,
        kind=kind,
        from_number=caller,
        to_number=to,
        started_at=started,
        answered_at=answered,
        ended_at=(answered or started + timedelta(seconds=ringing)) + timedelta(seconds=talk),
        talk_seconds=talk,
        hangup_cause=cause,
    )
    if draw > 0.97:
        return replace(leg, kind=LegKind.VOIP, from_number=None, to_number=None)
    return _faulty(chance, leg) if answered is not None else leg


def _faulty(chance: random.Random, leg: EndedLeg) -> EndedLeg:
    """Once in a while a leg that can't be charged as the bridge reports it."""
    draw = chance.random()
    if draw < 0.004:
        unpriced = _filled(chance, _UNPRICED)
        return replace(leg, kind=LegKind.DIAL_OUT, to_number=unpriced, from_number=TOLL_PARIS)
    if draw < 0.006:
        too_long = f"{TOLL_PARIS}00112233"
        return replace(leg, kind=LegKind.DIAL_OUT, to_number=too_long, from_number=TOLL_PARIS)
    if draw < 0.008:
        return replace(
            leg,
            conference_id="no-such-room",
            account=None,
            to_number="+442079460999",
            kind=LegKind.DIAL_OUT,
        )
    return leg


def _number(chance: random.Random, patterns: Sequence[tuple[str, int]]) -> str:
    [pattern] = chance.choices([each[0] for each in patterns], [each[1] for each in patterns])
    return _filled(chance, pattern)


def _filled(chance: random.Random, pattern: str) -> str:
    digits = int(pattern.partition("%0")[2][0])
    return pattern % chance.randrange(10**digits)


@dataclass(slots=True)
class Quarter:
    """Plays into a container, whose clock, marks, topic and queue this replaces: give it one that
    has served nothing yet."""

    container: Container
    until: datetime
    seed: int = SEED
    clock: QuarterClock = field(init=False)
    marks: DeferredMarks = field(init=False)
    has_declined: bool = False

    def __post_init__(self) -> None:
        parts = self.container
        self.until = self.until.replace(microsecond=0)
        self.clock = parts.clock = QuarterClock(self._day(0))
        self.marks = parts.due = DeferredMarks(parts.due)
        parts.topic = _DiscardedEvents()
        parts.queue = _DiscardedEvents()
        chance = random.Random(self.seed)  # noqa: S311 - salts of invented people
        parts.ids = SeededIds(chance)

    def _day(self, number: int) -> datetime:
        return self.until.replace(hour=5, minute=0, second=0) - timedelta(days=DAYS - number)

    async def play(self) -> Played:
        """Everything in the order of its time. Raises StoreUnavailable."""
        began = time.monotonic()
        await self._settings()
        played = meetings(self.until, self.seed)
        parked = corrected = denied = 0
        done = 0
        for number in range(DAYS + 1):
            today = [m for m in played if m.booked_at.date() == self._day(number).date()]
            self.clock.moment = self._day(number)
            corrected += await self._morning(number)
            denied += await self._denials(number)
            for batch in _batches(today):
                parked += await self._charge(batch)
                await self._answer_recharge(number)
                corrected += await self._correct(batch)
            done += sum(len(each.legs) for each in today)
        self.clock.moment = self.until
        parked += await self._conflict(played)
        await self._note_posts(played)
        self.clock.moment = self.until
        await self._close()
        await self.marks.write(self.until)
        state = await self.container.ledger.state(ACCOUNT)
        balance = format_amount(state.balance_micros if state else 0)
        return Played(done, parked, corrected, denied, balance, time.monotonic() - began)

    async def _settings(self) -> None:
        parts, first = self.container, self._day(0) - timedelta(days=1)
        self.clock.moment = first
        card = rate_card(CURRENCY)
        for name, share in ((CARD, Decimal(1)), (CARRIER_CARD, Decimal("0.62"))):
            await self._version(name, first - timedelta(days=200), _scaled(card, share))
        account = {
            "currency": CURRENCY,
            "name": "Northwind Traders",
            "usage_location": "FR",
            "time_zone": ZONE,
            "rate_card": CARD,
            "carrier_card": CARRIER_CARD,
            "subscription_licenses": 3,
            "alerts": [{"name": "low", "below": "120.00"}, {"name": "a week", "days_left": 7}],
            "auto_recharge": {"trigger": "60.00", "amount": "150.00", "max_per_month": 12},
        }
        if await parts.facts.account(ACCOUNT, fresh=True) is None:
            await parts.accounts.put(ACCOUNT, AccountBody.model_validate(account).settings(), None)
        for bridge, (dialect, country) in BRIDGES.items():
            if await parts.facts.bridge(bridge, fresh=True) is None:
                scheme = AuthScheme.BASIC if dialect == "freeswitch" else AuthScheme.BEARER
                username = bridge if scheme is AuthScheme.BASIC else None
                default = None if bridge == _CLOUD else ACCOUNT
                stated = BridgeInput(
                    dialect,
                    scheme,
                    username,
                    None,
                    frozenset({ACCOUNT}),
                    default_account=default,
                    country=country,
                )
                await parts.bridges.put(bridge, stated, None)
        for organizer, facts in ORGANIZERS.items():
            if await parts.facts.organizer(ACCOUNT, organizer, fresh=True) is None:
                body = OrganizerBody.model_validate(facts).facts(organizer)
                await parts.dial_out_settings.put_organizer(ACCOUNT, body, None)
            for room in _ROOMS[organizer]:
                registration = Registration(ACCOUNT, None, organizer=organizer)
                await self._register(Kind.CONFERENCE, room, registration)
        for number, kind in _NUMBERS.items():
            await self._register(
                Kind.SERVICE_NUMBER, number, Registration(ACCOUNT, None, kind=kind)
            )
        policy, etag = await parts.dial_out_settings.read_policy(ACCOUNT)
        if etag is None:
            stated_policy = {
                "blocked_regions": ["CU"],
                "budgets": {"month": {"amount": "900.00", "mode": "warn"}},
                "velocity": {"concurrent": 20, "per_hour": 200, "new_region": "notice"},
            }
            policy = DialOutPolicyBody.model_validate(stated_policy).policy()
            await parts.dial_out_settings.put_policy(ACCOUNT, policy, None)

    async def _register(self, kind: Kind, key: str, registration: Registration) -> None:
        found = await (
            self.container.facts.conference(key, fresh=True)
            if kind is Kind.CONFERENCE
            else self.container.facts.service_number(key, fresh=True)
        )
        if not found:
            await self.container.registrations.put(
                kind, key, registration, _ADMIN, since=None, if_match=None
            )

    async def _version(self, card: str, effective_from: datetime, body: dict[str, Any]) -> None:
        known = await self.container.rate_cards.versions(card)
        if any(each.effective_from == effective_from for each in known):
            return
        text = json.dumps(body).encode()
        await self.container.rate_card_service.put(
            card,
            effective_from,
            lambda: parse_rate_card_json(text, card, effective_from),
            if_match=None,
            backdate=True,
            dry_run=False,
        )

    async def _morning(self, number: int) -> int:
        """The finance work of that day, before the first meeting; the number of corrections."""
        expiry = format_time(self._day(EXPIRY_DAY))
        await self._do_what_is_due()
        match number:
            case 0:
                await self._top_up("2026-101", {"amount": "250.00", "reference": "invoice 101"})
            case _ if number == EXPIRY_DAY - 1:
                grant = {"kind": "granted", "reference": "trial", "expires_at": expiry}
                await self._top_up("trial", {"amount": "45.00", **grant})
            case 30:
                await self._top_up("2026-102", {"amount": "200.00", "reference": "invoice 102"})
            case 47:
                await self._adjust("line-noise", "12.50", "Goodwill for a noisy line")
                return 1
            case 61:
                await self._top_up("2026-103", {"amount": "300.00", "reference": "invoice 103"})
            case 70:
                await self._adjust("twice", "-8.40", "Invoice 102 was credited twice")
                return 1
            case _ if number == RERATED_DAY + RERATED_DAYS:
                return await self._rerate()
        return 0

    async def _do_what_is_due(self) -> None:
        state = await self.container.ledger.state(ACCOUNT)
        if state is not None:
            await self.container.watch_balances.do_what_is_due(ACCOUNT, state)
            await self.container.publish_events(ACCOUNT)

    async def _top_up(self, key: str, body: dict[str, str]) -> None:
        command = TopUpBody.model_validate(body).command(key, _ACTOR)
        await self.container.credit_account(ACCOUNT, command)

    async def _adjust(self, key: str, amount: str, reason: str) -> None:
        body = AdjustmentBody(amount=amount, reason=reason)
        await self.container.credit_account(ACCOUNT, body.command(key, _ACTOR))

    async def _rerate(self) -> int:
        """A version that came late makes calls to Britain and Germany cheaper."""
        since = self._day(RERATED_DAY)
        cheaper = _scaled(rate_card(CURRENCY), Decimal("0.8"), ("44", "49"))
        await self._version(CARD, since, cheaper)
        found = await self.container.rerate_legs(
            RerateSelection((ACCOUNT,), span=AnsweredSpan(since, self.clock.moment)),
            _ADMIN,
            booking=Attribution("The carrier's new prices came late", _ACTOR),
            limit=500,
            cursor=None,
        )
        return sum(outcome.differs for outcome in found.outcomes)

    async def _denials(self, number: int) -> int:
        """Every third day a dial-out that the rules deny."""
        if number % 3:
            return 0
        to, organizer, room = _DENIED[number // 3 % len(_DENIED)]
        bridge = await self.container.facts.bridge(_BRIDGE_OF[organizer])
        assert bridge is not None, "it was put before"
        self.clock.moment = self._day(number) + timedelta(hours=3, minutes=number)
        if self.clock.moment >= self.until:
            return 0
        key = f"denied-{number}"
        request = AuthorisationRequest(to, key, content_digest([to, key]), conference=room)
        answer = await self.container.authorise_dial_out(bridge, request)
        return int(answer["decision"] == "deny")

    async def _charge(self, batch: Sequence[Meeting]) -> int:
        """Charge the legs; the number of those that are parked. The included minutes go to the
        legs in their order."""
        self.clock.moment = max(each.booked_at for each in batch)
        legs = [(each.organizer, leg) for each in batch for leg in each.legs]
        # While there are included minutes, those who have them come one after the other.
        in_order = await self._has_minutes()
        groups = [[leg for whose, leg in legs if whose != CHIARA or not in_order]]
        groups += [[leg] for whose, leg in legs if whose == CHIARA and in_order]
        parked = 0
        for group in groups:
            queued = [QueuedLeg(leg, self.clock.moment) for leg in group]
            outcomes = await self.container.charge_legs(queued, seconds=30)
            parked += sum(outcome.parked is not None for outcome in outcomes)
        return parked

    async def _has_minutes(self) -> bool:
        state = await self.container.ledger.state(ACCOUNT)
        month = f"{self.clock.moment:%Y-%m}"
        used = {pool.month: pool.used_seconds for pool in state.pools} if state else {}
        return state is not None and used.get(month, 0) < state.pool_seconds

    async def _answer_recharge(self, number: int) -> None:
        """The payment side pays; the first recharge is declined at first."""
        state = await self.container.ledger.state(ACCOUNT)
        pending = state.recharges.pending if state else None
        if pending is None:
            return
        status = RechargeStatus.SUCCEEDED if self.has_declined else RechargeStatus.DECLINED
        self.has_declined = True
        result = RechargeResult(status, pending.amount_micros, CURRENCY, f"card 4242, day {number}")
        shown = recharge_id(ACCOUNT, pending.number)
        await self.container.recharge_service.answer(_ADMIN, shown, result)

    async def _correct(self, batch: Sequence[Meeting]) -> int:
        """Take back one leg in five hundred; the number of them."""
        legs = [leg for each in batch for leg in each.legs]
        parked_legs = [
            leg
            for leg in legs
            if leg.answered_at is not None
            and leg.kind is LegKind.DIAL_OUT
            and int(leg.digest()[:8], 16) % 300 == 0
        ]
        for leg in parked_legs:
            if await self.container.ledger.debits(ACCOUNT, leg.key):
                await self.container.credit_account.reverse(
                    ACCOUNT,
                    encode_leg_key(leg.key),
                    reason="The line was dead",
                    actor=_ACTOR,
                    dry_run=False,
                )
        return len(parked_legs)

    async def _conflict(self, played: Sequence[Meeting]) -> int:
        """A bridge reports a leg of the last week again, a minute longer."""
        again = next(
            leg
            for each in played[-60:]
            for leg in each.legs
            if leg.answered_at and leg.kind is LegKind.DIAL_OUT and leg.account is None
        )
        assert again.talk_seconds is not None, "every leg of the quarter states it"
        longer = replace(
            again,
            talk_seconds=again.talk_seconds + 60,
            ended_at=again.ended_at + timedelta(seconds=60),
        )
        queued = [QueuedLeg(longer, self.clock.moment)]
        [outcome] = await self.container.charge_legs(queued, seconds=30)
        return int(outcome.parked is not None)

    async def _note_posts(self, played: Sequence[Meeting]) -> None:
        """Count the posts of the last day, and the last one of each bridge, for the status."""
        legs = sorted((leg for each in played for leg in each.legs), key=lambda leg: leg.ended_at)
        last = {leg.bridge: leg for leg in legs}
        for leg in legs:
            if leg is last[leg.bridge] or leg.ended_at > self.until - timedelta(days=1):
                self.clock.moment = leg.ended_at
                counts = PostCounts(leg.ended_at, legs=1)
                self.container.bridge_posts.note(leg.bridge, counts)
        await self.container.bridge_posts.flush()

    async def _close(self) -> None:
        """The nightly job's work for an account."""
        ledger = self.container.ledger
        midnight = self.until.replace(hour=0, minute=0, second=0)
        await ledger.pack_until(ACCOUNT, midnight)
        await close_months(ledger, ACCOUNT, ZONE, midnight)
        await ledger.close_usage_days(ACCOUNT, ZONE, self.until - timedelta(hours=1))
        await self._do_what_is_due()
        await self.container.denials.flush()


def _batches(today: Sequence[Meeting]) -> Iterator[list[Meeting]]:
    """The meetings of some hours, whose legs are booked together."""
    for hour in range(0, 24, _BATCH_HOURS):
        batch = [each for each in today if hour <= each.booked_at.hour < hour + _BATCH_HOURS]
        if batch:
            yield batch


def _scaled(
    card: dict[str, Any], share: Decimal, prefixes: tuple[str, ...] = ("",)
) -> dict[str, Any]:
    """The card with a share of the prices of destinations that begin with one of the prefixes."""

    def scaled(price: str) -> str:
        return format(Decimal(price) * share, "f")

    rates = [
        rate
        if not rate["prefix"].startswith(prefixes)
        else {
            **rate,
            "connection_fee": scaled(rate["connection_fee"]),
            "slots": [{**slot, "price": scaled(slot["price"])} for slot in rate["slots"]],
        }
        for rate in card["rates"]
    ]
    return {**card, "rates": rates}


async def play_quarter(container: Container, until: datetime, seed: int = SEED) -> Played:
    """Play the quarter before `until` into a container that has served nothing yet."""
    return await Quarter(container, until, seed).play()


def playing(stack: Stack) -> Part:
    """The process that plays the quarter up to now into a stack that serves. Once the process has
    ended, the last line of its log contains the counts."""
    part = Part(
        "quarter",
        [sys.executable, "-m", "local.demo.quarter"],
        environment=stack.settings,
        log=stack.data / "logs" / "quarter.log",
    )
    part.start()
    return part


def main() -> int:
    """Play up to now, once per store. A busy machine may time out: the next attempt continues."""
    logging.disable()
    for _ in range(ATTEMPTS_MAX):
        try:
            played = asyncio.run(_play_once())
            break
        except StoreUnavailable as error:
            reason = error
    else:
        print(f"The quarter of {ACCOUNT} is incomplete: {reason} Run `make run` again to continue.")
        return 1
    if played is None:
        print("the played quarter is there")
        return 0
    print(
        f"played a quarter of {ACCOUNT}: {counted(played.legs, 'leg')}, {played.parked} parked, "
        f"{counted(played.corrected, 'correction')}, {counted(played.denied, 'denial')} "
        f"in {played.seconds:.0f} s"
    )
    return 0


async def _play_once() -> Played | None:
    """The quarter, or None where it is complete. Raises StoreUnavailable."""
    container = Container(Settings.from_environment())
    try:
        if await container.facts.account(ACCOUNT) is not None and await _is_done(container):
            return None
        return await play_quarter(container, datetime.now(UTC))
    finally:
        await container.close()


async def _is_done(container: Container) -> bool:
    """True if the last step was taken: days of usage are closed."""
    return bool(await container.ledger.closed_months(ACCOUNT))


if __name__ == "__main__":
    sys.exit(main())

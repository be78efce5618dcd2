"""Documents of dial-out policies and organizers.

Unknown fields are refused, types are strict. A body turns into domain dataclasses and back; an
omitted field takes its default.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.common.fields import AdminBody, Amount, Country, ForeignId, Price
from shared.contracts.common.validation import ReasonText
from shared.domain.common import limits
from shared.domain.common.money import format_amount, format_price, parse_amount, parse_price
from shared.domain.dial_out.budgets import Budget, BudgetMode, Budgets, NewRegion, Velocity
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import (
    DEFAULT_IDENTITY,
    IDENTITIES,
    AccountPolicy,
    DialRules,
    GroupRules,
    License,
)
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import called_number, prefix_digits
from shared.domain.numbers.regions import NAMES

_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)


def _identity(name: str) -> str:
    if name not in IDENTITIES:
        raise ValueError("must be the exact name of one of the twelve dial-out policies")
    return name


def _region(code: str) -> str:
    if code not in NAMES:
        raise ValueError('must be a region such as "FR", or "001" for international networks')
    return code


def _prefix(text: str) -> str:
    digits = called_number(text).removeprefix("+")
    if not _PREFIX.fullmatch(digits):
        raise ValueError("must be 1 to 15 digits of an international number, with or without +")
    return prefix_digits(digits)


IdentityName = Annotated[str, AfterValidator(_identity)]
Region = Annotated[str, AfterValidator(_region)]
Prefix = Annotated[str, AfterValidator(_prefix)]
ClassName = Annotated[NumberClass, Field(strict=False)]
Regions = Annotated[list[Region], Field(max_length=len(NAMES))]
Prefixes = Annotated[list[Prefix], Field(max_length=limits.POLICY_LIST_MAX)]
Classes = Annotated[list[ClassName], Field(max_length=len(NumberClass))]
Count = Annotated[int, Field(ge=0, le=limits.OPEN_HOLDS_MAX)]
HourCount = Annotated[int, Field(ge=0, le=limits.DIAL_OUTS_PER_HOUR_MAX)]


class RulesBody(AdminBody):
    """Lists of one scope. An allowing list admits only its members; a blocking list takes
    precedence."""

    allowed_regions: Regions | None = None
    blocked_regions: Regions = []
    allowed_prefixes: Prefixes | None = None
    blocked_prefixes: Prefixes = []
    allowed_classes: Classes = []
    blocked_classes: Classes = []
    max_price_per_minute: Price | None = None

    def rules(self) -> DialRules:
        """The lists for the domain."""
        ceiling = self.max_price_per_minute
        return DialRules(
            allowed_regions=_set_or_none(self.allowed_regions),
            blocked_regions=frozenset(self.blocked_regions),
            allowed_prefixes=_set_or_none(self.allowed_prefixes),
            blocked_prefixes=frozenset(self.blocked_prefixes),
            allowed_classes=frozenset(self.allowed_classes),
            blocked_classes=frozenset(self.blocked_classes),
            rate_ceiling_picos=None if ceiling is None else parse_price(ceiling),
        )


class BudgetBody(AdminBody):
    """An amount that may be spent, and what happens beyond it."""

    amount: Amount
    mode: Literal["hard", "warn"] = "hard"

    def budget(self) -> Budget:
        """The budget for the domain."""
        return Budget(parse_amount(self.amount), BudgetMode(self.mode))


class BudgetsBody(AdminBody):
    """Budgets for a day and a month in the account's time zone, and for each meeting."""

    day: BudgetBody | None = None
    month: BudgetBody | None = None
    meeting: BudgetBody | None = None

    def budgets(self) -> Budgets:
        """The budgets for the domain."""
        return Budgets(
            day=self.day.budget() if self.day else None,
            month=self.month.budget() if self.month else None,
            meeting=self.meeting.budget() if self.meeting else None,
        )


class VelocityBody(AdminBody):
    """Limits on the rate of dial-outs; null is unlimited."""

    concurrent: Count | None = limits.DIAL_OUT_CONCURRENT_DEFAULT
    per_hour: HourCount | None = limits.DIAL_OUTS_PER_HOUR_DEFAULT
    new_region: Literal["allow", "notice", "deny"] = "allow"
    cost_per_ten_minutes: Amount | None = None

    def velocity(self) -> Velocity:
        """The velocity for the domain."""
        cost = self.cost_per_ten_minutes
        return Velocity(
            concurrent_max=self.concurrent,
            per_hour_max=self.per_hour,
            new_region=NewRegion(self.new_region),
            cost_per_ten_minutes_micros=None if cost is None else parse_amount(cost),
        )


class GroupBody(RulesBody):
    """Rules of a group of organizers; the lowest rank names the identity."""

    rank: Annotated[int, Field(ge=0, le=limits.POLICY_LIST_MAX)]
    policy: IdentityName | None = None


class ClassRangeBody(AdminBody):
    """A range whose numbers the account takes for another class."""

    prefix: Prefix
    number_class: ClassName = Field(alias="class")


class DialOutPolicyBody(RulesBody):
    """`PUT …/dial-out-policy`: default policy, lists, groups, limits of an account.

    `suspended` denies every call of the account at once.
    """

    suspended: bool = False
    default_policy: IdentityName = DEFAULT_IDENTITY
    served_regions: Regions | None = None
    unserved_regions: Regions = []
    class_ranges: Annotated[list[ClassRangeBody], Field(max_length=limits.POLICY_LIST_MAX)] = []
    block_high_risk: bool = False
    groups: Annotated[dict[ForeignId, GroupBody], Field(max_length=limits.POLICY_GROUPS_MAX)] = {}
    budgets: BudgetsBody = BudgetsBody()
    cost_centers: Annotated[
        dict[ForeignId, BudgetsBody], Field(max_length=limits.POLICY_LIST_MAX)
    ] = {}
    velocity: VelocityBody = VelocityBody()
    organizer_velocity: VelocityBody = VelocityBody(concurrent=None, per_hour=None)

    @model_validator(mode="after")
    def _one_class_per_range(self) -> Self:
        if len({item.prefix for item in self.class_ranges}) < len(self.class_ranges):
            raise ValueError("class_ranges names a prefix twice")
        return self

    def policy(self) -> AccountPolicy:
        """The policy for the domain."""
        return AccountPolicy(
            default_identity=self.default_policy,
            served_regions=_set_or_none(self.served_regions),
            unserved_regions=frozenset(self.unserved_regions),
            class_ranges={item.prefix: item.number_class for item in self.class_ranges},
            block_high_risk=self.block_high_risk,
            rules=self.rules(),
            groups={
                name: GroupRules(group.rank, group.policy, group.rules())
                for name, group in self.groups.items()
            },
            budgets=self.budgets.budgets(),
            cost_centers={name: body.budgets() for name, body in self.cost_centers.items()},
            velocity=self.velocity.velocity(),
            organizer_velocity=self.organizer_velocity.velocity(),
            suspended=self.suspended,
        )


class StopBody(AdminBody):
    """`POST …/dial-out-policy/stop`: why, in words that the denials give."""

    reason: Annotated[ReasonText, Field(max_length=limits.NAME_CHARS_MAX)]


def policy_body(policy: AccountPolicy) -> dict[str, object]:
    """A policy as a JSON object that could be put."""
    return {
        **_rules_body(policy.rules),
        "suspended": policy.suspended,
        "default_policy": policy.default_identity,
        "served_regions": _sorted_or_none(policy.served_regions),
        "unserved_regions": sorted(policy.unserved_regions),
        "class_ranges": [
            {"prefix": prefix, "class": number_class.value}
            for prefix, number_class in policy.class_ranges.items()
        ],
        "block_high_risk": policy.block_high_risk,
        "groups": {
            name: {**_rules_body(group.rules), "rank": group.rank, "policy": group.identity}
            for name, group in policy.groups.items()
        },
        "budgets": _budgets_body(policy.budgets),
        "cost_centers": {
            name: _budgets_body(budgets) for name, budgets in policy.cost_centers.items()
        },
        "velocity": _velocity_body(policy.velocity),
        "organizer_velocity": _velocity_body(policy.organizer_velocity),
    }


class OrganizerBody(AdminBody):
    """`PUT …/organizers/{organizer}`: omitted fields take the account's values."""

    usage_location: Country | None = None
    license: Literal["pay_per_minute", "subscription", "none"] = "pay_per_minute"
    policy: IdentityName | None = None
    toll_free_dial_in: bool = True
    budgets: BudgetsBody = BudgetsBody()
    cost_center: ForeignId | None = None
    groups: Annotated[list[ForeignId], Field(max_length=limits.POLICY_GROUPS_MAX)] = []
    rules: RulesBody | None = None

    def facts(self, organizer: str) -> OrganizerFacts:
        """The organizer for the domain."""
        return OrganizerFacts(
            organizer=organizer,
            usage_location=self.usage_location,
            license=License(self.license),
            identity=self.policy,
            toll_free_dial_in=self.toll_free_dial_in,
            groups=tuple(self.groups),
            rules=self.rules.rules() if self.rules else None,
            budgets=self.budgets.budgets(),
            cost_center=self.cost_center,
        )


ORGANIZER_COLUMNS = (
    *("id", "usage_location", "license", "policy", "toll_free_dial_in", "budgets"),
    *("cost_center", "groups", "rules", "etag"),
)


def listed_organizer_body(
    organizer: str, facts: OrganizerFacts | None, etag: str
) -> dict[str, object]:
    """An organizer in a list; `unreadable` where it has to be put again."""
    body = {"unreadable": True} if facts is None else organizer_body(facts)
    return {"id": organizer, **body, "etag": etag}


def organizer_body(organizer: OrganizerFacts) -> dict[str, object]:
    """An organizer as a JSON object that could be put."""
    return {
        "usage_location": organizer.usage_location,
        "license": organizer.license.value,
        "policy": organizer.identity,
        "toll_free_dial_in": organizer.toll_free_dial_in,
        "budgets": _budgets_body(organizer.budgets),
        "cost_center": organizer.cost_center,
        "groups": list(organizer.groups),
        "rules": _rules_body(organizer.rules) if organizer.rules else None,
    }


def _rules_body(rules: DialRules) -> dict[str, object]:
    ceiling = rules.rate_ceiling_picos
    return {
        "allowed_regions": _sorted_or_none(rules.allowed_regions),
        "blocked_regions": sorted(rules.blocked_regions),
        "allowed_prefixes": _sorted_or_none(rules.allowed_prefixes),
        "blocked_prefixes": sorted(rules.blocked_prefixes),
        "allowed_classes": sorted(rules.allowed_classes),
        "blocked_classes": sorted(rules.blocked_classes),
        "max_price_per_minute": None if ceiling is None else format_price(ceiling),
    }


def _budgets_body(budgets: Budgets) -> dict[str, object]:
    def body(budget: Budget | None) -> dict[str, object] | None:
        if budget is None:
            return None
        return {"amount": format_amount(budget.amount_micros), "mode": budget.mode.value}

    return {
        "day": body(budgets.day),
        "month": body(budgets.month),
        "meeting": body(budgets.meeting),
    }


def _velocity_body(velocity: Velocity) -> dict[str, object]:
    cost = velocity.cost_per_ten_minutes_micros
    return {
        "concurrent": velocity.concurrent_max,
        "per_hour": velocity.per_hour_max,
        "new_region": velocity.new_region.value,
        "cost_per_ten_minutes": None if cost is None else format_amount(cost),
    }


def _set_or_none(items: list[str] | None) -> frozenset[str] | None:
    return None if items is None else frozenset(items)


def _sorted_or_none(items: frozenset[str] | None) -> list[str] | None:
    return None if items is None else sorted(items)

"""Permissions to dial: the twelve Teams identities, and an account's own rules.

The names of the identities are irregular, so a table maps them, never a pattern. The conference
half binds dial-outs from the meetings that a user organizes, for every participant who dials; the
PSTN half binds the calls that the user makes, emergency calls excepted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.domain.common.documents import stored
from shared.domain.common.money import format_price, parse_price
from shared.domain.dial_out.budgets import Budgets, Velocity
from shared.domain.numbers.classes import ALLOWED_BY_DEFAULT, NumberClass
from shared.domain.numbers.numbers import NumberFacts, prefix_digits
from shared.domain.numbers.ranges import longest_prefix
from shared.domain.numbers.regions import INTERNATIONAL, ZONE_A


class DialScope(StrEnum):
    """The reach of one half of an identity."""

    ANY = "any"
    ZONE_A = "zone_a"
    DOMESTIC = "domestic"
    NONE = "none"


class CallContext(StrEnum):
    """The half of an identity that binds a call."""

    CONFERENCE = "conference"
    PSTN = "pstn"


class License(StrEnum):
    """The payer for an organizer's meetings: by the minute, from a pool of minutes, or none."""

    PAY_PER_MINUTE = "pay_per_minute"
    SUBSCRIPTION = "subscription"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Identity:
    """One of the twelve policies: the dial scope of its meetings, and the dial scope of its
    user."""

    name: str
    conference: DialScope
    pstn: DialScope

    def reach(self, half: CallContext) -> DialScope:
        """The reach of one half."""
        return self.conference if half is CallContext.CONFERENCE else self.pstn


DEFAULT_IDENTITY = "DialoutCPCandPSTNInternational"
IDENTITIES: Mapping[str, Identity] = {
    identity.name: identity
    for identity in (
        Identity(DEFAULT_IDENTITY, DialScope.ANY, DialScope.ANY),
        Identity("DialoutCPCDomesticPSTNInternational", DialScope.DOMESTIC, DialScope.ANY),
        Identity("DialoutCPCDisabledPSTNInternational", DialScope.NONE, DialScope.ANY),
        Identity("DialoutCPCInternationalPSTNDomestic", DialScope.ANY, DialScope.DOMESTIC),
        Identity("DialoutCPCInternationalPSTNDisabled", DialScope.ANY, DialScope.NONE),
        Identity("DialoutCPCandPSTNDomestic", DialScope.DOMESTIC, DialScope.DOMESTIC),
        Identity("DialoutCPCDomesticPSTNDisabled", DialScope.DOMESTIC, DialScope.NONE),
        Identity("DialoutCPCDisabledPSTNDomestic", DialScope.NONE, DialScope.DOMESTIC),
        Identity("DialoutCPCandPSTNDisabled", DialScope.NONE, DialScope.NONE),
        Identity("DialoutCPCZoneAPSTNInternational", DialScope.ZONE_A, DialScope.ANY),
        Identity("DialoutCPCZoneAPSTNDomestic", DialScope.ZONE_A, DialScope.DOMESTIC),
        Identity("DialoutCPCZoneAPSTNDisabled", DialScope.ZONE_A, DialScope.NONE),
    )
}


def is_within_scope(reach: DialScope, region: str | None, domestic: str | None) -> bool:
    """True if a destination region is within a reach; `domestic` is the caller's own region.

    Zone A does not contain the domestic region by itself, and an international network is domestic
    to no caller.
    """
    if reach is DialScope.ANY:
        return True
    if reach is DialScope.ZONE_A:
        return region in ZONE_A
    return reach is DialScope.DOMESTIC and is_domestic(region, domestic)


def is_domestic(region: str | None, domestic: str | None) -> bool:
    """True if a destination is in the caller's own region."""
    return region is not None and region == domestic and region != INTERNATIONAL


def check_identity(name: str) -> str:
    """The name of an identity. Raises ValueError for another text."""
    if name not in IDENTITIES:
        raise ValueError("must be the exact name of one of the twelve dial-out policies")
    return name


def _prefixes(prefixes: Iterable[str]) -> frozenset[str]:
    """Prefixes of a document, of which older ones have whole numbers as stated, normalized."""
    return frozenset(map(prefix_digits, prefixes))


def _read_ranges(items: Iterable[Mapping[str, Any]]) -> Mapping[str, NumberClass]:
    return {prefix_digits(item["prefix"]): NumberClass(item["class"]) for item in items}


def _ranges(ranges: Mapping[str, NumberClass]) -> list[dict[str, str]]:
    return [{"prefix": prefix, "class": each.value} for prefix, each in ranges.items()]


@dataclass(frozen=True, slots=True)
class DialRules:
    """Lists of one scope: the account, a group or an organizer. A list that allows admits only its
    items; None admits all. A list that blocks has precedence. Prefixes are E.164 digits without
    `+`. `rate_ceiling_picos` bounds the price per minute.
    """

    allowed_regions: frozenset[str] | None = None
    blocked_regions: frozenset[str] = frozenset()
    allowed_prefixes: frozenset[str] | None = field(default=None, metadata=stored(read=_prefixes))
    blocked_prefixes: frozenset[str] = field(default=frozenset(), metadata=stored(read=_prefixes))
    allowed_classes: frozenset[NumberClass] = frozenset()
    blocked_classes: frozenset[NumberClass] = frozenset()
    rate_ceiling_picos: int | None = field(
        default=None,
        metadata=stored("max_price_per_minute", form=str, read=parse_price, write=format_price),
    )

    def admits_region(self, region: str | None) -> bool:
        """True if the region lists let a region pass."""
        if region in self.blocked_regions:
            return False
        return self.allowed_regions is None or region in self.allowed_regions

    def admits_digits(self, digits: str) -> bool:
        """True if the prefix lists let a number pass."""
        if _starts_with_one_of(digits, self.blocked_prefixes):
            return False
        return self.allowed_prefixes is None or _starts_with_one_of(digits, self.allowed_prefixes)


@dataclass(frozen=True, slots=True)
class GroupRules:
    """Rules of a group of organizers; of several groups, the lowest rank names the identity."""

    rank: int
    identity: str | None = field(default=None, metadata=stored("policy", read=check_identity))
    rules: DialRules = field(default_factory=DialRules, metadata=stored(inline=True))


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """An account's dial-out policy.

    `served_regions` None serves every region but `001`. `class_ranges` overrides the class of
    ranges, by the longest prefix. `block_high_risk` refuses the ranges known for toll fraud.
    `budgets` are the account's own, their `meeting` that of every meeting; `cost_centers` has those
    of the cost centers by name; `organizer_velocity` bounds each organizer.
    """

    suspended: bool = False
    default_identity: str = field(
        default=DEFAULT_IDENTITY, metadata=stored("default_policy", read=check_identity)
    )
    served_regions: frozenset[str] | None = None
    unserved_regions: frozenset[str] = frozenset()
    class_ranges: Mapping[str, NumberClass] = field(
        default_factory=dict, metadata=stored(form=list, read=_read_ranges, write=_ranges)
    )
    block_high_risk: bool = False
    rules: DialRules = field(default_factory=DialRules, metadata=stored(inline=True))
    groups: Mapping[str, GroupRules] = field(default_factory=dict)
    budgets: Budgets = Budgets()  # noqa: RUF009 - frozen
    cost_centers: Mapping[str, Budgets] = field(default_factory=dict)
    velocity: Velocity = Velocity()  # noqa: RUF009 - frozen
    organizer_velocity: Velocity = Velocity(None, None)  # noqa: RUF009 - frozen

    def serves(self, region: str | None) -> bool:
        """True if a region is served; `001` only if the account names it."""
        if region is None or region in self.unserved_regions:
            return False
        if self.served_regions is None:
            return region != INTERNATIONAL
        return region in self.served_regions

    def class_of(self, number: NumberFacts) -> NumberClass:
        """The class of a number, after the account's own ranges."""
        own = longest_prefix(number.digits, self.class_ranges)
        return self.class_ranges[own] if own else number.number_class


def effective_identity(
    policy: AccountPolicy, organizer_identity: str | None, groups: tuple[str, ...] = ()
) -> str:
    """The name of the identity that binds an organizer: the organizer's own, else that of the group
    with the lowest rank, else the default."""
    if organizer_identity is not None:
        return organizer_identity
    ranked = sorted(
        (policy.groups[name] for name in groups if name in policy.groups),
        key=lambda group: group.rank,
    )
    for group in ranked:
        if group.identity is not None:
            return group.identity
    return policy.default_identity


def rules_in_force(
    policy: AccountPolicy, organizer_rules: DialRules | None, groups: tuple[str, ...] = ()
) -> tuple[DialRules, ...]:
    """All rules that a dial-out has to pass, the organizer's first, the account's last."""
    own = () if organizer_rules is None else (organizer_rules,)
    named = tuple(policy.groups[name].rules for name in groups if name in policy.groups)
    return (*own, *named, policy.rules)


def class_allowed(number_class: NumberClass, rules: tuple[DialRules, ...]) -> bool:
    """True if a class may be dialled: a block wins over an allowance, and that over the default."""
    if any(number_class in rule.blocked_classes for rule in rules):
        return False
    return number_class in ALLOWED_BY_DEFAULT or any(
        number_class in rule.allowed_classes for rule in rules
    )


def rate_ceiling_picos(rules: tuple[DialRules, ...]) -> int | None:
    """The lowest ceiling of the rules, None where there is none."""
    ceilings = [rule.rate_ceiling_picos for rule in rules if rule.rate_ceiling_picos is not None]
    return min(ceilings, default=None)


def _starts_with_one_of(digits: str, prefixes: frozenset[str]) -> bool:
    return any(digits[:length] in prefixes for length in range(1, len(digits) + 1))

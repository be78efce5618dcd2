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
from shared.domain.common.documents import from_document, to_document
from shared.domain.dial_out.facts import OrganizerFacts
from shared.domain.dial_out.policy import DEFAULT_IDENTITY, AccountPolicy, check_identity
from shared.domain.numbers.classes import NumberClass
from shared.domain.numbers.numbers import called_number, prefix_digits
from shared.domain.numbers.regions import NAMES

_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)


def _region(code: str) -> str:
    if code not in NAMES:
        raise ValueError('must be a region such as "FR", or "001" for international networks')
    return code


def _prefix(text: str) -> str:
    digits = called_number(text).removeprefix("+")
    if not _PREFIX.fullmatch(digits):
        raise ValueError("must be 1 to 15 digits of an international number, with or without +")
    return prefix_digits(digits)


IdentityName = Annotated[str, AfterValidator(check_identity)]
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


class BudgetBody(AdminBody):
    """An amount that may be spent, and what happens beyond it."""

    amount: Amount
    mode: Literal["hard", "warn"] = "hard"


class BudgetsBody(AdminBody):
    """Budgets for a day and a month in the account's time zone, and for each meeting."""

    day: BudgetBody | None = None
    month: BudgetBody | None = None
    meeting: BudgetBody | None = None


class VelocityBody(AdminBody):
    """Limits on the rate of dial-outs; null is unlimited."""

    concurrent: Count | None = limits.DIAL_OUT_CONCURRENT_DEFAULT
    per_hour: HourCount | None = limits.DIAL_OUTS_PER_HOUR_DEFAULT
    new_region: Literal["allow", "notice", "deny"] = "allow"
    cost_per_ten_minutes: Amount | None = None


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
        return from_document(AccountPolicy, self.model_dump(mode="json", by_alias=True))


class StopBody(AdminBody):
    """`POST …/dial-out-policy/stop`: why, in words that the denials give."""

    reason: Annotated[ReasonText, Field(max_length=limits.NAME_CHARS_MAX)]


def policy_body(policy: AccountPolicy) -> dict[str, object]:
    """A policy as a JSON object that could be put."""
    return to_document(policy)


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
        return from_document(OrganizerFacts, self.model_dump(mode="json"), organizer=organizer)


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
    return to_document(organizer, exclude={"organizer"})

"""Field types and base models that several bodies use."""

import re
from typing import Annotated
from zoneinfo import ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.domain.common import limits
from shared.domain.common.calendar import zone
from shared.domain.common.ids import FOREIGN_ID_RULE, ID_RULE, is_foreign_id, is_id
from shared.domain.common.money import parse_amount, parse_price
from shared.domain.numbers.regions import INTERNATIONAL, NAMES

_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", re.ASCII)


def _country(code: str) -> str:
    if code not in NAMES or code == INTERNATIONAL:
        raise ValueError('must be a country such as "FR"')
    return code


def _amount(text: str) -> str:
    if parse_amount(text) < 0:
        raise ValueError("must not be negative")
    return text


def _price(text: str) -> str:
    parse_price(text)
    return text


def _time_zone(name: str) -> str:
    try:
        if not _ZONE.fullmatch(name):
            raise ValueError(name)
        zone(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError('must be an IANA time zone, such as "Europe/Paris"') from None
    return name


TimeZone = Annotated[str, AfterValidator(_time_zone)]

Country = Annotated[str, AfterValidator(_country)]

Amount = Annotated[str, AfterValidator(_amount)]

Price = Annotated[str, AfterValidator(_price)]


class AdminBody(BaseModel):
    """A body of an administrator: strict types, unknown fields refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _foreign_id(text: str) -> str:
    if not is_foreign_id(text):
        raise ValueError(f"must have {FOREIGN_ID_RULE}")
    return text


def _id(text: str) -> str:
    if not is_id(text):
        raise ValueError(f"must have {ID_RULE}")
    return text


ForeignId = Annotated[str, AfterValidator(_foreign_id)]

Id = Annotated[str, AfterValidator(_id)]

CallSeconds = Annotated[int, Field(ge=1, le=limits.LEG_SECONDS_MAX)]


class BridgeRequestBody(BaseModel):
    """A body of a bridge: strict types, unknown fields ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

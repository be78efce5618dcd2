"""Quotes: requests, and the list of a card's versions."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.common.fields import AdminBody, ForeignId, Id
from shared.contracts.common.validation import TimeText
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.numbers.numbers import called_number, caller_number
from shared.domain.rating.versioning import CardVersion

_NUMBER = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def _called(text: str) -> str:
    return _number(text, called_number(text))


def _caller(text: str) -> str:
    return _number(text, caller_number(text))


def _number(text: str, number: str | None) -> str:
    """The text, if it is a number: the answer shows both."""
    if not _NUMBER.fullmatch(number or ""):
        raise ValueError('must be E.164, such as "+442079460000"')
    return text


Called = Annotated[str, AfterValidator(_called)]
Caller = Annotated[str, AfterValidator(_caller)]


class QuoteBody(AdminBody):
    """`POST /api/v1/quotes`: for an account, or by a card."""

    account: Id | None = None
    rate_card: Id | None = None
    kind: Literal["dial_in", "dial_out", "voip"]
    from_number: Caller | None = Field(default=None, alias="from")
    to: Called | None = None
    at: TimeText | None = None
    talk_seconds: Annotated[int, Field(ge=0, le=limits.LEG_SECONDS_MAX)]
    organizer_id: ForeignId | None = None

    @model_validator(mode="after")
    def _one_card(self) -> Self:
        if (self.account is None) == (self.rate_card is None):
            raise ValueError("needs either account or rate_card")
        if self.organizer_id is not None and self.account is None:
            raise ValueError("needs the account of organizer_id")
        if self.to is None and self.kind != "voip":
            raise ValueError("needs to, unless the kind is voip")
        return self


def card_version_body(version: CardVersion) -> dict[str, object]:
    """A version without its rates, as a JSON object."""
    return {
        "card": version.card,
        "effective_from": format_time(version.effective_from),
        "currency": version.currency,
        "time_zone": version.time_zone,
        "rate_count": version.rate_count,
        "written_at": format_time(version.written_at),
        "etag": version.etag,
    }

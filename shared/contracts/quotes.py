"""What is asked of rate cards, and how their versions are listed."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.dial_out import Id
from shared.contracts.dial_out_policy import AdminBody
from shared.contracts.strict import TimeText
from shared.domain import limits
from shared.domain.card_versions import CardVersion
from shared.domain.legs import format_time

_NUMBER = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError('must be E.164, such as "+442079460000"')
    return text


Number = Annotated[str, AfterValidator(_number)]


class QuoteBody(AdminBody):
    """`POST /api/v1/quotes`: for an account, or by a card."""

    account: Id | None = None
    rate_card: Id | None = None
    kind: Literal["dial_in", "dial_out", "voip"]
    from_number: Number | None = Field(default=None, alias="from")
    to: Number | None = None
    at: TimeText | None = None
    talk_seconds: Annotated[int, Field(ge=0, le=limits.LEG_SECONDS_MAX)]

    @model_validator(mode="after")
    def _one_card(self) -> Self:
        if (self.account is None) == (self.rate_card is None):
            raise ValueError("needs either account or rate_card")
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

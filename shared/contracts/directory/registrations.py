"""Documents of conferences and service numbers."""

from collections.abc import Sequence
from typing import Literal

from shared.contracts.common.fields import AdminBody, ForeignId
from shared.domain.common.canonical import format_time
from shared.domain.directory.entities import Registration


class ConferenceBody(AdminBody):
    """`PUT …/conferences/{conference}`: the organizer of a conference."""

    organizer: ForeignId


class ServiceNumberBody(AdminBody):
    """`PUT …/service-numbers/{number}`: the payer of calls to the number."""

    kind: Literal["toll", "toll_free"]


def registrations_body(
    name: str, key: str, account: str, history: Sequence[Registration], etag: str
) -> dict[str, object]:
    """A conference (`name` "conference") or service number ("number") as its account sees it:

    its latest registration, and all of its registrations with their periods. Registrations of other
    accounts are not shown.
    """
    ends: list[Registration | None] = [*history[1:], None]
    own = [
        (item, following.since if following else None)
        for item, following in zip(history, ends, strict=True)
        if item.account == account
    ]
    latest, _ = own[-1]
    return {
        name: key,
        "account": account,
        **_value(latest),
        "registrations": [
            {
                **_value(item),
                "from": format_time(item.since) if item.since else None,
                "until": format_time(until) if until else None,
            }
            for item, until in own
        ],
        "etag": etag,
    }


def _value(item: Registration) -> dict[str, object]:
    if item.kind is not None:
        return {"kind": item.kind.value}
    return {"organizer": item.organizer}

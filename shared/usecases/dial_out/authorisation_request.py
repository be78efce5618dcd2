"""The request of a bridge before a call, and the payer of the call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.dial_out.facts import Allowance, CheckResult, Denial, OrganizerFacts
from shared.domain.dial_out.hold_decisions import Granted
from shared.domain.dial_out.policy import CallContext
from shared.domain.directory.entities import (
    Account,
    Bridge,
    Registration,
    claims_at,
)
from shared.usecases.directory.directory_cache import DirectoryCache

type Checks = Sequence[CheckResult] | None


@dataclass(frozen=True, slots=True)
class AuthorisationRequest:
    """The request of a bridge. `key` is its idempotency key, `digest` the SHA-256 of its content.

    `to` is the number to dial, or the service number that was called. `normalize`: it may be
    written as it is dialled in the bridge's country.
    """

    to: str
    key: str
    digest: str
    conference: str | None = None
    organizer: str | None = None
    account: str | None = None
    caller: str | None = None
    leg_id: str | None = None
    requested_seconds: int | None = None
    explain: bool = False
    dry_run: bool = False
    normalize: bool = False
    half: CallContext = CallContext.CONFERENCE


@dataclass(frozen=True, slots=True)
class ResponseRenderer:
    """Renders decisions as response bodies; a body is kept as it was sent."""

    allowed: Callable[[Allowance, Checks], dict[str, object]]
    denied: Callable[[Denial, Checks], dict[str, object]]
    extended: Callable[[Mapping[str, object], Granted], dict[str, object]]


@dataclass(frozen=True, slots=True)
class PayingAccount:
    """The account that pays for a call, and its organizer; None where unknown."""

    account: Account | None = None
    organizer: OrganizerFacts | None = None


async def resolve_payer(
    facts: DirectoryCache,
    bridge: Bridge,
    request: AuthorisationRequest,
    now: datetime,
    *,
    fresh: bool,
    number: Registration | None = None,
) -> PayingAccount:
    """The payer of a call: the account named, else the service number's, else the conference's,
    else the bridge's default; the organizer of the conference, else the one named."""
    claims: list[Registration] = []
    if request.conference is not None:
        registrations = await facts.conference(
            request.conference, known_at=now if fresh else None, fresh=fresh
        )
        claims = [claim for claim in claims_at(registrations, now) if bridge.serves(claim.account)]
    name = request.account or (number.account if number else None)
    if name is None and len(claims) > 1:
        return PayingAccount()  # several accounts claim the conference: none is guessed
    name = name or (claims[0].account if claims else None) or bridge.default_account
    if name is None or not bridge.serves(name):
        return PayingAccount()
    account = await facts.account(name, fresh=fresh)
    if account is None:
        return PayingAccount()
    registered = next((each.organizer for each in claims if each.account == account.id), None)
    organizer = registered or request.organizer
    if organizer is None:
        return PayingAccount(account)
    return PayingAccount(account, await facts.organizer(account.id, organizer, fresh=fresh))

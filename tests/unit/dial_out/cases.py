"""Facts of dial-outs for the tests: everything passes unless a test says otherwise."""

from dataclasses import replace

from shared.domain.dial_out.facts import AccountFacts, DialOutFacts, OrganizerFacts, RateFacts
from shared.domain.numbers.numbers import look_up

ACCOUNT = AccountFacts("contoso", usage_location="FR")
ORGANIZER = OrganizerFacts("ken@contoso.com", usage_location="FR")
RATE = RateFacts("33", "France", 12 * 10**9, 5 * 10**10, 62_000)


def facts(to: str = "+33170123456", **changes: object) -> DialOutFacts:
    """A dial-out to `to` by an organizer in France, from a bridge in the United States."""
    usual = DialOutFacts(look_up(to, ("FR", "US")), ACCOUNT, ORGANIZER, "US", rate=RATE)
    return replace(usual, **changes)  # type: ignore[arg-type]


def organizer(**changes: object) -> OrganizerFacts:
    """The usual organizer, changed."""
    return replace(ORGANIZER, **changes)  # type: ignore[arg-type]

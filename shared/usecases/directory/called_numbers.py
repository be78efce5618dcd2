"""The service number that a leg called."""

from datetime import datetime

from shared.domain.directory.entities import (
    Bridge,
    Registration,
    registration_at,
)
from shared.domain.legs.leg import EndedLeg
from shared.domain.numbers.numbers import called_number, service_number_keys
from shared.usecases.directory.directory_cache import DirectoryCache


async def called_service_number(
    facts: DirectoryCache,
    leg: EndedLeg,
    bridge: Bridge,
    moment: datetime,
    *,
    known_at: datetime | None = None,
) -> tuple[str, Registration] | None:
    """(number, registration) of the service number that a leg called: the first of its texts that
    was registered at that moment."""
    is_among_them = leg.to_number in leg.to_candidates
    for text in leg.to_candidates if is_among_them else (leg.to_number, *leg.to_candidates):
        number = called_number(text, bridge.country) if text else ""
        for each in service_number_keys(text, number) if text else ():
            history = await facts.service_number(each, known_at=known_at)
            if registration := registration_at(history, moment):
                return (each if each != text else number), registration
    return None

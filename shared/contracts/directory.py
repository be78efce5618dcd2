"""What administrators state about organizers, conferences and service numbers, and are shown."""

from collections.abc import Mapping

from shared.contracts.dial_out_policy import OrganizerBody
from shared.domain.dial_out_facts import OrganizerFacts
from shared.domain.policy import License


def organizer_facts(organizer: str, document: Mapping[str, object]) -> OrganizerFacts:
    """The facts of an organizer whose body is kept as `document`."""
    body = OrganizerBody.model_validate(document)
    return OrganizerFacts(
        organizer=organizer,
        usage_location=body.usage_location,
        license=License(body.license),
        identity=body.policy,
        toll_free_dial_in=body.toll_free_dial_in,
        groups=tuple(body.groups),
        rules=body.rules.rules() if body.rules else None,
    )

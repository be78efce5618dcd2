"""What a restore does not bring back."""

from collections.abc import Mapping

from tests.support.client import Json

PERSONS = ("from", "to")


def with_persons(legs: Mapping[str, Json], before: Mapping[str, Json]) -> None:
    """Journals hold no numbers: an audit of restored legs takes them from what was seen before."""
    for leg, body in legs.items():
        for name in PERSONS:
            if body.get(name) is None and before.get(leg, {}).get(name) is not None:
                body[name] = before[leg][name]

"""The digest of a leg's content: what makes a repeated leg the same leg, in every version."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

import pytest

from shared.domain.common.canonical import content_digest
from shared.domain.common.kinds import LegKind
from shared.domain.legs.leg import EndedLeg

LEG = EndedLeg(
    bridge="local",
    leg_id="9f2c-1",
    conference_id="3001",
    kind=LegKind.DIAL_OUT,
    from_number=None,
    to_number="+4402079460123",
    started_at=datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
    answered_at=datetime(2026, 11, 23, 10, 0, 7, tzinfo=UTC),
    ended_at=datetime(2026, 11, 23, 10, 3, 10, tzinfo=UTC),
    talk_seconds=183,
)
# As the first release and this one hash it: neither may ever change.
FIRST = "2330dd0a20d18063261a443bcaa88cc4a214b75c190b522a9efd2babecc6a434"
SECOND = "ff75556a7466501eb9198b4ad7e5998b4e4fe917f18d167be4414ca22a2f9fc2"


@dataclass(frozen=True, slots=True)
class _LaterLeg(EndedLeg):
    """The leg of a later version, with one field more that is content."""

    room: str | None = None

    def facts(self) -> dict[str, str | int | None]:
        return {**super(_LaterLeg, self).facts(), "room": self.room}


def _later(room: str | None) -> _LaterLeg:
    return _LaterLeg(**{each.name: getattr(LEG, each.name) for each in fields(LEG)}, room=room)


def test_the_digests_of_a_leg_are_those_of_every_version() -> None:
    assert LEG.digest() == SECOND
    assert LEG.earlier_digests() == (FIRST,)


def test_a_new_optional_field_changes_no_digest_of_a_leg_without_it() -> None:
    assert _later(None).digest() == SECOND
    assert _later(None).earlier_digests() == (FIRST,)


def test_a_new_field_that_is_there_makes_other_content_but_is_unknown_to_earlier_versions() -> None:
    assert _later("a").digest() not in {SECOND, _later("b").digest()}
    assert _later("a").earlier_digests() == (FIRST,)


def test_absent_facts_are_left_out_of_the_content() -> None:
    assert None not in LEG.content().values()
    assert {"from", "account", "organizer", "authorization"}.isdisjoint(LEG.content())


@pytest.mark.parametrize(
    "change", [{"to_number": "+442079460123"}, {"talk_seconds": 184}, {"account": "contoso"}]
)
def test_the_content_is_as_received_and_every_change_shows(change: dict[str, object]) -> None:
    other = replace(LEG, **change)  # type: ignore[arg-type]
    assert other.digest() != LEG.digest()
    assert other.earlier_digests() != LEG.earlier_digests()
    assert content_digest(other.content()) != other.digest()  # the version is part of it

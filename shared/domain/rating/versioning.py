"""Rules of rate card versions: the times at which one may be created and changed.

Every process must know a version before it takes effect, and the version that charged a leg must
not change. A version is therefore created ahead of time, and frozen shortly before it takes effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.common import limits
from shared.domain.common.errors import Conflict, Invalid, PreconditionFailed
from shared.domain.common.preconditions import check_etag


@dataclass(frozen=True, slots=True)
class CardVersion:
    """A version of a rate card without its rates. `revision` counts its replacements."""

    card: str
    effective_from: datetime
    currency: str
    time_zone: str
    rate_count: int
    revision: int
    written_at: datetime

    @property
    def etag(self) -> str:
        """The quoted revision, as HTTP requires."""
        return f'"{self.revision}"'


@dataclass(frozen=True, slots=True)
class PutRules:
    """The conditions of a put version: `if_match` names the revision that it replaces, `backdate`
    lets a new one take effect at once or in the past."""

    now: datetime
    if_match: str | None = None
    backdate: bool = False


def check_put(versions: Sequence[CardVersion], effective_from: datetime, rules: PutRules) -> None:
    """Check that a version may be created or replaced, given the present versions.

    Raises PreconditionMissing, PreconditionFailed, Conflict `version_frozen`, Conflict
    `too_many_versions`, Invalid `effective_from_too_soon`.
    """
    ahead = timedelta(seconds=limits.RATE_CARD_AHEAD_SECONDS)
    replaced = next((v for v in versions if v.effective_from == effective_from), None)
    if replaced is not None:
        check_etag(replaced.etag, rules.if_match)
        if rules.now > effective_from - ahead:
            raise Conflict(
                "The version is frozen: it takes effect within 5 minutes, or has done so. "
                "Put a version with a later time.",
                code="version_frozen",
            )
        return
    if rules.if_match is not None:
        raise PreconditionFailed(
            "The version does not exist, so If-Match cannot match. Leave If-Match out to create it."
        )
    if len(versions) >= limits.RATE_CARD_VERSIONS_MAX:
        raise Conflict(
            f"The card has {limits.RATE_CARD_VERSIONS_MAX} versions. "
            "Put the version into another card.",
            code="too_many_versions",
        )
    if versions and not rules.backdate and effective_from < rules.now + ahead:
        raise Invalid(
            "A later version of a card must take effect at least 5 minutes from now. "
            "Choose a later time, or send backdate=true.",
            code="effective_from_too_soon",
        )

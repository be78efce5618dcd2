"""The check of `If-Match`."""

from shared.domain.common.errors import PreconditionFailed, PreconditionMissing


def check_etag(etag: str, if_match: str | None) -> None:
    """Passes when `if_match` names the ETag, or any (`*`).

    Weak tags never match. A tag without quotes counts as quoted, since shells remove quotes. Raises
    PreconditionMissing, PreconditionFailed.
    """
    if if_match is None:
        raise PreconditionMissing("The resource exists. Send If-Match with its ETag to replace it.")
    tags = {f'"{tag.strip().strip('"')}"' for tag in if_match.split(",")}
    if if_match.strip() != "*" and etag not in tags:
        raise PreconditionFailed(
            "The resource was changed after your read. "
            "Read it again, and send its present ETag as If-Match."
        )

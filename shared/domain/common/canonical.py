"""Canonical JSON, its digest, and times as text."""

import hashlib
import json
from datetime import datetime


def content_digest(content: object) -> str:
    """SHA-256 of content as canonical JSON, hex."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: object) -> bytes:
    """One canonical form: sorted keys, no spaces, UTF-8."""
    return _CANONICAL.encode(value).encode()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`; microseconds only where there are any."""
    return moment.isoformat().removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time that `format_time` wrote. Raises ValueError without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment

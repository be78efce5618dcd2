"""Signatures of conferencing vendors: Twilio, LiveKit, BigBlueButton, Zoom. Pure, in constant time.

Every failure is the NotAuthenticated of `request_signatures.refused`; a wrong checksum of
BigBlueButton is ChecksumWrong, which is a 403: that bridge takes a 401 for a delivery.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from shared.domain.common.errors import ChecksumWrong, NotAuthenticated
from shared.domain.common.limits import (
    AUTH_HEADER_CHARS_MAX,
    LIVEKIT_LEEWAY_SECONDS,
    SIGNED_FORM_FIELDS_MAX,
    WEBHOOK_TOLERANCE_SECONDS,
)
from shared.domain.directory.request_signatures import refused

_FORM = "application/x-www-form-urlencoded"
_ZOOM_TIME = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_CHECKSUM = re.compile(r"[0-9a-f]+", re.ASCII)
_CHECKSUM_PARAMETER = re.compile(r"(?:^|&)checksum=([^&]*)", re.ASCII)
_HASH_OF_LENGTH = {40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}


def verify_twilio(
    secrets: Sequence[str], headers: Mapping[str, str], url: str, body: bytes
) -> None:
    """Passes an `X-Twilio-Signature` of one of the auth tokens: HMAC-SHA1 over the URL, with or
    without its port, and the sorted fields of the form. A body of another type is signed by its
    hash, `bodySHA256` in the query. Raises NotAuthenticated."""
    query = dict(parse_qsl(urlsplit(url).query))
    form = headers.get("content-type", "").partition(";")[0].strip().lower() in {"", _FORM}
    stated = query.get("bodySHA256")
    if stated is not None:
        if not hmac.compare_digest(stated.lower().encode(), _hex(body).encode()):
            raise refused("bodySHA256 is not the hash of the body")
        signed = ""
    elif form or not body:
        signed = _sorted_fields(body)
    else:
        raise refused("the body is no form, and the URL has no bodySHA256")
    presented = _base64(headers.get("x-twilio-signature", ""))
    right = False
    for secret in secrets:
        for each in _with_and_without_port(url):
            expected = hmac.digest(secret.encode(), (each + signed).encode(), "sha1")
            right |= hmac.compare_digest(presented, expected)
    if not right:
        raise refused("wrong X-Twilio-Signature")


def verify_livekit(
    key: str | None,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> None:
    """Passes a JWT (HS256) in `Authorization`, bare or after `Bearer`: issued by the API key,
    signed by one of the API secrets, unexpired, with the SHA-256 of the body as claim `sha256`.
    Raises NotAuthenticated."""
    header = headers.get("authorization", "")
    token = header.removeprefix("Bearer ").removeprefix("bearer ").strip()
    parts = token.split(".")
    if len(header) > AUTH_HEADER_CHARS_MAX or len(parts) != 3:
        raise refused("the Authorization header holds no JWT")
    signature = _base64(parts[2].translate(str.maketrans("-_", "+/")))
    right = False
    for secret in secrets:
        expected = hmac.digest(secret.encode(), f"{parts[0]}.{parts[1]}".encode(), "sha256")
        right |= hmac.compare_digest(signature, expected)
    if not right:
        raise refused("the JWT has another signature")
    head, claims = _json_part(parts[0]), _json_part(parts[1])
    if head.get("alg") != "HS256" or not key or claims.get("iss") != key:
        raise refused("the JWT has another algorithm or issuer")
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    seconds = now.timestamp()
    if not isinstance(expires, int | float) or expires + LIVEKIT_LEEWAY_SECONDS < seconds:
        raise refused("the JWT has expired")
    if not isinstance(begins, int | float) or begins - LIVEKIT_LEEWAY_SECONDS > seconds:
        raise refused("the JWT holds later")
    stated = _base64(str(claims.get("sha256", "")))
    if not hmac.compare_digest(stated, hashlib.sha256(body).digest()):
        raise refused("the JWT is about another body")


def verify_zoom(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """The secret token whose HMAC-SHA256 of `v0:{timestamp}:{body}` is `x-zm-signature`, signed
    within the last five minutes. Raises NotAuthenticated."""
    timestamp = headers.get("x-zm-request-timestamp", "")
    if not _ZOOM_TIME.fullmatch(timestamp):
        raise refused("x-zm-request-timestamp is missing or malformed")
    presented = headers.get("x-zm-signature", "").encode("utf-8", "backslashreplace")
    matching = None
    for secret in secrets:
        digest = hmac.digest(secret.encode(), b"v0:%s:%s" % (timestamp.encode(), body), "sha256")
        if hmac.compare_digest(presented, b"v0=" + digest.hex().encode()):
            matching = secret
    if matching is None:
        raise refused("wrong x-zm-signature")
    age_seconds = now.timestamp() - int(timestamp)
    if abs(age_seconds) > WEBHOOK_TOLERANCE_SECONDS:
        raise refused(f"signed {age_seconds:.0f} s ago")
    return matching


def zoom_encrypted_token(secret: str, plain_token: str) -> str:
    """The answer to Zoom's `endpoint.url_validation`: HMAC-SHA256 of the token, hex."""
    return hmac.digest(secret.encode(), plain_token.encode(), "sha256").hex()


def verify_bigbluebutton(secrets: Sequence[str], url: str, body: bytes) -> None:
    """Passes a `?checksum=`: SHA-1, 256, 384 or 512 over the callback URL, the body and one of the
    secrets. The body is taken as it came, and as the JSON object of the form's fields, which older
    versions hash. Raises ChecksumWrong."""
    address, _, query = url.partition("?")
    match = _CHECKSUM_PARAMETER.search(query)
    presented = match[1].lower() if match else ""
    name = _HASH_OF_LENGTH.get(len(presented))
    rest = _CHECKSUM_PARAMETER.sub("", query).strip("&")
    callback = f"{address}?{rest}" if rest else address
    right = False
    if name is not None and _CHECKSUM.fullmatch(presented):
        for secret in secrets:
            for content in (body, *_as_json_object(body)):
                message = callback.encode() + content + secret.encode()
                expected = hashlib.new(name, message, usedforsecurity=False).hexdigest()
                right |= hmac.compare_digest(presented.encode(), expected.encode())
    if not right:
        error = ChecksumWrong(
            "The checksum is missing or wrong. Compare the shared secret of both sides."
        )
        error.add_note("wrong checksum")
        raise error


def _as_json_object(body: bytes) -> Iterable[bytes]:
    """A form's fields as `JSON.stringify` writes them, the time as a number and as a text."""
    try:
        fields = dict(_fields(body))
    except NotAuthenticated:  # it is hashed as it came
        return
    if not fields:
        return
    stamp = fields.get("timestamp", "")
    for value in {int(stamp), stamp} if stamp.isascii() and stamp.isdigit() else {stamp}:
        shown = {**fields, "timestamp": value} if "timestamp" in fields else fields
        yield json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()


def _sorted_fields(body: bytes) -> str:
    values: dict[str, set[str]] = {}
    for name, value in _fields(body):
        values.setdefault(name, set()).add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name]))


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=SIGNED_FORM_FIELDS_MAX)
    except ValueError:
        raise refused("the body is no form") from None


def _with_and_without_port(url: str) -> tuple[str, str]:
    """Twilio signs the port or leaves it out. The case of the host is kept."""
    scheme, separator, rest = url.partition("://")
    place = re.match(r"[^/?#]*", rest)
    host = place[0] if place else ""
    path = rest[len(host) :]
    name, _, port = host.partition(":")
    port = port or ("443" if scheme == "https" else "80")
    return f"{scheme}{separator}{name}{path}", f"{scheme}{separator}{name}:{port}{path}"


def _base64(text: str) -> bytes:
    """The decoded text; empty where it is no base64."""
    try:
        padded = text.encode("ascii")
        return base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _json_part(part: str) -> Mapping[str, object]:
    try:
        value = json.loads(_base64(part.translate(str.maketrans("-_", "+/"))))
    except (ValueError, RecursionError):
        raise refused("the JWT can't be read") from None
    if not isinstance(value, dict):
        raise refused("the JWT can't be read")
    return value


def _hex(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

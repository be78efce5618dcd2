"""Forms with files (`multipart/form-data`, RFC 7578), as `curl -F` sends them."""

import re

from pydantic import BaseModel

from shared.domain.common import limits
from shared.domain.common.errors import BadRequest, TooLarge

_BOUNDARY = re.compile(
    r';\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))', re.ASCII | re.IGNORECASE
)
_NAME = re.compile(
    rb'^content-disposition:\s*form-data\s*;(?:.*;)?\s*name="?([A-Za-z0-9_-]{1,60})"?\s*(?:;|$)',
    re.IGNORECASE,
)


def read_form(model: type[BaseModel], content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form with the fields of `model`, one of them `mapping`, as they were sent.

    Raises BadRequest `form_invalid`, also where a part is unknown or missing, TooLarge.
    """
    parts, fields = parse_form(content_type, body), model.model_fields
    if unknown := sorted(parts.keys() - fields):
        raise BadRequest(
            f"The form has an unknown part {unknown[0]}. Leave the part out.", code="form_invalid"
        )
    required = (name for name, each in fields.items() if each.is_required())
    if missing := [name for name in required if name not in parts]:
        raise BadRequest(f"The form has no part {missing[0]}. Add the part.", code="form_invalid")
    if len(parts["mapping"]) > limits.BODY_BYTES_MAX:
        raise TooLarge(
            f"The mapping has more than {limits.BODY_BYTES_MAX} bytes. Send a smaller mapping."
        )
    return parts


def parse_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form by name, as they were sent.

    Raises BadRequest `form_invalid` when it is no form, or names a part twice.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise _invalid("The content type names no boundary.")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("ascii", "replace")
    parts: dict[str, bytes] = {}
    # Pieces are found, not split: a body of the largest size is copied once, part by part.
    at = -2 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter)
    if at == -1:
        raise _invalid("The form does not begin.")
    begin = at + 2 + len(delimiter)
    for _ in range(limits.FORM_PARTS_MAX + 1):
        if body.startswith(b"--", begin):
            return parts
        end = body.find(b"\r\n" + delimiter, begin)
        head_end = body.find(b"\r\n\r\n", begin, begin + limits.FORM_HEAD_BYTES_MAX + 4)
        if end < 0:
            break
        if not begin <= head_end <= end:
            raise _invalid("A part of the form has no end to its headers.")
        name = _name(body[begin:head_end])
        if name in parts:
            raise _invalid(f"The form has the part {name} twice.")
        parts[name] = body[head_end + 4 : end]
        begin = end + 2 + len(delimiter)
    raise _invalid("The form does not end, or has too many parts.")


def _name(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        if match := _NAME.match(line):
            return match[1].decode("ascii")
    raise _invalid("A part of the form has no name.")


def _invalid(detail: str) -> BadRequest:
    return BadRequest(f"{detail} Send multipart/form-data.", code="form_invalid")

"""The encodings in which mod_json_cdr and mod_xml_cdr post records, and their known damage."""

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from shared.adapters.bridges import xml_bodies
from shared.domain.common.errors import BadRequest
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX
from shared.domain.common.strict_json import loads

type RecordObject = dict[str, object]

# Stands for a variable whose text can't be distinguished from its neighbours
AMBIGUOUS = object()

# How `{` and `<` begin in percent-encoding and in base64
_ENCODED = (b"%7", b"ey", b"ew", b"ex", b"ez", b"%3C", b"%3c", b"PD")
_DOCUMENT_END = re.compile(rb"(?<=</cdr>)\s*(?=<)")
_PARTS = frozenset({"channel_data", "variables"})
_PROFILE_PARTS = frozenset({"caller_profile", "times"})
_VARIABLES = '"variables":{'
_VARIABLES_END = re.compile(r'\},"(?:app_log|callflow)":')
_PAIR_START = re.compile(r'(?:^|,)"([A-Za-z0-9_.-]{1,100})":"')


def read_body(body: bytes) -> object:
    """The record of a post, or a list of records: JSON or XML, raw, percent-encoded, or base64; the
    latter two after `cdr=`.

    The content type is not read: `disable-100-continue` makes FreeSWITCH drop it. The
    files that it writes after a failed post lack `cdr=`. Raises BadRequest if no form can be read.
    """
    text = body.strip()
    if not text.startswith((b"cdr=", *_ENCODED)):
        return _loads(text)
    value = text.removeprefix(b"cdr=")
    if value.startswith(b"<"):  # not encoded: an `&` is part of the record
        return _loads(value)
    if value.startswith(b"{"):
        with contextlib.suppress(BadRequest):
            return _loads(value)
    value = value.partition(b"&")[0]
    if not value.startswith((b"%", b"{")):
        return _loads(_base64(value))
    plain = unquote_to_bytes(value)
    try:
        return _loads(plain)
    except BadRequest as error:
        problem = error
    if b"+" in value:  # FreeSWITCH leaves a plus alone; other encoders write a space so
        with contextlib.suppress(BadRequest):
            return _loads(unquote_to_bytes(value.replace(b"+", b" ")))
    record = _recover(plain.decode("utf-8", "replace"))
    if record is None:
        raise problem
    return record


def _loads(text: bytes) -> object:
    if text.startswith(b"<"):
        documents = _DOCUMENT_END.split(text, CALL_ENDED_LEGS_MAX)
        if len(documents) > CALL_ENDED_LEGS_MAX:
            raise BadRequest(
                f"The post has more than {CALL_ENDED_LEGS_MAX} records. Send smaller posts."
            )
        return [_xml_record(each) for each in documents]
    # Names of callers come in any encoding; nothing that is read depends on a byte that is lost.
    clean = text.decode("utf-8", "replace").encode()
    return loads(clean, nan_as_null=True, gather_repeats=True)


def _xml_record(document: bytes) -> RecordObject:
    """A record of mod_xml_cdr in the form of mod_json_cdr: a variable that occurs twice is a list,
    profiles are newest first."""
    channel_data: RecordObject = {}
    variables: RecordObject = {}
    profiles: list[RecordObject] = []
    profile: dict[str, RecordObject] = {}
    record: RecordObject = {}
    for path, _, text in xml_bodies.elements(document):
        match path[1:]:
            case (part, name) if part in _PARTS:
                found = channel_data if part == "channel_data" else variables
                found[name] = [found[name], text] if name in found else text
            case ("callflow", part, name) if part in _PROFILE_PARTS:
                profile.setdefault(part, {})[name] = text
            case ("callflow",):
                profiles.append(dict(profile))
                profile = {}
            case ("variables",):
                record = {"channel_data": channel_data, "variables": variables}
    return {**record, "callflow": profiles}


def _base64(value: bytes) -> bytes:
    # The plus stands unescaped in the form, so some proxy may have made it a space.
    plain = unquote_to_bytes(value).replace(b" ", b"+").translate(None, b"\r\n=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(
            "The value of cdr is neither percent-encoded nor base64. Set encode in json_cdr.conf."
        ) from None


def _recover(text: str) -> RecordObject | None:
    """A record out of `encode=true` with `encode-values`, whose variables lost their escapes.

    FreeSWITCH does not encode text in the form of encoded text: one decoding exposes the quotes
    inside a variable. The other parts of the record are sound JSON. A variable that occurs twice,
    or whose text contains a quote, is AMBIGUOUS: a caller's name could pretend to be a variable.
    """
    start = text.find(_VARIABLES)
    if start < 0:
        return None
    end = _VARIABLES_END.search(text, start)
    if end is None:
        return None
    variables: RecordObject = {}
    for name, value in _pairs(text[start + len(_VARIABLES) : end.start()]):
        sound = name not in variables and '"' not in value
        variables[name] = value if sound else AMBIGUOUS
    record: RecordObject = {"variables": variables}
    head = _part(text[:start].rstrip().removesuffix(",") + "}")
    tail = _part("{" + text[text.rfind('"callflow":') :]) if '"callflow":' in text else {}
    for name, part in (("channel_data", head), ("callflow", tail)):
        if name in part:
            record[name] = part[name]
    return record


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of an object of strings that is cut where the next name begins."""
    name, begin = "", 0
    for match in _PAIR_START.finditer(text):
        if name:
            yield name, text[begin : match.start()].removesuffix('"')
        name, begin = match[1], match.end()
    if name:
        yield name, text[begin:].removesuffix('"')


def _part(text: str) -> RecordObject:
    try:
        value = loads(text.encode(), nan_as_null=True, gather_repeats=True)
    except BadRequest:
        return {}  # the variables say the same, if less well
    return value if isinstance(value, dict) else {}

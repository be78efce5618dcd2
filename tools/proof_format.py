"""The shapes of documents: docs/proof.md, sections 1 to 9.

A shape is a type, a pattern of a text, a set of texts, a list with the shape of each item, or an
object with the shapes of members by name. `name?` may be absent; `*` allows more members.
"""

import json
import re

from proof_signatures import AMOUNT, check

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?!0{6})\d{6})?Z", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
KINDS = {"top_up", "grant", "debit", "reversal", "adjustment", "expiry"}
ENTRY = (
    {"sequence": int, "kind": KINDS, "amount": AMOUNT, "balance": AMOUNT, "at": TIME, "*": None}
    | {"leg?": str, "charge_digest?": HASH, "person_digest?": HASH, "reverses?": int}
    | {"rerates?": int, "draws?": [{"lot": str, "amount": AMOUNT, "*": None}], "deficit?": AMOUNT}
    | {"lot?": {"remaining": AMOUNT, "*": None}, "pool?": {"month": MONTH, "*": None}}
)
COMMIT = {
    "format": {"perminute-commit/1"},
    "account": str,
    "commit": int,
    "at": TIME,
    "first": int,
} | {"entries": int, "balance": AMOUNT, "root": HASH, "previous": HASH, "*": None}
ROOT = (
    {"format": {"perminute-root/1"}, "account": str, "currency": str, "time_zone": str}
    | {"day": DAY, "until": TIME, "interim": bool, "after": int, "commits": int, "base": HASH}
    | {"head": HASH, "first_entry": int, "last_entry": int, "opening": AMOUNT, "closing": AMOUNT}
    | {"tree": HASH, "rates": HASH, "previous": HASH, "signed_at": TIME, "key": str, "*": None}
)
SIGNED = {"root": ROOT, "signature": str}
PATH = {"index": int, "size": int, "hashes": [HASH]}
PRICE = re.compile(r"(0|[1-9]\d*)(\.\d{0,11}[1-9])?", re.ASCII)
SLOT = {
    "from_second": int,
    "price": PRICE,
    "unit_seconds": int,
    "increment_seconds": int,
    "*": None,
}
BAND = {
    "weight": int,
    "weekdays": [int],
    "dates": [str],
    "from": int,
    "until": int,
    "slots": [SLOT],
} | {"connection_fee": None, "*": None}
RATE = (
    {"card": str, "version": TIME, "kind": {"dial_in", "dial_out"}, "prefix": str, "origin?": str}
    | {"destination": str, "currency": str, "time_zone": str, "connection_fee": PRICE}
    | {"rounding": {"mode": str, "decimals": int, "*": None}, "grace_seconds": int}
    | {"minimum_charge": PRICE, "slots": [SLOT], "bands": [BAND], "*": None}
)
CHARGE = {"account": str, "amount": AMOUNT, "talk_seconds": int, "lines": [{"*": None}], "*": None}
PERSON = {"from": None, "to": None, "organizer": None, "salt": str, "*": None}
ITEM = (
    {"entry": ENTRY, "charge?": CHARGE, "person?": PERSON, "entry_path": PATH}
    | {"commit": COMMIT, "commit_path": PATH, "root": int, "rate?": RATE}
    | {"rate_path?": PATH}
)
LINK = {"entry": int, "corrects": int, "kind": {"reversal", "debit"}, "at": TIME}
RECEIPT = {"format": {"perminute-receipt/1"}, "account": str, "leg?": str, "created_at": TIME} | {
    "items": [ITEM],
    "corrections": [LINK],
    "roots": [SIGNED],
    "digest": HASH,
}
PROOFS = {"items": [{**SIGNED, "digest": HASH}]}
KEY = {"id": str, "algorithm": {"Ed25519"}, "public_key": str, "from": TIME, "until": None} | {
    "compromised_at": None,
    "*": None,
}
KEYS = {"keys": [KEY], "*": None}
LINES = {
    "file": (
        {"format": {"perminute-month/1"}, "account": str, "month": MONTH, "currency": str}
        | {"time_zone": str, "interim": bool, "persons": bool, "created_at": TIME}
    ),
    "checkpoint": SIGNED,
    "rate": {"rate": RATE},
    "commit": {
        "commit": COMMIT,
        "entries": [{"entry": ENTRY, "charge?": CHARGE, "person?": PERSON}],
    },
    "root": SIGNED,
    "statement": (
        {"opening": AMOUNT, "closing": AMOUNT, "first_entry": int, "last_entry": int}
        | {"legs": int, "charged": AMOUNT, "by_kind": {"*": {"count": int, "amount": AMOUNT}}}
    ),
    "end": {"lines": int, "digest": HASH},
}


def once(pairs):
    check(len(dict(pairs)) == len(pairs), "format", "an object", "has a member twice")
    return dict(pairs)


def refused(text):
    check(False, "format", "a number", f"{text} is no integer")


def load(data):
    """A JSON document whose numbers are integers, and that has no member twice."""
    return json.loads(data, object_pairs_hook=once, parse_float=refused, parse_constant=refused)


def load_keys(data):
    """The answer of proof-keys; each key is there once."""
    keys = load(data)
    check_shape(keys, KEYS, "the keys")
    ids = [key["id"] for key in keys["keys"]]
    check(len(ids) == len(set(ids)), "format", "the keys", "have a key twice")
    return keys


def check_shape(value, shape, where, name="the document"):
    """That a document has all members of its shape and no other ones."""
    if isinstance(shape, dict):
        check(type(value) is dict, "format", where, f"{name} is no object")
        known = {member.removesuffix("?") for member in shape}
        for member in shape:
            needed = member.removesuffix("?")
            if member != "*" and needed in value:
                check_shape(value[needed], shape[member], where, needed)
            right = needed in value or member == "*" or member.endswith("?")
            check(right, "format", where, f"{name} has no member {needed}")
        for more in value.keys() - known:
            check("*" in shape, "format", where, f"{name} has the unknown member {more}")
            check_shape(value[more], shape["*"], where, more)
    elif isinstance(shape, list):
        check(type(value) is list, "format", where, f"{name} is no list")
        for each in value:
            check_shape(each, shape[0], where, name)
    elif isinstance(shape, re.Pattern):
        right = type(value) is str and shape.fullmatch(value)
        check(right, "format", where, f"{name} is {value!r}")
    elif isinstance(shape, set):
        check(type(value) is str and value in shape, "format", where, f"{name} is {value!r}")
    elif shape is not None:
        right = type(value) is shape and (shape is not int or value >= 0)
        check(right, "format", where, f"{name} is {value!r}")

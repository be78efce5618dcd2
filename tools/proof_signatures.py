"""Canonical JSON, hashes, trees and signed roots: docs/proof.md, sections 1 and 6."""

import base64
import hashlib
import json
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ZEROS = "0" * 64
AMOUNT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]{2}([0-9]{0,3}[1-9])?", re.ASCII)
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Wrong(Exception):
    """The kind of a fault (section 10), its place, and a few words about it."""


def counted(count, noun, plural=""):
    """A count with its noun."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def plain(text):
    """A text without control characters, for a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def check(right, kind, where, what):
    if not right:
        raise Wrong(kind, where, what)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value):
    return hashlib.sha256(canonical(value)).hexdigest()


def tree(leaves):
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        lone = level[-1:] if len(level) % 2 else []
        level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + lone
    return (level or [hashlib.sha256().digest()])[0].hex()


def leads(path, data, root):
    """Whether an audit path leads from the leaf data to the root."""
    at, last, hashes = path["index"], path["size"] - 1, [bytes.fromhex(h) for h in path["hashes"]]
    if not 0 <= at <= last:
        return False
    found = hashlib.sha256(b"\0" + data).digest()
    while last > 0:
        if at % 2 or at < last:
            if not hashes:
                return False
            pair = hashes.pop(0) + found if at % 2 else found + hashes.pop(0)
            found = hashlib.sha256(b"\1" + pair).digest()
        at, last = at // 2, last // 2
    return not hashes and found.hex() == root


def micros(amount):
    """10⁻⁶ of the currency unit, as an integer; each amount has one text only."""
    right = AMOUNT.fullmatch(amount) and amount != "-0.00"
    check(right, "format", repr(amount), "is no amount")
    whole, _, part = amount.partition(".")
    return int(whole + part.ljust(6, "0"))


def decoded(text):
    """The bytes of base64; each value has one text only."""
    data = base64.b64decode(text, validate=True)
    check(base64.b64encode(data).decode() == text, "format", repr(text), "is no base64")
    return data


def check_root(signed, keys):
    """The root, if it was signed by a key that held; notices are printed."""
    root, where = signed["root"], f"root of {signed['root']['day']}"
    until, at = (datetime.fromisoformat(root[name]) for name in ("until", "signed_at"))
    check(until <= at, "chain", where, "was signed before its end")
    key = {each["id"]: each for each in keys["keys"]}.get(root["key"])
    check(key, "key", where, f"was signed by {root['key']}, which is not among the keys")
    public = decoded(key["public_key"])
    name = f"ed25519-{hashlib.sha256(public).hexdigest()[:16]}"
    check(name == key["id"], "key", key["id"], "is not the id of its bytes")
    times = (key[name] for name in ("from", "until", "compromised_at"))
    begin, end, lost = (time and datetime.fromisoformat(time) for time in times)
    check(
        begin <= at and (not end or at < end), "key", where, f"was signed when {name} did not hold"
    )
    check(not lost or at < lost, "compromised", where, f"its key was compromised from {lost} on")
    try:
        verifier = Ed25519PublicKey.from_public_bytes(public)
        verifier.verify(decoded(signed["signature"]), canonical(root))
    except (InvalidSignature, ValueError):
        raise Wrong("signature", where, f"the signature is not that of {name}") from None
    if lost or root["interim"]:
        print(f"notice: {where}: {f'key compromised from {lost} on' if lost else 'interim'}")
    return root

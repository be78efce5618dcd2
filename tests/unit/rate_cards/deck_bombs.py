"""Bodies that cost far more than they weigh, posted one after the other in a process of its own.

`python -m tests.unit.rate_cards.deck_bombs` prints a line of JSON for each: name, status, media
type, code, seconds of processor time, and the most memory that the process has had, in MiB.
"""

import gzip
import io
import json
import random
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.product import Product
from tests.unit.rate_cards.test_rate_card_import import IMPORT, PLAIN, form
from tests.unit.rate_cards.test_rate_cards import IN_FORCE

CSV = {**PLAIN, "columns": {"prefix": "p", "price": "x"}, "duplicates": "first"}
JSON = {**CSV, "format": "json"}
HEAD = b"p,x\n"
MIB = 1024 * 1024


def peak_mib() -> int:
    """The most memory that this program has had. `getrusage` would count what its parent had."""
    status = Path("/proc/self/status").read_text("ascii")
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert peak
    return int(peak[1]) // 1024


def packed(head: bytes, unit: bytes, mib: int, tail: bytes = b"") -> bytes:
    """A gzip file of so many MiB of one unit, packed as it is made."""
    deflate = zlib.compressobj(wbits=31)
    block = unit * (MIB // len(unit))
    out = io.BytesIO()
    out.write(deflate.compress(head))
    for _ in range(mib):
        out.write(deflate.compress(block))
    out.write(deflate.compress(tail))
    out.write(deflate.flush())
    return out.getvalue()


def decks() -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Names, mappings and decks."""
    tail = gzip.compress(b"")
    noise = random.Random(1).randbytes(400_000).hex().encode()
    yield "ranges of several countries", CSV, gzip.compress(HEAD + b"1000-2999,1\n" * 9_000)
    yield "ranges that stand twice", CSV, gzip.compress(HEAD + b"440000-441999,1\n" * 9_000)
    distinct = b"".join(b"44%d0000-44%d1999,1\n" % (at, at) for at in range(1_000, 1_300))
    yield "ranges that differ", CSV, gzip.compress(HEAD + distinct)
    cell = b'"' + b";".join(b"44%d" % at for at in range(10_000, 13_000)) + b'",1\n'
    yield "long lists", CSV, gzip.compress(HEAD + cell * 10)
    yield "one line", CSV, packed(HEAD, b"0", 256)
    yield "empty lines", CSV, packed(HEAD, b"\n", 256)
    yield "short rows", CSV, packed(HEAD, b"1,1\n", 256)
    yield "commas", CSV, packed(HEAD, b",", 256)
    yield "an open quote", CSV, packed(HEAD + b'"', b"\n", 256)
    yield "quoted line ends", CSV, packed(HEAD, b'"\n",', 256)
    yield "carriage returns", CSV, packed(HEAD, b"\r", 256)
    yield "empty members", CSV, tail * 1_000_000
    yield "a member that follows", CSV, gzip.compress(HEAD + b"1,1\n") + packed(b"", b"2,1\n", 256)
    yield "a file in a file", CSV, gzip.compress(packed(HEAD, b"1,1\n", 256))
    yield "cut off", CSV, packed(HEAD, b"1,1\n", 8)[:-9]
    yield "rows after the end", CSV, gzip.compress(HEAD + b"1,1\n") + b"2,1\n"
    yield "noise and empty lines", CSV, packed(HEAD + noise, b"\n", 60)
    yield "noise and commas", CSV, packed(HEAD + noise, b",", 60)
    yield "brackets", JSON, packed(b"", b"[", 256)
    parts = [b'{"n":"' + noise[at : at + 8_000] + b'"},' for at in range(0, len(noise), 8_000)]
    items = b"[" + b"".join(parts)
    yield "noise and brackets", JSON, packed(items, b"[", 60)
    yield "noise and closed brackets", JSON, packed(items, b"[],", 60, b"1]")
    yield "noise and objects", JSON, packed(items, b"{},", 60, b"1]")
    yield "noise and numbers", JSON, packed(items, b"1,", 60, b"1]")
    yield "noise and one number", JSON, packed(items, b"9", 60, b"]")
    yield (
        "noise and a list of prefixes",
        JSON,
        packed(items + b'{"x":"","p":"', b"1,", 14, b'"}]'),
    )
    yield "noise and filled objects", JSON, packed(items, b'{"a":1},', 11, b"1]")
    yield (
        "noise and long numbers",
        JSON,
        packed(items, b"1234567890123456789,", 60, b"1]"),
    )
    yield (
        "noise and texts",
        JSON,
        packed(items, b'"1234567890123456789",', 60, b"1]"),
    )
    noisy = items + b'{"p":"'
    yield "noise and one text", JSON, packed(noisy, b"x", 58, b'"}]')
    yield "noise and escapes", JSON, packed(noisy, b"\\u20ac", 58, b'"}]')
    wide = b"x\xf0\x9f\x98\x80" + b'"}]'
    yield "noise and a wide character", JSON, packed(noisy, b"x", 58, wide)
    yield "noise and short texts", JSON, packed(items + b'["ab"', b',"ab"', 35, b"]]")
    without = b'{"k":["ab"' + b',"cdcdcdcdcd"' * 15_000 + b"]},"
    yield "large items without the column", JSON, packed(items, without, 58, b"1]")
    yield "a spreadsheet", CSV, b"PK\x03\x04" + b"\0" * 1_000


def cards() -> Iterator[tuple[str, bytes]]:
    """Names and bodies of cards that are put as JSON."""
    yield "wrong rates", b'{"rates":[' + b"{}," * 499_999 + b"{}]}"
    yield "deep rates", b'{"rates":' + b"[" * 20_000_000
    yield "a long number", b'{"rates":[' + b"9" * 20_000_000 + b"]}"
    yield "a long text", b'{"currency":"' + b"x" * (60 * MIB) + b'"}'
    yield "a long text of quotes", b'{"currency":"' + b'\\"' * (30 * MIB) + b'"}'
    yield "a wide character", b'{"currency":"' + b"x" * (60 * MIB) + "\U0001f600".encode() + b'"}'
    yield "texts", b'{"rates":[' + b'"abcdefg",' * (6 * MIB) + b"1]}"
    yield "texts outside of rates", b'{"x":[' + b'"abcdefg",' * (6 * MIB) + b"1]}"
    yield "a list of texts", b"[" + b'"abcdefg",' * (6 * MIB) + b"1]"
    yield "names", b"{" + b",".join(b'"%d":1' % at for at in range(200_000)) + b"}"
    yield "slots", b'{"rates":[{"slots":[' + b"{}," * 1_000_000 + b"{}]}]}"


def main() -> None:
    """Posts them all."""
    client = Product()
    for name, mapping, deck in decks():
        body, content_type = form(mapping=mapping, deck=deck)
        report(name, client, "POST", IMPORT, body, content_type)
    del deck, body
    for name, body in cards():
        report(name, client, "PUT", IN_FORCE, body, "application/json")
        del body


def report(
    name: str, client: Product, method: str, target: str, body: bytes, content_type: str
) -> None:
    """Sends one and prints its line."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the most memory counts from here on
    began = time.process_time()
    answer = client.call(method, target, body, headers={"content-type": content_type})
    line = {
        "name": name,
        "status": answer.status,
        "code": answer.json.get("code", ""),
        "detail": str(answer.json.get("detail")),
        "seconds": round(time.process_time() - began, 2),
        "mib": peak_mib(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

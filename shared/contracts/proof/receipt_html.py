"""A receipt as a page made to be printed: A4, no script, with the QR code of its digest."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import segno

from shared.domain.common.canonical import canonical_json

_STYLE = """
@page { size: A4; margin: 18mm }
body { font: 10pt/1.4 sans-serif; color: #111; max-width: 180mm; margin: 0 auto }
h1 { font-size: 16pt } h2 { font-size: 12pt; margin: 6mm 0 2mm }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 1mm 2mm; border-bottom: 1px solid #ccc }
th { font-weight: normal; color: #555; width: 45mm } td { overflow-wrap: anywhere }
section { break-inside: avoid } .code { display: flex; gap: 8mm; align-items: center }
.code svg { width: 38mm; height: 38mm } code { font-size: 8pt; overflow-wrap: anywhere }
"""
_PERSON = ("from", "to", "organizer")
_OF_CHARGE = (
    *("kind", "conference", "started_at", "answered_at", "ended_at", "talk_seconds"),
    *("billed_seconds", "status"),
)


def receipt_html(receipt: Mapping[str, Any]) -> str:
    """The page."""
    name = receipt.get("leg") or f"entry {receipt['items'][0]['entry']['sequence']}"
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>Receipt {escape(name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Receipt</h1>{_table(_about(receipt, name))}",
        *(_item(item, receipt["roots"]) for item in receipt["items"]),
        _corrections(receipt["corrections"]),
        _digest(receipt),
        "</body></html>",
    ]
    return "".join(parts)


def _about(receipt: Mapping[str, Any], name: str) -> Iterable[tuple[str, object]]:
    yield "Account", receipt["account"]
    yield "Leg" if "leg" in receipt else "Entry", name
    yield "Signed until", receipt["created_at"]


def _item(item: Mapping[str, Any], roots: list[Mapping[str, Any]]) -> str:
    entry, charge, root = item["entry"], item.get("charge", {}), roots[item["root"]]["root"]
    currency = root["currency"]
    lines: list[tuple[str, object]] = [
        ("Booked at", entry["at"]),
        ("Amount", f"{entry['amount']} {currency}"),
        ("Balance after", f"{entry['balance']} {currency}"),
        ("Reference", entry.get("reference")),
        ("Reason", entry.get("reason")),
    ]
    person = item.get("person", {})
    lines += [(_words(field), person.get(field)) for field in _PERSON]
    lines += [(_words(field), charge.get(field)) for field in _OF_CHARGE]
    if rate := item.get("rate"):
        where = f"{rate['card']}, version {rate['version']}, prefix {rate['prefix'] or 'any'}"
        lines += [("Rate", where), ("Destination", rate["destination"])]
    for line in charge.get("lines", ()):
        lines.append((_words(line["kind"]), _line(line)))
    is_interim = " (interim: the day is not closed)" if root["interim"] else ""
    lines += [
        ("Day", f"{root['day']}{is_interim}"),
        ("Signed at", f"{root['signed_at']} with key {root['key']}"),
    ]
    title = f"Entry {entry['sequence']}: {_words(entry['kind'])}"
    return f"<section><h2>{escape(title)}</h2>{_table(lines)}</section>"


def _line(line: Mapping[str, Any]) -> str:
    if "price" not in line:
        return str(line["amount"])
    return (
        f"{line['amount']}: {line['seconds']} s from second {line['from_second']}"
        f" at {line['price']} per {line['unit_seconds']} s"
    )


def _corrections(links: list[Mapping[str, Any]]) -> str:
    if not links:
        return ""
    lines = (
        (f"Entry {link['entry']}", f"{_words(link['kind'])} of entry {link['corrects']}")
        for link in links
    )
    return f"<section><h2>Corrections</h2>{_table(lines)}</section>"


def _digest(receipt: Mapping[str, Any]) -> str:
    digest, content = receipt["digest"], base64.b64encode(canonical_json(receipt)).decode()
    code = segno.make(f"perminute-receipt/1:{digest}", error="m", micro=False)
    svg = code.svg_inline(scale=1, omitsize=True, border=4)
    return (
        f'<section><h2>Proof</h2><div class="code">{svg}<p>Digest of the receipt:<br>'
        f'<code>{digest}</code><br><a download="receipt.json"'
        f' href="data:application/json;base64,{content}">The receipt as JSON</a> is checked with'
        " tools/verify_receipt.py, without the operator.</p></div></section>"
    )


def _table(lines: Iterable[tuple[str, object]]) -> str:
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in lines
        if value is not None
    )
    return f"<table>{''.join(rows)}</table>"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()

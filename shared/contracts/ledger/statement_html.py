"""A statement as a page made to be printed: A4, no script, English or French."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from shared.contracts.ledger.entries import total_body
from shared.domain.common.calendar import zone
from shared.domain.common.counts import french, french_amount
from shared.domain.common.money import format_amount
from shared.domain.ledger.model import Entry
from shared.domain.ledger.statements import PrintedStatement, Total, Totals, month_span
from shared.domain.legs.leg import encode_leg_key

STATEMENT_LINES_MAX = 500
"""Movements, and corrections, that a page lists; all of them are in the entries."""
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
_FRENCH = {
    "Statement": "Relevé",
    "Account": "Compte",
    "Period": "Période",
    "to": "au",
    "Time zone": "Fuseau horaire",
    "Currency": "Devise",
    "Prepared at": "Établi le",
    "Summary": "Résumé",
    "Opening balance": "Solde initial",
    "Closing balance": "Solde final",
    "Entries": "Écritures",
    "Credits and adjustments": "Crédits et ajustements",
    "Usage": "Consommation",
    "Usage by kind": "Consommation par type",
    "Usage by destination": "Consommation par destination",
    "Usage by organizer": "Consommation par organisateur",
    "Usage by cost center": "Consommation par centre de coûts",
    "Corrections": "Corrections",
    "Lots": "Lots",
    "Lots as of the preparation of this page.": "Lots à la date d'établissement de ce relevé.",
    "Parked legs": "Appels en attente",
    "Open parked legs received in this month; they are in no sum.": (
        "Appels reçus ce mois-ci et mis en attente ; ils ne sont compris dans aucun total."
    ),
    "Proof": "Preuve",
    "Last commit": "Dernier enregistrement",
    "Chain head": "Tête de la chaîne",
    "Time": "Date et heure",
    "Entry": "Écriture",
    "Kind": "Type",
    "Reference": "Référence",
    "Amount": "Montant",
    "Balance": "Solde",
    "Name": "Nom",
    "Legs": "Appels",
    "Paid time": "Durée payante",
    "Included time": "Durée incluse",
    "Leg": "Appel",
    "Reason": "Motif",
    "Lot": "Lot",
    "Remaining": "Reste",
    "Bought": "Acheté le",
    "Expires": "Expire le",
    "Total": "Total",
    "None.": "Néant.",
    "more; the list of entries has all of them.": (
        "autres ; la liste des écritures les contient toutes."
    ),
    "top_up": "recharge",
    "grant": "crédit accordé",
    "debit": "débit",
    "reversal": "annulation",
    "adjustment": "ajustement",
    "expiry": "expiration",
    "purchased": "acheté",
    "granted": "accordé",
    "dial_in": "appel entrant",
    "dial_out": "appel sortant",
    "unanswered": "sans réponse",
    "included": "inclus",
    "free_rate": "gratuit",
    "zero_duration": "durée nulle",
    "unknown": "inconnu",
}
_ENGLISH = {
    "top_up": "top-up",
    "dial_in": "dial-in",
    "dial_out": "dial-out",
    "free_rate": "free rate",
    "zero_duration": "zero duration",
}
_STYLE = """
@page { size: A4; margin: 18mm 15mm; }
body { font: 10pt/1.4 "Helvetica Neue", Arial, sans-serif; color: #111; margin: 0 auto;
  max-width: 180mm; }
h1 { font-size: 17pt; margin: 0 0 4mm; } h2 { font-size: 12pt; margin: 7mm 0 2mm; }
table { border-collapse: collapse; width: 100%; } thead { display: table-header-group; }
tr { break-inside: avoid; } h2 { break-after: avoid; }
th, td { border-bottom: 0.2mm solid #bbb; padding: 1mm 1.5mm; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; border-bottom: 0.4mm solid #111; }
.n { text-align: right; white-space: nowrap; overflow-wrap: normal;
  font-variant-numeric: tabular-nums; }
tfoot td { font-weight: 600; } code { font-size: 8pt; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: 40mm 1fr; margin: 0; } dd { margin: 0; }
"""


class _Page:
    """The words and the formats of a language, a zone and a currency."""

    def __init__(self, language: str, time_zone: str, currency: str) -> None:
        self._french = language == "fr"
        self._zone = zone(time_zone)
        self._currency = currency
        self.months = _MONTHS["fr" if self._french else "en"].split()

    def word(self, text: str) -> str:
        """A text of the page in its language, escaped."""
        words = _FRENCH if self._french else _ENGLISH
        word = words.get(text, text)
        return escape(french(word) if self._french else word, quote=False)

    def money(self, micros: int) -> str:
        text = format_amount(micros)
        amount = french_amount(text) if self._french else text.replace("-", "\N{MINUS SIGN}")
        return f"{amount}\N{NO-BREAK SPACE}{escape(self._currency)}"

    def time(self, moment: datetime) -> str:
        local = moment.astimezone(self._zone)
        return local.strftime("%d/%m/%Y %H:%M" if self._french else "%Y-%m-%d %H:%M")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        numeric: frozenset[int],
        total: Sequence[str] | None = None,
    ) -> str:
        """A table of escaped cells; the columns in `numeric` are aligned to the right."""

        def line(cells: Sequence[str], tag: str) -> str:
            marks = (' class="n"' if at in numeric else "" for at in range(len(cells)))
            parts = (
                f"<{tag}{mark}>{cell}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
            )
            return f"<tr>{''.join(parts)}</tr>"

        body = "\n".join(line(row, "td") for row in rows)
        if not body:
            return f"<p>{self.word('None.')}</p>"
        head = line([self.word(column) for column in columns], "th")
        foot = f"<tfoot>{line(total, 'td')}</tfoot>" if total else ""
        return f"<table><thead>{head}</thead><tbody>\n{body}\n</tbody>{foot}</table>"


def statement_html(printed: PrintedStatement, language: str) -> str:
    """The page of a month; everything that others chose is escaped."""
    statement, closed = printed.closed.statement, printed.closed
    page = _Page(language, closed.time_zone, printed.currency)
    start, end = month_span(statement.month, closed.time_zone)
    year, number = statement.month.split("-")
    title = f"{page.word('Statement')} {page.months[int(number) - 1]} {year}"
    facts = {
        "Account": f"{escape(printed.name)} ({escape(printed.account)})",
        "Period": f"{page.time(start)} {page.word('to')} {page.time(end)}",
        "Time zone": escape(closed.time_zone),
        "Currency": escape(printed.currency),
        "Prepared at": page.time(printed.now),
    }
    proof = {
        "Last commit": str(closed.last),
        "Chain head": f"<code>{escape(closed.head)}</code>",
    }
    sections = [
        f"<h1>{title}</h1>",
        _facts(page, facts),
        _heading(page, "Summary"),
        _summary(page, printed),
        _heading(page, "Credits and adjustments"),
        _movements(page, printed.movements),
        *(
            part
            for heading, totals, ours in (
                ("Usage by kind", statement.by_leg_kind, True),
                ("Usage by destination", statement.by_destination, True),
                ("Usage by organizer", statement.by_organizer, False),
                ("Usage by cost center", statement.by_cost_center, False),
            )
            for part in (
                _heading(page, heading),
                _grouping(page, totals, statement.charges, ours=ours),
            )
        ),
        _heading(page, "Corrections"),
        _corrections(page, printed.corrections),
        _heading(page, "Lots"),
        _lots(page, printed),
        f"<p>{page.word('Lots as of the preparation of this page.')}</p>",
        _heading(page, "Parked legs"),
        _parked(page, printed.open_parked),
        _heading(page, "Proof"),
        _facts(page, proof),
    ]
    body = "\n".join(sections)
    code = "fr" if language == "fr" else "en"
    return (
        f'<!doctype html>\n<html lang="{code}"><head><meta charset="utf-8">'
        f"<title>{title} · {escape(printed.account)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _heading(page: _Page, text: str) -> str:
    return f"<h2>{page.word(text)}</h2>"


def _facts(page: _Page, facts: dict[str, str]) -> str:
    lines = "".join(f"<dt>{page.word(name)}</dt><dd>{text}</dd>" for name, text in facts.items())
    return f"<dl>{lines}</dl>"


def _parked(page: _Page, count: int) -> str:
    text = page.word("Open parked legs received in this month; they are in no sum.")
    return f"<p>{count} · {text}</p>"


def _summary(page: _Page, printed: PrintedStatement) -> str:
    statement = printed.closed.statement
    rows = [[page.word("Opening balance"), "", page.money(statement.opening_micros)]]
    rows += [
        [page.word(name), str(total.count), page.money(total.amount_micros)]
        for name, total in sorted(statement.by_kind.items())
    ]
    closing = [page.word("Closing balance"), "", page.money(statement.closing_micros)]
    return page.table(("Kind", "Entries", "Amount"), rows, frozenset({1, 2}), closing)


def _movements(page: _Page, entries: Sequence[Entry]) -> str:
    rows = (
        [
            page.time(entry.at),
            str(entry.sequence),
            page.word(entry.kind.value),
            escape(entry.reference or entry.reason or ""),
            page.money(entry.amount_micros),
            page.money(entry.balance_micros),
        ]
        for entry in entries[:STATEMENT_LINES_MAX]
    )
    columns = ("Time", "Entry", "Kind", "Reference", "Amount", "Balance")
    return page.table(columns, rows, frozenset({1, 4, 5})) + _more(page, entries)


def _corrections(page: _Page, entries: Sequence[Entry]) -> str:
    rows = (
        [
            page.time(entry.at),
            str(entry.sequence),
            page.word(entry.kind.value),
            escape(encode_leg_key(entry.leg)) if entry.leg else "",
            escape(entry.reason or ""),
            page.money(entry.amount_micros),
        ]
        for entry in entries[:STATEMENT_LINES_MAX]
    )
    columns = ("Time", "Entry", "Kind", "Leg", "Reason", "Amount")
    return page.table(columns, rows, frozenset({1, 5})) + _more(page, entries)


def _more(page: _Page, entries: Sequence[Entry]) -> str:
    left = len(entries) - STATEMENT_LINES_MAX
    if left <= 0:
        return ""
    return f"<p>{left} {page.word('more; the list of entries has all of them.')}</p>"


def _grouping(page: _Page, totals: Totals, charges: Total, *, ours: bool) -> str:
    """A table of sums by name; names of kinds and destinations may be `ours`."""

    def cells(name: str, total: Total) -> list[str]:
        return [
            name,
            str(total.count),
            _duration(total.seconds),
            _duration(total.pool_seconds),
            page.money(total.amount_micros),
        ]

    rows = (
        cells(page.word(name) if ours else escape(name or "–"), total)
        for name, total in sorted(totals.items(), key=lambda item: -item[1].amount_micros)
        if total != Total()
    )
    columns = ("Name", "Legs", "Paid time", "Included time", "Amount")
    return page.table(columns, rows, frozenset({1, 2, 3, 4}), cells(page.word("Total"), charges))


def _lots(page: _Page, printed: PrintedStatement) -> str:
    rows = (
        [
            escape(lot.id),
            page.word(lot.kind.value),
            page.time(lot.purchased_at),
            page.time(lot.expires_at) if lot.expires_at else "",
            page.money(lot.amount_micros),
            page.money(lot.remaining_micros),
        ]
        for lot in printed.lots
    )
    columns = ("Lot", "Kind", "Bought", "Expires", "Amount", "Remaining")
    return page.table(columns, rows, frozenset({4, 5}))


def _duration(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "\N{MINUS SIGN}" if seconds < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{rest:02}"


STATEMENT_COLUMNS = ("section", "name", "count", "amount", "billed_seconds", "pool_seconds")


def statement_rows(printed: PrintedStatement) -> Iterator[dict[str, object]]:
    """The same sums as rows of CSV, a section after the other."""
    statement = printed.closed.statement
    yield {"section": "opening", "amount": format_amount(statement.opening_micros)}
    for name, total in sorted(statement.by_kind.items()):
        amount = format_amount(total.amount_micros)
        yield {"section": "by_kind", "name": name, "count": total.count, "amount": amount}
    yield {"section": "closing", "amount": format_amount(statement.closing_micros)}
    yield {"section": "charges", **total_body(statement.charges)}
    for grouping, totals in statement.groupings.items():
        for name, total in sorted(totals.items()):
            if total != Total():
                yield {"section": grouping, "name": name, **total_body(total)}
    yield {"section": "parked", "name": "open", "count": printed.open_parked}

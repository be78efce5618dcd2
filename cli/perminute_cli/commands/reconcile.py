"""`perminute reconcile`: the account's legs against a carrier's invoice."""

import csv
from pathlib import Path
from typing import Any

import click

from perminute_cli import api
from perminute_cli.app import App, command, without_mark
from perminute_cli.commands.prices import form
from perminute_cli.failures import Failure
from perminute_cli.terminal import Column, counted, money_column, progress, text_column

PRESETS = ("teams-pstn", "twilio-calls", "perminute")
COLUMNS = (
    Column("Difference", "what", 1),
    text_column("Leg", "leg", 2),
    Column("Number", "number", 3),
    text_column("Fields", "fields", 2),
    money_column("Theirs", "theirs", 1),
    money_column("Ours", "ours", 1),
)


def register(root: click.Group) -> None:
    """Add the command."""

    @command(
        root,
        "reconcile",
        account=True,
        span=True,
        csv=True,
        examples="""perminute reconcile PSTN.calls.csv --mapping teams-pstn --month 2026-11
        perminute reconcile invoice.csv --mapping columns.json --account contoso --csv""",
    )
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option(
        "--mapping",
        required=True,
        help=f"{', '.join(PRESETS)}, or a JSON file that names the columns.",
    )
    def reconcile(app: App, file: Path, mapping: str) -> None:
        """Compare the legs of a period with a carrier's invoice or a usage report.

        Exit status 1: something differs.
        """
        if mapping not in PRESETS:
            try:
                text = without_mark(Path(mapping).read_bytes())
            except OSError:
                known = ", ".join(PRESETS)
                raise click.BadParameter(
                    f"{mapping} is neither a file nor one of {known}."
                ) from None
        else:
            text = mapping.encode()
        body, kind = form(
            {"mapping": ("text/plain", text), "file": ("text/csv", file.read_bytes())}
        )
        call = api.post_reconciliation(app.account, body, **app.span(), content_type=kind)
        if app.is_csv:
            with progress("Comparing"):
                content = b"".join(app.client.chunks(call, "text/csv"))
            app.bytes(iter([content]))
            _judge(len(list(csv.reader(content.decode("utf-8", "replace").splitlines(True)))) - 1)
            return
        found: Any = app.fetch(call, "Comparing")
        rows = _rows(found)
        if app.is_json:
            app.json(found)
        else:
            sums, currency = found["sums"], found["currency"]
            app.fields(
                [
                    ("Matched", f"{found['matched']:,}"),
                    ("Theirs", f"{sums['theirs']} {currency}"),
                    ("Ours", f"{sums['ours']} {currency}"),
                    ("Difference", f"{sums['difference']} {currency}"),
                    ("Outside", found.get("outside")),
                ]
            )
            app.text("")
            app.table(rows, COLUMNS, "Nothing differs.")
        _judge(len(rows))


def _judge(count: int) -> None:
    """Raises Failure where calls differ."""
    if count > 0:
        raise Failure(
            f"{counted(count, 'call differs', 'calls differ')}.",
            "--csv has every field; docs/reconciliation.md.",
        )


def _rows(found: Any) -> list[dict[str, Any]]:
    rows = []
    for each in found["different"]:
        theirs, ours = each["theirs"], each["ours"]
        rows.append(
            {
                "what": "differs",
                "leg": ours.get("leg"),
                "number": theirs.get("to"),
                "fields": ", ".join(each.get("fields", [])),
                "theirs": theirs.get("amount"),
                "ours": ours.get("amount"),
            }
        )
    for each in found["missing_here"]:
        what = "duplicate" if each.get("duplicate_of") else "missing here"
        rows.append(
            {
                "what": what,
                "leg": each.get("id"),
                "number": each.get("to"),
                "theirs": each.get("amount"),
            }
        )
    return rows + [
        {
            "what": "missing there",
            "leg": each.get("leg"),
            "number": each.get("to"),
            "ours": each.get("amount"),
        }
        for each in found["missing_there"]
    ]

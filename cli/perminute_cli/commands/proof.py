"""`perminute verify`, `receipt` and `export`: whether the books add up, and proof of it."""

import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import click

import perminute_cli
from perminute_cli import api
from perminute_cli.app import App, command, note
from perminute_cli.failures import Failure
from perminute_cli.terminal import is_terminal, safe

_PACKAGE = Path(perminute_cli.__file__).resolve().parent
_PLACES = (_PACKAGE / "verifiers", _PACKAGE.parents[1] / "tools")
"""The folders of the verifiers: in a wheel, and in the repository."""
_GZIP = b"\x1f\x8b"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


def register(root: click.Group) -> None:
    """Add the commands."""

    @command(
        root,
        "verify",
        account=True,
        examples="""perminute verify --account contoso
        perminute verify --receipts leg-1.json leg-2.json --keys keys.json
        perminute verify contoso-2026-11.jsonl.gz --keys keys.json
        perminute verify --save-keys keys.json""",
    )
    @click.argument("files", nargs=-1, type=_FILE)
    @click.option("--receipts", is_flag=True, help="Verify FILES, receipts or month files.")
    @click.option("--keys", type=_FILE, help="The public keys, as they were kept beforehand.")
    @click.option("--save-keys", type=_OUT, help="Keep the server's public keys in a file.")
    @click.option("--anchors", is_flag=True, help="Against the anchored heads, too.")
    def verify(app: App, files: tuple[Path, ...], **more: Any) -> None:
        """Recompute an account's ledger; or verify receipts and month files without the server.

        FILES are verified by their signatures and by rating each leg again. Exit status 1:
        something is wrong, which a sentence names.
        """
        if more["save_keys"]:
            app.output = more["save_keys"]
            app.bytes(app.client.chunks(api.list_proof_keys(), "application/json"))
        elif files or more["receipts"]:
            _verify_files(app, files, more["keys"])
        else:
            _verify_ledger(app, anchors=more["anchors"])

    @command(
        root,
        "receipt",
        account=True,
        examples="""perminute receipt studio~9f2c-1 --account contoso --output leg-1.json
        perminute receipt studio~9f2c-1 --interim --html --output leg-1.html""",
    )
    @click.argument("leg")
    @click.option("--interim", is_flag=True, help="Before its day is closed: of the present head.")
    @click.option("--html", is_flag=True, help="A page to print.")
    def receipt(app: App, leg: str, interim: bool, html: bool) -> None:
        """The receipt of a leg, which proves its charge to somebody without access here."""
        kind = "html" if html else None
        call = api.get_leg_receipt(app.account, leg, interim=interim or None, format=kind)
        app.csv(call, "text/html" if html else "application/json")

    @command(
        root,
        "export",
        account=True,
        json=False,
        examples="""perminute export --month 2026-11 --account contoso
        perminute export --month 2026-11 --interim --persons --output november.jsonl.gz""",
    )
    @click.option("--month", metavar="YYYY-MM", help="The present month without it.")
    @click.option("--interim", is_flag=True, help="Of a month that is not over.")
    @click.option("--persons", is_flag=True, help="With numbers and organizers (role finance).")
    @click.option("--output", "out", type=_OUT, help="ACCOUNT-MONTH.jsonl.gz without it.")
    def export(app: App, month: str | None, interim: bool, persons: bool, out: Path | None) -> None:
        """All that verifies a month, as one file: entries, charges, rates, signed roots."""
        month = month or f"{datetime.now().astimezone():%Y-%m}"
        call = api.get_month_file(
            app.account, month, interim=interim or None, persons=persons or None
        )
        is_piped = out is None and not is_terminal(sys.stdout)
        app.output = None if is_piped else out or Path(f"{app.account}-{month}.jsonl.gz")
        app.csv(call, "application/gzip")


def _verify_ledger(app: App, *, anchors: bool) -> None:
    call = api.verify_ledger(app.account, anchors=anchors or None)
    found: Any = app.fetch(call, "Recomputing the ledger")
    if app.is_json:
        app.json(found)
    else:
        names = ("commits", "entries", "legs", "balance", "head")
        facts = [(name.capitalize(), found.get(name)) for name in names]
        app.fields([("Account", app.account), *facts])
    if not found["ok"]:
        problems = "; ".join(map(str, found.get("problems", [])[:3]))
        raise Failure(
            f"The ledger of {app.account} does not add up: {problems}.",
            "See docs/operations.md: nothing is booked until it is restored.",
        )
    if not app.is_json:
        app.say("The ledger adds up.")


def _verify_files(app: App, files: tuple[Path, ...], keys: Path | None) -> None:
    if not files:
        raise click.UsageError("No file is named.")
    with tempfile.TemporaryDirectory() as folder:
        if keys is None:
            keys = Path(folder) / "keys.json"
            keys.write_bytes(b"".join(app.client.chunks(api.list_proof_keys(), "application/json")))
            note(
                "The keys are the server's own answer: a proof needs keys kept beforehand (--keys)."
            )
        months = [each for each in files if _is_gzip(each)]
        receipts = [each for each in files if each not in months]
        runs = [("verify_month.py", [each]) for each in months]
        if receipts:
            runs.append(("verify_receipt.py", receipts))
        for script, named in runs:
            _run(app, script, named, keys)


def _run(app: App, script: str, files: list[Path], keys: Path) -> None:
    place = next(each for each in _PLACES if each.is_dir())
    command_line = [sys.executable, str(place / script), *map(str, files), "--keys", str(keys)]
    ran = subprocess.run(command_line, capture_output=True, text=True, check=False)  # noqa: S603
    for line in ran.stdout.splitlines():
        app.text(safe(line))
    if ran.returncode != 0:
        raise Failure(
            ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "It can't be verified.",
            "Don't rely on the file; docs/proof.md says what each kind means.",
        )


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP

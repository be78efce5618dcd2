"""`perminute verify`, `receipt` and `export`: whether the books add up, and proof of it."""

import gzip
import json
import subprocess
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

import perminute_cli
from perminute_cli import api
from perminute_cli.app import App, command, note
from perminute_cli.failures import Failure, Problem
from perminute_cli.terminal import is_terminal, progress, safe

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
    @click.option(
        "--receipts", is_flag=True, help="Also compare FILES with the present ledger on the server."
    )
    @click.option(
        "--keys", type=_FILE, help="The file with the public keys that you stored before."
    )
    @click.option(
        "--save-keys", type=_OUT, help="The file to which the server's public keys are written."
    )
    @click.option("--anchors", is_flag=True, help="Also compare with the anchored heads.")
    def verify(app: App, files: tuple[Path, ...], **more: Any) -> None:
        """Recompute an account's ledger; or verify receipts and month files.

        FILES are verified without the server: their signatures, each leg rated again, and
        whether they agree with each other. With --receipts the server's present roots and
        entries are verified and compared with them. Exit status 1: something is wrong, which a
        sentence names.
        """
        if more["save_keys"]:
            app.output = more["save_keys"]
            app.bytes(app.client.chunks(api.list_proof_keys(), "application/json"))
        elif files or more["receipts"]:
            _verify_files(app, files, more["keys"], present=more["receipts"])
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
    @click.option(
        "--interim",
        is_flag=True,
        help="A receipt under the present head, before the day is closed.",
    )
    @click.option("--html", is_flag=True, help="An HTML page to print.")
    def receipt(app: App, leg: str, interim: bool, html: bool) -> None:
        """The receipt of a leg, which proves its charge to a person without access here."""
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
    @click.option("--month", metavar="YYYY-MM", help="The month; by default the present one.")
    @click.option("--interim", is_flag=True, help="Also export a month that is not over.")
    @click.option(
        "--persons", is_flag=True, help="Include numbers and organizers (needs the role finance)."
    )
    @click.option("--output", "out", type=_OUT, help="The file; by default ACCOUNT-MONTH.jsonl.gz.")
    def export(app: App, month: str | None, interim: bool, persons: bool, out: Path | None) -> None:
        """One file that verifies a month: entries, charges, rates, signed roots."""
        month = month or app.present_month()
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


def _verify_files(app: App, files: tuple[Path, ...], keys: Path | None, *, present: bool) -> None:
    if not files:
        raise click.UsageError("No file is named.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if keys is None:
            keys = folder / "keys.json"
            keys.write_bytes(b"".join(app.client.chunks(api.list_proof_keys(), "application/json")))
            note(
                "The keys are the server's own answer: a proof needs keys that you stored before "
                "(--keys)."
            )
        with progress("Reading the files"):
            claims = _claims(files) if present else None
        answers = _present(app, claims, folder) if claims else []
        _run(app, [*files, *answers], keys, folder)
        if present:
            app.say("The files agree with the present ledger.")


def _run(app: App, files: list[Path], keys: Path, folder: Path) -> None:
    """Run the verifier; names of files in the folder of the server's answers are shown without the
    folder."""
    script = next(each for each in _PLACES if each.is_dir()) / "verify_receipt.py"
    command_line = [sys.executable, str(script), *map(str, files), "--keys", str(keys)]
    with progress("Verifying"):
        ran = subprocess.run(command_line, capture_output=True, text=True, check=False)  # noqa: S603
    out, err = (text.replace(f"{folder}/", "") for text in (ran.stdout, ran.stderr))
    for line in out.splitlines():
        app.text(safe(line))
    if ran.returncode != 0:
        raise Failure(
            err.strip().splitlines()[-1] if err.strip() else "The files can't be verified.",
            "Don't rely on the files; docs/proof.md names each kind of fault.",
        )


@dataclass
class _Claims:
    """Claims of files: closed days by account and month, and entries that only an interim root
    proves."""

    days: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    entries: set[tuple[str, int]] = field(default_factory=set)

    def add(self, root: Any, *entries: int) -> None:
        """Take a root, and the entries that it proves. Raises TypeError for other types."""
        texts, numbers = (root["account"], root["day"]), {type(entry) for entry in entries}
        if not (all(isinstance(each, str) for each in texts) and numbers <= {int}):
            raise TypeError("the root has members of other types")
        if root["interim"]:
            self.entries |= {(root["account"], entry) for entry in entries}
        else:
            self.days[root["account"], root["day"][:7]].add(root["day"])


def _claims(files: tuple[Path, ...]) -> _Claims:
    """The claims of files; the verifier refuses a file that can't be read."""
    found = _Claims()
    for path in files:
        try:
            for root, entries in _roots(path):
                found.add(root, *entries)
        except (AttributeError, LookupError, OSError, TypeError, ValueError, EOFError, zlib.error):
            continue
    return found


def _roots(path: Path) -> Iterator[tuple[Any, list[int]]]:
    """The roots in a file, with the numbers of entries that each of them proves."""
    with path.open("rb") as file:
        is_month = file.read(2) == _GZIP
    if is_month:
        with gzip.open(path) as lines:
            for line in lines:
                if line.endswith((b',"type":"root"}\n', b',"type":"checkpoint"}\n')):
                    root = json.loads(line)["root"]
                    last = root["last_entry"]
                    yield root, [last] if last >= root["first_entry"] else []
        return
    document = json.loads(path.read_bytes())
    for number, signed in enumerate(document.get("roots", document["items"])):
        items = document["items"] if "roots" in document else []
        yield (
            signed["root"],
            [item["entry"]["sequence"] for item in items if item["root"] == number],
        )


def _present(app: App, claims: _Claims, folder: Path) -> list[Path]:
    """The server's answers about all that the files claim: roots of days, receipts of entries."""
    answers = []
    for (account, _), days in claims.days.items():
        call = api.list_proofs(account, from_=min(days), to=max(days))
        answer: Any = app.fetch(call, "Reading the present roots")
        missing = sorted(days - {each["root"]["day"] for each in answer["items"]})
        if missing:
            raise _gone(f"{account}, {missing[0]}: the present ledger has no root of this day")
        answers.append(answer)
    for account, entry in sorted(claims.entries):
        call = api.get_entry_receipt(account, str(entry), interim=True, persons="false")
        try:
            answers.append(app.fetch(call, "Reading the present entries"))
        except Problem as problem:
            if problem.code != "entry_unknown":
                raise
            raise _gone(f"{account}, entry {entry}: the present ledger has none") from problem
    paths = [folder / f"present-{number}.json" for number in range(1, len(answers) + 1)]
    for path, answer in zip(paths, answers, strict=True):
        path.write_text(json.dumps(answer, ensure_ascii=False), "utf-8")
    return paths


def _gone(what: str) -> Failure:
    return Failure(
        f"roots: {what}.", "The operator showed two different books: keep the files as evidence."
    )

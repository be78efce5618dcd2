"""Parts that commands share: options, the client, output, confirmation, groups with a default."""

import codecs
import functools
import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perminute_cli import api
from perminute_cli.calls import Call, Listing
from perminute_cli.client import PAGE_ITEMS, Client
from perminute_cli.connection import Connection, find
from perminute_cli.failures import ANSWER_IS_NO, DECIDED, USAGE, Failure, NoAnswer, Problem
from perminute_cli.pending import PendingKey, pending_key
from perminute_cli.terminal import (
    Column,
    counted,
    fields_text,
    fold,
    is_terminal,
    progress,
    safe,
    safe_json,
    table,
    width,
    zone_of,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

ROWS_SHOWN = 100
MAKE_CLIENT: Callable[[Connection], Client] = lambda made: Client(made.base_url, made.key)  # noqa: E731
"""Replaced by tests."""


@dataclass
class App:
    """One run of one command: its common options, and what it may use."""

    url: str | None = None
    key: str | None = None
    is_json: bool = False
    is_csv: bool = False
    output: Path | None = None
    yes: bool = False
    account_option: str | None = None
    month: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None
    all_rows: bool = False

    @cached_property
    def connection(self) -> Connection:
        """The server and its key."""
        return find(self.url, self.key)

    @cached_property
    def client(self) -> Client:
        """The client of the server."""
        return MAKE_CLIENT(self.connection)

    @property
    def stated_account(self) -> str | None:
        """The account of --account or PERMINUTE_ACCOUNT, None without one."""
        return self.account_option or os.environ.get("PERMINUTE_ACCOUNT") or None

    @cached_property
    def account(self) -> str:
        """The account: as stated, else the only one. Raises Failure where there are several."""
        if self.stated_account:
            return self.stated_account
        found: list[str] = [each["id"] for each in self.search(api.list_accounts(), 6)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise Failure(
                "There is no account that this key may see.",
                "Create one: `perminute accounts create`.",
            )
        some = ", ".join(map(safe, found[:5])) + (", …" if len(found) > 5 else "")
        raise Failure(
            f"There are several accounts: {some}.",
            "Add --account, or set PERMINUTE_ACCOUNT.",
            USAGE,
        )

    @property
    def account_or_none(self) -> str | None:
        """The account as stated, else the only one, else None."""
        try:
            return self.account
        except Failure:
            return None

    def span(self) -> dict[str, Any]:
        """The query parameters of the period."""
        if self.month and (self.since or self.until):
            raise click.UsageError("--month can't be combined with --since and --until.")
        return {"month": self.month, "from_": self.since, "to": self.until}

    def present_month(self) -> str:
        """The present month in the time zone of the account."""
        account: Any = self.fetch(api.get_account(self.account))
        return f"{datetime.now(UTC).astimezone(zone_of(account.get('time_zone'))):%Y-%m}"

    # What is read

    def fetch(self, call: Call[Any], about: str = "Waiting for the server") -> Any:
        """The answer to a call, with progress."""
        with progress(about):
            return self.client.json(call)

    def answer(self, call: Call[Any]) -> tuple[Any, Mapping[str, str]]:
        """The answer to a call, with its header fields."""
        with progress("Waiting for the server"):
            return self.client.answer(call)

    def search(self, call: Listing[Any], limit: int | None = None) -> list[Any]:
        """The items of a list, with progress."""
        with progress("Reading") as report:
            found: list[Any] = []
            for item in self.client.items(call, limit):
                found.append(item)
                report(counted(len(found), "row"))
            return found

    @contextmanager
    def once(self, call: Call[Any], content: object) -> Iterator[PendingKey]:
        """Around the requests of a command that makes what `call` names, from `content`: where the
        answer is lost, the same command knows that it runs again."""
        digest = hashlib.sha256(repr((call.query, content)).encode()).hexdigest()
        address = f"{call.method} {call.path}"
        with pending_key(self.connection.base_url, address, digest, None) as pending:
            try:
                yield pending
            except (NoAnswer, KeyboardInterrupt):
                raise
            except Exception as error:
                is_decided = isinstance(error, Problem) and error.status in DECIDED
                if is_decided or not pending.is_repeated:
                    pending.settle()
                raise
            pending.settle()

    def make(
        self, pending: PendingKey, call: Call[Any], found: Call[Any], about: str = "Storing"
    ) -> Any:
        """The answer to a call that makes something; that of `found` where an earlier run of the
        command made it, whose answer was lost."""
        try:
            return self.fetch(call, about)
        except Problem as problem:
            if not (pending.is_repeated and problem.code == "if_match_missing"):
                raise
            note("An earlier run of this command got no answer, but was carried out.")
            return self.fetch(found)

    def rows(self, call: Listing[Any]) -> tuple[list[Any], bool]:
        """(items of a list as far as they are shown, whether there are more)."""
        everything = self.all_rows or (self.is_json and self.limit is None)
        limit = None if everything else self.limit or ROWS_SHOWN
        found: list[Any] = []
        with progress("Reading") as report:
            items = self.client.items(call, None if limit is None else limit + 1)
            for item in items:
                found.append(item)
                report(counted(len(found), "row"))
        if limit is None or len(found) <= limit:
            return found, False
        return found[:limit], True

    # What is written

    def show_list(self, call: Listing[Any], columns: Sequence[Column], empty: str) -> None:
        """Print a list as a table, as JSON, or as the server's CSV."""
        if self.is_csv:
            self.csv(call)
            return
        rows, more = self.rows(call)
        if self.is_json:
            self.json({"items": rows})
            return
        self.table(rows, columns, empty)
        self.more(len(rows), more)

    def more(self, count: int, more: bool) -> None:
        """Note that a table does not have all rows."""
        if more:
            note(f"The first {counted(count, 'row')}: --all shows all of them, --limit N so many.")

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[Column],
        empty: str,
        total: Mapping[str, Any] | None = None,
    ) -> None:
        """Print a table, or a sentence where it has no rows."""
        if not rows:
            self.say(empty)
            return
        text, left_out = table(rows, columns, total)
        self.text(text)
        if left_out:
            note(f"No room for: {', '.join(left_out)}. A wider terminal, --json or --csv has all.")

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print names and values; empty ones are left out."""
        shown = [(name, "" if value is None else safe(value)) for name, value in pairs]
        self.text(fields_text(shown))

    def json(self, document: object) -> None:
        """Print JSON."""
        self.text(safe_json(document))

    def csv(self, call: Call[Any], accept: str = "text/csv") -> None:
        """Print, or write to --output, the bytes that the server answers."""
        query = {name: each for name, each in call.query.items() if name != "limit"}
        is_cut = self.limit is not None and self.limit > PAGE_ITEMS  # the server makes no such page
        if self.limit is not None and not is_cut:
            query["limit"] = str(self.limit)
        chunks = self.client.chunks(replace(call, query=query), accept)
        self.bytes(first_records(chunks, 1 + (self.limit or 0)) if is_cut else chunks)

    def bytes(self, chunks: Iterator[bytes]) -> None:
        """Print or write bytes as they come; on a terminal controls are written out."""
        if self.output is not None:
            _write(self.output, _counted(chunks))
            note(f"Written: {safe(self.output)}")
            return
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a chunk ends anywhere
        for chunk in _counted(chunks):
            if is_terminal(sys.stdout):
                lines = decoder.decode(chunk).replace("\r", "").split("\n")
                sys.stdout.write("\n".join(map(safe, lines)))
            else:
                sys.stdout.flush()
                sys.stdout.buffer.write(chunk)
        sys.stdout.flush()

    def say(self, sentence: str) -> None:
        """Print a sentence in lines that fit."""
        available = width()
        self.text("\n".join(fold(safe(sentence), available)) if available else safe(sentence))

    def text(self, text: str) -> None:
        """Print a text; with --output it is written when the command ends."""
        print(text)

    @contextmanager
    def printed(self) -> Iterator[None]:
        """Around a command: with --output, the texts that it prints go to the file, as to no
        terminal, also where the answer is no."""
        if self.output is None:
            yield
            return
        path, texts = self.output, io.StringIO()
        try:
            with redirect_stdout(texts):
                yield
        except Failure:
            _write_texts(path, texts.getvalue())
            raise
        _write_texts(path, texts.getvalue())

    def confirm(self, *changes: str) -> None:
        """Show the changes and request a yes, unless --yes. Raises Failure."""
        for line in changes:
            note(safe(line))
        if self.yes:
            return
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            raise Failure(
                "The command changes data, and no terminal can confirm that.", "Add --yes.", USAGE
            )
        note("Go on? [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise Failure("Nothing was changed.", "Confirm with y, or add --yes.", ANSWER_IS_NO)


def _write_texts(path: Path, text: str) -> None:
    if text:
        _write(path, iter([text.encode(errors="replace")]))
        note(f"Written: {safe(path)}")


def _counted(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, with progress while they come."""
    size = 0
    with progress("Receiving") as report:
        for chunk in chunks:
            size += len(chunk)
            report(f"{size / 1e6:,.1f} MB")
            yield chunk


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    """Write a file by rename, so that it is whole or absent; a device or a pipe as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(chunks)
        return
    path = path.resolve()  # a link stays one
    draft = path.parent / f".{path.name}.{os.getpid()}"
    try:
        with draft.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        draft.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        draft.unlink(missing_ok=True)


def first_records(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The first records of CSV, the header among them; a quoted field may contain line ends."""
    is_quoted = False
    for chunk in chunks:
        for match in re.finditer(rb'["\n]', chunk):
            if match[0] == b'"':
                is_quoted = not is_quoted
            elif not is_quoted:
                most -= 1
                if most == 0:
                    yield chunk[: match.end()]
                    return
        yield chunk


def note(text: str, *, end: str = "\n") -> None:
    """A line for people, on standard error."""
    available = width()
    print(
        "\n".join(fold(text, available)) if available else text,
        file=sys.stderr,
        end=end,
        flush=True,
    )


def warn(text: str) -> None:
    """A line that must be seen."""
    note(f"Note: {text}")


class Group(click.Group):
    """A group; `default` is the command that runs where none is named."""

    default: str | None = None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        wants_help = bool(args) and args[0] in {"--help", "-h"}
        is_completed = ctx.resilient_parsing and not args  # by a shell: the name comes next
        if (
            self.default
            and not wants_help
            and not is_completed
            and (not args or args[0] not in self.commands)
        ):
            first = args[0] if args else ""
            if not first or first.startswith("-"):
                args = [self.default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The names of commands; or options, those of the default command, too."""
        found = super().shell_complete(ctx, incomplete)
        if self.default and incomplete.startswith("-"):
            own = self.commands[self.default]
            found += own.shell_complete(click.Context(own, parent=ctx), incomplete)
        return found


def group(parent: click.Group, name: str, about: str, default: str = "list") -> Group:
    """A group of commands."""
    made = Group(name, help=about, context_settings={"help_option_names": ["-h", "--help"]})
    made.default = default
    parent.add_command(made)
    return made


type Decorate = Callable[[Callable[..., None]], click.Command]


def command(
    parent: click.Group,
    name: str,
    *,
    examples: str,
    account: bool | str = False,
    span: bool = False,
    json: bool = True,
    csv: bool = False,
    rows: bool = False,
    writes: bool = False,
    server: bool = True,
    context: Mapping[str, Any] | None = None,
) -> Decorate:
    """A command with the common options that it takes; `examples` are lines of a shell. `account`:
    the help of --account where it is not the usual one. `server`:
    it takes --url and --key. `context`: settings of click."""

    def decorate(callback: Callable[..., None]) -> click.Command:
        own = list(reversed(getattr(callback, "__click_params__", [])))

        @functools.wraps(callback)
        def run(**values: Any) -> None:
            app = App(**{each: values.pop(each) for each in taken})
            if app.is_json and app.is_csv:
                raise click.UsageError("--json can't be combined with --csv.")
            if app.all_rows and app.limit is not None:
                raise click.UsageError("--all can't be combined with --limit.")
            with app.printed():
                callback(app, **values)

        options = _common(account=account, span=span, json=json, csv=csv, rows=rows, writes=writes)
        options += _server() if server else []
        taken = [each.name for each in options]
        lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
        made = click.Command(
            name,
            callback=run,
            params=[*own, *options],
            help=callback.__doc__,
            epilog=f"\b\nExamples:\n{lines}",
            context_settings={"help_option_names": ["-h", "--help"], **(context or {})},
        )
        parent.add_command(made)
        return made

    return decorate


def _common(
    *, account: bool | str, span: bool, json: bool, csv: bool, rows: bool, writes: bool
) -> list[click.Parameter]:
    options: list[click.Parameter] = []
    if account:
        usual = "The account; by default PERMINUTE_ACCOUNT, else the only account."
        about = account if isinstance(account, str) else usual
        options.append(click.Option(["--account", "account_option"], metavar="A", help=about))
    if span:
        options += [
            click.Option(
                ["--month"], metavar="YYYY-MM", help="A whole month in the account's time zone."
            ),
            click.Option(
                ["--since"], metavar="TIME", help="The begin of the period: a date or a time."
            ),
            click.Option(
                ["--until"],
                metavar="TIME",
                help="The end of the period, exclusive: a date or a time.",
            ),
        ]
    if rows:
        about = f"The number of rows; by default {ROWS_SHOWN} in a table."
        options += [
            click.Option(["--limit"], type=click.IntRange(1, 1_000_000), metavar="N", help=about),
            click.Option(["--all", "all_rows"], is_flag=True, help="All rows."),
        ]
    if json:
        options.append(
            click.Option(["--json", "is_json"], is_flag=True, help="Print the JSON of the API.")
        )
    if csv:
        options.append(
            click.Option(["--csv", "is_csv"], is_flag=True, help="Print all rows as CSV.")
        )
    if json or csv:
        kind = click.Path(dir_okay=False, path_type=Path)
        about = "Write to this file in place of printing."
        options.append(click.Option(["--output"], type=kind, metavar="FILE", help=about))
    if writes:
        options.append(click.Option(["--yes"], is_flag=True, help="Skip the confirmation."))
    return options


def _server() -> list[click.Parameter]:
    return [
        click.Option(
            ["--url"],
            metavar="URL",
            help="The server; by default PERMINUTE_URL, else that of the login.",
        ),
        click.Option(
            ["--key"],
            metavar="FILE",
            callback=_key_of,
            help="The file with the key, - for standard input; by default PERMINUTE_KEY, else "
            "the key of the login.",
        ),
    ]


def _key_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """The key that --key names: from a file or standard input. A key itself is taken, with a
    warning: others see the arguments of a process."""
    if value is None:
        return None
    if value == "-":
        return (sys.stdin.readline() if sys.stdin is not None else "").strip()
    if value.startswith("pm_") or (value.count(".") == 2 and value.startswith("ey")):
        warn(
            "Other users see a key in the arguments, and the shell stores the key: "
            "use `perminute login`."
        )
        return value
    try:
        return Path(value).read_text("utf-8-sig").strip()
    except (OSError, ValueError):
        shown = "of this name (a key, perhaps)" if "pm_" in value else value
        raise click.BadParameter(f"there is no readable file {shown}.") from None


def without_mark(content: bytes) -> bytes:
    """A text without the byte order mark that editors put before UTF-8."""
    return content.removeprefix(b"\xef\xbb\xbf")

"""Text for people: safe for terminals, local times, tables that fit, progress."""

import codecs
import json
import os
import re
import shutil
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from rich.console import Console

PROGRESS_AFTER_SECONDS = 1.0
WIDTH_MIN = 20
_GAP = 2
_SHRUNK_MIN = 10
# Controls, and characters that reorder or hide text: shown as what they are.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ISOLATE, _POP = "\u2068", "\u2069"


_PLAIN = {"─": "-", "→": ">", "…": "~", "“": '"', "”": '"', "’": "'", "–": "-", "×": "x", "·": "."}


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Characters that a stream can't write: the product's own as similar ones of the same width,
    others as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each) or _escaped(each) for each in text), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()


ENCODING_ERRORS = "perminute"
codecs.register_error(ENCODING_ERRORS, _plainer)


def safe(value: object) -> str:
    """The text with controls written out, so that no name steers a terminal, in characters that
    the terminal has."""
    text = _UNSAFE.sub(lambda found: _written_out(found[0]), str(value))
    if text.isascii():
        return text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, ENCODING_ERRORS).decode(encoding)


def _written_out(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def safe_json(document: object) -> str:
    """JSON for people and scripts, with controls escaped; the value stays the same."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return re.sub(
        r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
        r"\U000e0000-\U000e007f]",
        lambda found: json.dumps(found[0])[1:-1],
        text,
    )


def local_time(text: object, *, seconds: bool = False, zone: str | None = None) -> str:
    """An RFC 3339 time in the zone of this machine, or in `zone`, with its name; other texts as
    they are."""
    if text is None or text == "":
        return ""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        here = moment.astimezone(zone_of(zone))
    except (ValueError, OverflowError, OSError):
        return safe(text)
    return here.strftime("%Y-%m-%d %H:%M" + (":%S" if seconds else "")) + f" {zone_name(here)}"


def zone_of(name: str | None) -> ZoneInfo | None:
    """The zone of a name; None, that of the machine, where it has no name or is not known."""
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError):
        return None


def zone_name(moment: datetime) -> str:
    """The name of a time's zone, its offset where it has none."""
    name = moment.tzname() or ""
    return name if re.fullmatch(r"[A-Z]{2,6}|[+-]\d{2,4}", name) else moment.strftime("%z")


def day_start(text: str, zone: str | None) -> str:
    """A date as the RFC 3339 time of its midnight in a zone; other texts as they are."""
    if not _DATE.fullmatch(text):
        return text
    try:
        midnight = datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{midnight:%Y-%m-%dT%H:%M:%SZ}"


def duration(seconds: object) -> str:
    """Seconds as `1:02:03`, or `3:03`."""
    if not isinstance(seconds, int):
        return ""
    hours, rest = divmod(abs(seconds), 3600)
    sign = "-" if seconds < 0 else ""
    minutes, left = divmod(rest, 60)
    return f"{sign}{hours}:{minutes:02}:{left:02}" if hours else f"{sign}{minutes}:{left:02}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: `1 leg`, `1,200 legs`. `plural` is the noun's, if it is not `noun`
    with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


@dataclass(frozen=True)
class Column:
    """A column of a table. `rank` 1 always stays; higher ones go first where it is narrow.
    `show` makes the text of a value. `whole`: its texts are never broken over lines. `style`: the
    style of a text on a terminal, "" for none."""

    title: str
    field: str
    rank: int = 2
    right: bool = False
    whole: bool = True
    show: Callable[[Any], str] = lambda value: "" if value is None else safe(value)
    style: Callable[[str], str] = lambda _: ""


def text_column(title: str, field: str, rank: int = 2) -> Column:
    """A column of names, which are broken over lines where it is narrow."""
    return Column(title, field, rank, whole=False)


def money_column(title: str, field: str, rank: int = 1) -> Column:
    """A column of amounts or counts, at the right."""
    return Column(title, field, rank, right=True)


def time_column(title: str, field: str, rank: int = 2) -> Column:
    """A column of times, in local time."""
    return Column(title, field, rank, show=local_time)


def seconds_column(title: str, field: str, rank: int = 2) -> Column:
    """A column of seconds, as hours, minutes and seconds."""
    return Column(title, field, rank, right=True, show=duration)


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; closed ones are none."""
    try:
        return stream is not None and bool(stream.isatty())
    except ValueError:
        return False


def width() -> int | None:
    """The columns of the terminal, None where the output goes elsewhere and COLUMNS is not set."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isascii() and stated.isdecimal() and int(stated) > 0:
        return max(int(stated), WIDTH_MIN)
    if not is_terminal(sys.stdout):
        return None
    return max(shutil.get_terminal_size((80, 24)).columns, WIDTH_MIN)


def table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    total: Mapping[str, Any] | None = None,
) -> tuple[str, list[str]]:
    """(the table as text, titles of the columns that found no room). As records where even the
    columns of rank 1 find none."""
    from rich.cells import cell_len

    every = [*rows, *([total] if total is not None else [])]
    cells = {each.title: [each.show(row.get(each.field)) for row in every] for each in columns}
    kept = [each for each in columns if each.rank == 1 or any(cells[each.title])]
    left_out: list[str] = []
    natural = {
        each.title: max([cell_len(each.title), *map(cell_len, cells[each.title])]) for each in kept
    }
    available = width()
    while True:
        widths = _shrunk(kept, natural, available)
        if widths is not None:
            break
        rank = max((each.rank for each in kept), default=1)
        if rank == 1:
            return _records(every, kept, cells, available), left_out
        gone = next(each for each in reversed(kept) if each.rank == rank)
        kept.remove(gone)
        left_out.append(gone.title)
    return _drawn(len(every), kept, cells, widths, has_total=total is not None), left_out[::-1]


def _shrunk(
    columns: Sequence[Column], natural: Mapping[str, int], available: int | None
) -> dict[str, int] | None:
    """The widths of columns that fit, None if they can't."""
    widths = {each.title: natural[each.title] for each in columns}
    if available is None:
        return widths
    excess = sum(widths.values()) + _GAP * (len(widths) - 1) - available
    while excess > 0:
        names = [each.title for each in columns if not each.whole]
        soft = [title for title in names if widths[title] > _SHRUNK_MIN]
        if not soft:
            return None
        widest = max(soft, key=lambda title: widths[title])
        others = [widths[title] for title in soft if title != widest]
        step = max(1, min(excess, widths[widest] - max([*others, _SHRUNK_MIN])))
        step = min(step, widths[widest] - _SHRUNK_MIN)
        widths[widest] -= step
        excess -= step
    return widths


def _drawn(
    count: int,
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[str]],
    widths: Mapping[str, int],
    *,
    has_total: bool,
) -> str:
    titles = [fold(each.title, widths[each.title]) for each in columns]
    lines = [_line(columns, titles, widths, bold=True)]
    rule = styled((" " * _GAP).join("─" * widths[each.title] for each in columns), "dim")
    lines.append(rule)
    for number in range(count):
        if has_total and number == count - 1:
            lines.append(rule)
        folded = [fold(cells[each.title][number], widths[each.title]) for each in columns]
        lines.append(_line(columns, folded, widths))
    return "\n".join(lines)


def _line(
    columns: Sequence[Column],
    folded: Sequence[Sequence[str]],
    widths: Mapping[str, int],
    *,
    bold: bool = False,
) -> str:
    lines = []
    for number in range(max(map(len, folded), default=1)):
        parts = []
        for column, texts in zip(columns, folded, strict=True):
            text = texts[number] if number < len(texts) else ""
            style = "" if bold else column.style(text)
            parts.append(_padded(text, widths[column.title], style, right=column.right))
        line = (" " * _GAP).join(parts).rstrip()
        lines.append(styled(line, "bold") if bold else line)
    return "\n".join(lines)


def _padded(text: str, wide: int, style: str, *, right: bool) -> str:
    from rich.cells import cell_len

    blank = " " * (wide - cell_len(text))
    text = styled(_isolated(text), style) if style else _isolated(text)
    return blank + text if right else text + blank


def _isolated(text: str) -> str:
    """On a terminal, a text with letters from right to left can't reorder its neighbors."""
    if not is_terminal(sys.stdout):
        return text
    if text.isascii() or not any(unicodedata.bidirectional(each) in {"R", "AL"} for each in text):
        return text
    return f"{_ISOLATE}{text}{_POP}"


def one_line(text: str, wide: int | None) -> str:
    """The text, cut where it is too wide, with an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    if wide is None or cell_len(text) <= wide:
        return text
    return set_cell_size(text, wide - 1).rstrip() + "…"


def fold(text: str, wide: int) -> list[str]:
    """The text in lines of at most `wide` cells, broken at spaces where there are some."""
    from rich.cells import cell_len

    if cell_len(text) <= wide:
        return [text]
    lines: list[str] = []
    line, size = "", 0
    for character in text:
        cells = cell_len(character)
        if size + cells > wide:
            head, space, tail = line.rpartition(" ")
            if space and head.strip() and character != " ":
                lines.append(head)
                line, size = tail, cell_len(tail)
            else:
                lines.append(line)
                line, size = "", 0
            if not line and character == " ":
                continue
        line += character
        size += cells
    return [*lines, line]


def _records(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[str]],
    available: int | None,
) -> str:
    blocks = []
    for number in range(len(rows)):
        pairs = [(each.title, cells[each.title][number]) for each in columns]
        blocks.append(fields_text(pairs, available))
    return "\n\n".join(blocks)


def fields_text(pairs: Sequence[tuple[str, str]], available: int | None = None) -> str:
    """Names and values, one pair a line or, where it is narrow, two lines."""
    from rich.cells import cell_len

    available = width() if available is None else available
    pairs = [(name, value) for name, value in pairs if value != ""]
    edge = max((cell_len(name) for name, _ in pairs), default=0) + _GAP
    lines = []
    for name, value in pairs:
        if available is None:
            lines.append(f"{name.ljust(edge)}{value}")
        elif available - edge < _SHRUNK_MIN:
            lines += [*fold(name, available), *(f"  {each}" for each in fold(value, available - 2))]
        else:
            first, *more = fold(value, available - edge)
            lines.append(f"{name.ljust(edge)}{_isolated(first)}")
            lines += [f"{' ' * edge}{_isolated(each)}" for each in more]
    return "\n".join(lines)


def styled(text: str, style: str) -> str:
    """The text in bold or dim, on a terminal that shows it."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    if is_plain or not is_terminal(sys.stdout):
        return text
    codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
    return f"\x1b[{codes[style]}m{text}\x1b[0m"


def error_console() -> "Console":
    """The console of progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Shows that work goes on, on a terminal, once it has taken a second; call what it yields with
    how far it is."""
    if not is_terminal(sys.stderr):
        yield lambda _: None
        return
    ended = threading.Event()
    message = [text]

    def run() -> None:
        if ended.wait(PROGRESS_AFTER_SECONDS):
            return
        has_unicode = str(getattr(sys.stderr, "encoding", "")).lower().startswith("utf")
        spinner = "dots" if has_unicode else "line"
        with error_console().status(message[0], spinner=spinner) as status:
            while not ended.wait(0.2):
                status.update(message[0])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield lambda far: message.__setitem__(0, f"{text}: {far}")
    finally:
        ended.set()
        thread.join(2)

"""CSV that loads many organizers, conferences or service numbers: cells, and the report.

A file has a header with the names of the columns, in any order. An omitted column leaves the
setting unchanged; an empty cell takes the default. Files as spreadsheets save them are read: UTF-8
with or without a mark, UTF-16 with one, or the charset that the content type names; separated by
comma, semicolon, tab or bar.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from shared.contracts.common.validation import parse_body
from shared.domain.common import limits
from shared.domain.common.counts import counted
from shared.domain.common.errors import BadRequest, FieldError, Invalid, TooLarge
from shared.domain.common.formulas import FORMULA_RULE, is_formula
from shared.domain.common.strict_json import loads

_CHARSET = re.compile(r';\s*charset="?([A-Za-z0-9_-]{1,40})"?', re.ASCII | re.IGNORECASE)
_CHARSETS = {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "iso8859-1", "ascii"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t|"
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_IGNORED = frozenset({"registrations", "unreadable"})

type CellParser = Callable[[str], object]
"""The value of a cell that is not empty. Raises ValueError with the rule."""


class LoadFile(BaseModel):
    """A file of rows."""


@dataclass(frozen=True, slots=True)
class LoadRow:
    """A line of the file: `fields` by column, None of an empty cell; `etag` "" where none is
    stated."""

    line: int
    key: str
    fields: Mapping[str, object]
    etag: str


def flag_cell(text: str) -> bool:
    """A truth value, as spreadsheets write it."""
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise ValueError("must be true or false")
    return flag


def json_cell(text: str) -> object:
    """A list or an object, as the list writes it."""
    try:
        return loads(text.encode())
    except BadRequest:
        raise ValueError("must be JSON, as the list writes it") from None


ORGANIZER_CELLS: Mapping[str, CellParser] = {
    "usage_location": str,
    "license": str,
    "policy": str,
    "toll_free_dial_in": flag_cell,
    "budgets": json_cell,
    "cost_center": str,
    "groups": json_cell,
    "rules": json_cell,
}


def read_rows(
    body: bytes, content_type: str, key: str, cells: Mapping[str, CellParser]
) -> list[LoadRow]:
    """The rows of a file whose column `key` has the ids.

    Raises BadRequest where it is no such table, TooLarge, Invalid with a pointer `/lines/7/policy`
    for each cell that is wrong.
    """
    text = _decoded(body, content_type)
    lines = text.splitlines()
    if not lines:
        raise BadRequest("The file is empty. Send a header line with the names of the columns.")
    delimiter = max(_DELIMITERS, key=lines[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    errors: list[FieldError] = []
    rows: list[LoadRow] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, key, cells)
        seen: dict[str, int] = {}
        line = reader.line_num + 1
        for fields in reader:
            begin, line = line, reader.line_num + 1
            if not any(field.strip() for field in fields):
                continue
            if len(rows) >= limits.LOAD_ROWS_MAX:
                raise TooLarge(
                    f"The file has more than {limits.LOAD_ROWS_MAX:,} rows. Send it in parts."
                )
            row = _row(begin, dict(zip(header, fields, strict=False)), key, cells, errors)
            if len(fields) > len(header) and any(fields[len(header) :]):
                detail = f"has {counted(len(fields), 'field')}, the header has {len(header)}"
                errors.append(FieldError(f"/lines/{begin}", detail))
            if row.key in seen:
                detail = f"is already in line {seen[row.key]}"
                errors.append(FieldError(f"/lines/{begin}/{key}", detail))
            seen.setdefault(row.key, begin)
            rows.append(row)
            if len(errors) >= limits.FIELD_ERRORS_MAX:
                break
    except csv.Error as error:
        raise BadRequest(
            f"The file is not valid CSV at line {reader.line_num} ({error}). Correct the line."
        ) from None
    raise_errors(errors)
    return rows


def raise_errors(errors: Sequence[FieldError]) -> None:
    """Raises Invalid where there are any."""
    if errors:
        count = len(errors)
        cells = counted(count, "cell is", "cells are")
        shown = tuple(errors[: limits.FIELD_ERRORS_MAX])
        raise Invalid(f"{cells} wrong; nothing of the file was loaded.", shown)


def parse_row[Model: BaseModel](
    model: type[Model], row: LoadRow, present: Mapping[str, object]
) -> Model:
    """The setting of a row: the present one with the cells of the row. Raises Invalid."""
    stated = {**present, **row.fields}
    names = model.model_fields
    given = {name: value for name, value in stated.items() if name in names and value is not None}
    try:
        return parse_body(model, given)
    except Invalid as error:
        raise Invalid(
            error.detail,
            tuple(
                FieldError(f"/lines/{row.line}{each.pointer}", each.detail) for each in error.errors
            ),
        ) from None


def _decoded(body: bytes, content_type: str) -> str:
    stated = _CHARSET.search(content_type)
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    encoding = marked or "utf-8"
    if stated and marked is None:
        try:
            encoding = codecs.lookup(stated[1]).name
        except LookupError:
            encoding = ""
        if encoding not in _CHARSETS:
            raise BadRequest(
                "The charset is unknown. Send utf-8, utf-16, windows-1252 or iso-8859-1."
            )
    try:
        text = body.decode(encoding)
    except UnicodeError:
        raise BadRequest(
            f"The file is not {encoding}: save it as CSV UTF-8, or name its encoding, such as "
            "text/csv; charset=windows-1252."
        ) from None
    if "\0" in text:
        raise BadRequest("The file is not text. Send CSV in UTF-8.")
    return text


def _check_header(header: Sequence[str], key: str, cells: Mapping[str, CellParser]) -> None:
    allowed = {key, "etag", *cells, *_IGNORED}
    shown = ", ".join([key, *cells, "etag"])
    problems = [
        f"has an unknown column {name[:80]!r}; those that exist are {shown}"
        for name in header
        if name not in allowed
    ][:20]
    problems += [
        f"has the column {n[:80]!r} twice" for n in sorted({*header}) if header.count(n) > 1
    ]
    if key not in header:
        problems.append(f"has no column {key}")
    if problems:
        errors = tuple(FieldError("/lines/1", problem) for problem in problems)
        raise Invalid("The header of the file is not valid.", errors)


def _row(
    line: int,
    texts: Mapping[str, str],
    key: str,
    cells: Mapping[str, CellParser],
    errors: list[FieldError],
) -> LoadRow:
    fields: dict[str, object] = {}
    for name, cell in texts.items():
        text = cell.strip()
        if name in _IGNORED or name == "etag":
            continue
        try:
            if is_formula(text):
                raise ValueError(FORMULA_RULE)
            if text.startswith("'") and is_formula(text[1:]):
                raise ValueError("is a formula behind an apostrophe, as lists write it")
            if name != key:
                fields[name] = cells[name](text) if text else None
            elif not text:
                raise ValueError("is missing")
        except ValueError as error:
            errors.append(FieldError(f"/lines/{line}/{name}", str(error)))
    return LoadRow(line, texts.get(key, "").strip(), fields, texts.get("etag", "").strip())


def load_body(
    name: str,
    items: Sequence[tuple[int, str, Mapping[str, object] | None, Mapping[str, object]]],
    *,
    dry_run: bool,
) -> dict[str, object]:
    """The changes of a load, or their preview: `items` are (line, id, setting before, setting
    after)."""
    shown: list[dict[str, object]] = []
    counts = {"created": 0, "changed": 0, "unchanged": 0}
    for line, key, before, after in items:
        action = "created" if before is None else "unchanged" if before == after else "changed"
        counts[action] += 1
        if action != "unchanged":
            changes = [
                {"field": field, "before": (before or {}).get(field), "after": value}
                for field, value in after.items()
                if before is None or before.get(field) != value
            ]
            shown.append({"line": line, name: key, "action": action, "changes": changes})
    return {
        "dry_run": dry_run,
        "rows": len(items),
        **counts,
        "items": shown[: limits.LIST_ITEMS_MAX],
    }

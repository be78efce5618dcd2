"""The checks in `verify` of rows besides the journal: guards, events, segments, and foreign
rows."""

import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from shared.adapters.delivery.outbox import BEFORE, event_key
from shared.adapters.ledger import bulk_reads, index, rows
from shared.adapters.ledger.bulk_reads import read_range
from shared.adapters.ledger.months import MonthRow
from shared.adapters.ledger.segments import commits_in, segment_key
from shared.adapters.tables.packing import holders, unpack
from shared.domain.common import limits
from shared.domain.common.canonical import canonical_json, content_digest, format_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.ledger.model import Entry, LedgerState
from shared.domain.ledger.replay import LotsById
from shared.domain.usage.build_columns import first_legs, number_columns
from shared.pacing import yield_to_others
from shared.ports.ledger import Commit
from shared.ports.tables import Row, TableStore

UNREADABLE = (zlib.error, ValueError, KeyError, TypeError, AttributeError, LedgerCorrupt)
_GUARD: dict[str, type] = {"schema": int, "digest": str, "commit": int, "entry": str}
_NAMES: dict[str, tuple[dict[str, type], tuple[str, ...]]] = {
    # (plain properties, contents) of a row by what its key begins with
    "authorization|": ({"schema": int, "leg": str, "commit": int, "entry": int}, ()),
    "command|": (_GUARD, ()),
    "event|": ({"schema": int, "at": str}, ("data",)),
    "journal|": (
        {
            "schema": int,
            "commit_id": str,
            "at": str,
            "first": int,
            "entries": int,
            "balance": int,
            "previous": str,
            "hash": str,
            "public": str,
        },
        ("data", "organizers"),
    ),
    "leg|": ({**_GUARD, "leg": str}, ("charge", "person")),
    "month|": (
        {
            "schema": int,
            "time_zone": str,
            "after": int,
            "last": int,
            "opening": int,
            "closing": int,
            "head": str,
        },
        ("data",),
    ),
    "usage|": (
        {"schema": int, "time_zone": str, "day": str, "after": int, "last": int},
        ("data", "organizers"),
    ),
    "usage|head": ({"schema": int, "time_zone": str, "through": str, "last": int}, ()),
    "segment|": ({"schema": int}, ("data", "organizers")),
    "index|": ({"schema": int, "after": int}, ("data", "organizers", "numbers")),
    "proof|": ({"schema": int, "digest": str}, ("data",)),
    "proof|head": ({"schema": int, "day": str}, ()),
    "proof|day|part": ({"schema": int}, ("hashes",)),
    "rate|": ({"schema": int}, ("data",)),
    rows.STATE: (
        {
            "schema": int,
            "commit": int,
            "entry": int,
            "balance": int,
            "head": str,
            "commit_id": str,
            "public": str,
        },
        ("data",),
    ),
}


_PUBLIC_SINCE = {"journal|": rows.PUBLIC_SCHEMA, rows.STATE: rows.PUBLIC_STATE_SCHEMA}
"""The schemas of rows that have a property `public`."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """The required contents of a guard row: the entry, and the commit that wrote both.
    `names_organizer`: the journal row is of a schema that names the organizer of each leg."""

    entry: Entry
    commit: int
    names_organizer: bool = False


@dataclass(frozen=True, slots=True)
class PublicHead:
    """The public hash of a commit, with the balance and the last entry after it."""

    hash: str
    balance_micros: int
    last_entry: int


@dataclass(slots=True)
class Run:
    """The recomputed state so far, and its errors.

    `broken`: the journal can't be replayed any further. `legs`, `guards` and `holds` by row key:
    the required rows. `events`: commits with events, by the key of their outbox row.
    `packed_commit`, `indexed_commit` and `month`: the last commit in a segment, the last one in
    columns and the last closed month that were verified. `public` is the public hash of the last
    commit, `publics` are those of the commits that were read; `has_public`: the rows have them,
    too.
    """

    head: str = rows.GENESIS
    public: str = rows.GENESIS
    has_public: bool = False
    publics: list[PublicHead] = field(default_factory=list)
    commit: int = 0
    commit_id: str = ""
    entries: int = 0
    state: LedgerState | None = None
    opened: LotsById = field(default_factory=dict)
    broken: bool = False
    legs_before: int = 0
    packed_commit: int = 0
    indexed_commit: int = 0
    month: str = ""
    legs: dict[str, Guarded] = field(default_factory=dict)
    guards: dict[str, Guarded] = field(default_factory=dict)
    holds: dict[str, Guarded] = field(default_factory=dict)
    events: dict[str, Commit] = field(default_factory=dict)
    newer: dict[str, int] = field(default_factory=dict)
    months: list[MonthRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def new_legs(self) -> int:
        """The number of debited legs; re-ratings do not count."""
        return sum(guarded.entry.rerates is None for guarded in self.legs.values())

    def wrong(self, key: str, what: str) -> None:
        """Note a problem of a row."""
        if len(self.problems) < limits.PROBLEMS_MAX:
            self.problems.append(f"{key}: {what}")


def _is_newer(run: Run, row: Row, commit: object) -> bool:
    """True if a row claims to be of a commit after those that were read."""
    if not isinstance(commit, int) or commit <= run.commit:
        return False
    run.newer[row.key] = commit
    return True


async def newer_rows(run: Run, tables: TableStore, account: str) -> None:
    """A row newer than the read ones must be of a commit that exists by now."""
    if not run.newer:
        return
    row = await tables.get(rows.TABLE, account, rows.STATE)
    last = row.values.get("commit") if row else None
    for key, commit in run.newer.items():
        if not isinstance(last, int) or commit > last:
            run.wrong(key, f"commit: there is no commit {commit}")


def _leg_row(run: Run, row: Row, guarded: Guarded) -> None:
    entry = guarded.entry
    _guard_row(run, row, guarded)
    try:
        record = rows.read_leg(row)
    except UNREADABLE as error:
        run.wrong(row.key, f"charge: can't be read ({type(error).__name__})")
        return
    if record.leg != entry.leg:
        run.wrong(row.key, f"leg: is not {entry.leg}")
    if record.entry != entry:
        run.wrong(row.key, "entry: is not the one in the journal")
    if record.digest != entry.content_digest:
        run.wrong(row.key, "digest: is not that of the leg that was debited")
    if content_digest(record.charge) != entry.charge_digest:
        run.wrong(row.key, "charge: is not the one that was debited")
    if record.person and content_digest(record.person) != entry.person_digest:
        run.wrong(row.key, "person: is not the one that was debited")
    elif (
        record.person
        and guarded.names_organizer
        and record.person.get("organizer") != entry.organizer
    ):
        run.wrong(rows.journal_key(guarded.commit), "organizers: are not those of its legs")


def _command_row(run: Run, row: Row, guarded: Guarded) -> None:
    entry = guarded.entry
    _guard_row(run, row, guarded)
    try:
        digest, recorded = rows.read_command(row)
    except UNREADABLE as error:
        run.wrong(row.key, f"entry: can't be read ({type(error).__name__})")
        return
    if recorded != entry:
        run.wrong(row.key, "entry: is not the one in the journal")
    if digest != entry.content_digest:
        run.wrong(row.key, "digest: is not that of the command that was carried out")


def _hold_row(run: Run, row: Row, guarded: Guarded) -> None:
    if row.values.get("commit") != guarded.commit:
        run.wrong(row.key, f"commit: its entry was written by commit {guarded.commit}")
    try:
        leg, entry = rows.read_hold(row)
    except UNREADABLE as error:
        run.wrong(row.key, f"entry: can't be read ({type(error).__name__})")
        return
    if leg != guarded.entry.leg:
        run.wrong(row.key, f"leg: is not {guarded.entry.leg}")
    if entry != guarded.entry.sequence:
        run.wrong(row.key, f"entry: is not entry {guarded.entry.sequence}")


def _guard_row(run: Run, row: Row, guarded: Guarded) -> None:
    """The common checks of leg and command rows."""
    if row.values.get("commit") != guarded.commit:
        run.wrong(row.key, f"commit: its entry was written by commit {guarded.commit}")
    if not _is_canonical(row.values.get("entry")):
        run.wrong(row.key, "entry: is not in canonical form")


def _is_canonical(text: object) -> bool:
    try:
        return canonical_json(json.loads(str(text))).decode() == text
    except ValueError:
        return False


def own_properties(run: Run, row: Row, kind: str) -> None:
    """A row contains the product's properties, in their types and canonical form, and nothing
    else."""
    plain, contents = _NAMES[kind]
    schema = row.values.get("schema")
    if isinstance(schema, int) and schema < _PUBLIC_SINCE.get(kind, 0):
        plain = {name: is_a for name, is_a in plain.items() if name != "public"}
    for name, is_a in plain.items():
        if type(row.values.get(name)) is not is_a:
            run.wrong(row.key, f"{name}: is missing, or no {is_a.__name__}")
    held: set[str] = set()
    for content in contents:
        held |= holders(content, row.values)
        if content in held and not _is_canonical(row.values[content]):
            run.wrong(row.key, f"{content}: is not in canonical form")
    for name in sorted(row.values.keys() - plain.keys() - held):
        run.wrong(row.key, f"{name}: is an unknown property")


@dataclass(frozen=True, slots=True)
class _GuardKind:
    """Rows whose keys begin with `prefix`: those that must be there, by key, and what each holds;
    the problem of one that must not be, and of one that is missing."""

    prefix: str
    expected: Callable[[Run], dict[str, Guarded]]
    check: Callable[[Run, Row, Guarded], None]
    unexpected: str
    missing: Callable[[Entry], str]

    def compare(self, run: Run, row: Row, guarded: Guarded) -> None:
        """Record an error of a row."""
        own_properties(run, row, self.prefix)
        self.check(run, row, guarded)


_GUARD_KINDS = (
    _GuardKind(
        "leg|",
        lambda run: run.legs,
        _leg_row,
        "leg: no entry of the journal debits it",
        lambda entry: f"the row of leg {entry.leg} is missing",
    ),
    _GuardKind(
        "command|",
        lambda run: run.guards,
        _command_row,
        "no entry of the journal comes from it",
        lambda entry: f"the guard of entry {entry.sequence} is missing",
    ),
    _GuardKind(
        "authorization|",
        lambda run: run.holds,
        _hold_row,
        "no entry of the journal settles or frees a hold by it",
        lambda entry: f"the row of the hold of entry {entry.sequence} is missing",
    ),
)


async def guard_rows(run: Run, tables: TableStore, account: str) -> None:
    """Every debit has its leg row, every keyed command its guard, every debit that settled or freed
    a hold its row; and there are no others."""
    for kind in _GUARD_KINDS:
        expected, seen = kind.expected(run), set[str]()
        async for row in read_range(tables, account, kind.prefix, kind.prefix[:-1] + "}"):
            if _is_newer(run, row, row.values.get("commit")):
                continue
            guarded = expected.get(row.key)
            if guarded is None:
                run.wrong(row.key, kind.unexpected)
                continue
            seen.add(row.key)
            kind.compare(run, row, guarded)
        for key in sorted(expected.keys() - seen):
            run.wrong(key, kind.missing(expected[key].entry))


async def new_guard_rows(run: Run, tables: TableStore, account: str) -> None:
    """The guards of the entries since the last verification, each by its key."""
    for kind in _GUARD_KINDS:
        for key, guarded in kind.expected(run).items():
            if row := await tables.get(rows.TABLE, account, key):
                kind.compare(run, row, guarded)
            else:
                run.wrong(key, kind.missing(guarded.entry))


async def event_rows(run: Run, tables: TableStore, account: str, *, after: int) -> None:
    """Unpublished events of commits after a number; published ones are deleted."""
    async for row in read_range(tables, account, event_key(after + 1), BEFORE):
        own_properties(run, row, "event|")
        emitted = run.events.get(row.key)
        if emitted is not None and row.values.get("at") != format_time(emitted.at):
            run.wrong(row.key, "at: is not the time of that commit")
        try:
            outbox = rows.read_outbox(row)
            digest = content_digest(unpack("data", row.values))
        except UNREADABLE as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
            continue
        if _is_newer(run, row, outbox.commit):
            continue
        if emitted is None or digest != emitted.events_digest:
            run.wrong(row.key, "data: are not the events of that commit")


async def segment_rows(run: Run, tables: TableStore, account: str) -> None:
    """Packed days must equal the journal: those after the last verified ones."""
    first = segment_key(run.packed_commit + 1) if run.packed_commit else "segment|"
    async for row in read_range(tables, account, first, "segment}"):
        own_properties(run, row, "segment|")
        try:
            packed = await _gradually(commits_in(row))
            last = int(row.key.removeprefix("segment|"))
            page = await tables.query(
                rows.TABLE,
                account,
                first=rows.journal_key(packed[0].number),
                before=rows.journal_key(last + 1),
            )
            commits = await _gradually(
                replace(rows.read_commit(each), settings=(), events_digest=None, rules=None)
                for each in page
            )
            pairs = await _gradually(
                one == other and _beside(one) == _beside(other)
                for one, other in zip(packed, commits, strict=False)
            )
        except (*UNREADABLE, IndexError) as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
            continue
        if len(packed) != len(commits) or not all(pairs):
            run.wrong(row.key, "data: differs from the journal")
        run.packed_commit = last


async def index_rows(run: Run, tables: TableStore, account: str) -> None:
    """Columns must equal the journal, and the fingerprints of numbers those of the guards, but for
    erased persons: the columns after the last verified ones."""
    first = index.index_key(run.indexed_commit + 1)
    async for row in read_range(tables, account, first, "index}"):
        own_properties(run, row, index.PREFIX)
        try:
            stored = index.read_columns(row)
            page = await tables.query(
                rows.TABLE,
                account,
                first=rows.journal_key(stored.after + 1),
                before=rows.journal_key(stored.last + 1),
            )
            commits = await _gradually(map(rows.read_commit, page))
            made = await index.columns_of(stored.after, commits)
            persons = await bulk_reads.rows_of(
                tables,
                account,
                [rows.leg_row_key(leg) for leg in first_legs(made)],
                run.entries,
                rows.PERSON,
            )
            person_by_key = {
                key: rows.read_person(person_rows[0]) for key, person_rows in persons.items()
            }
            legs = {leg: person_by_key.get(rows.leg_row_key(leg), {}) for leg in first_legs(made)}
            numbers = number_columns(account, made, legs)
        except (*UNREADABLE, IndexError) as error:
            run.wrong(row.key, f"data: can't be read ({type(error).__name__})")
            continue
        if replace(stored, numbers=[]) != replace(made, numbers=[]):
            run.wrong(row.key, "data: differs from the journal")
        elif any(one != other for one, other in zip(stored.numbers, numbers, strict=True) if other):
            run.wrong(row.key, "numbers: are not those of the legs")
        run.indexed_commit = stored.last


async def _gradually[Item](items: Iterable[Item]) -> list[Item]:
    """The items in a list, made in slices of time."""
    done: list[Item] = []
    for item in items:
        await yield_to_others()
        done.append(item)
    return done


def _beside(commit: Commit) -> list[tuple[object, str | None]]:
    """The fields of entries that their comparison leaves out."""
    return [(entry.charge, entry.organizer) for entry in commit.entries]


async def other_rows(run: Run, tables: TableStore, account: str) -> None:
    """Rows of unknown kinds."""
    ends = ["", *(kind[:-1] + "}" for kind in rows.KINDS)]
    gaps = [*zip(ends, [*rows.KINDS, rows.STATE], strict=True)]
    gaps += [(rows.STATE + "\0", "usage|"), ("usage}", rows.VERIFIED)]
    gaps.append((rows.VERIFIED + "\0", "\U0010ffff"))
    for first, before in gaps:
        async for row in read_range(tables, account, first, before):
            run.wrong(row.key, "is no row of a ledger")

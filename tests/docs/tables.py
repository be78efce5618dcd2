"""The page of tables: every table and kind of row, with its keys, properties and schema numbers.

The kinds are described here, and their properties in row_properties.py. Types and schema numbers
are those of rows that the product wrote: `python -m tests.docs.recorder` runs tests and adds each
new form of a row to rows.json, which also has the rows of a released version.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.docs.markdown import code, page, table
from tests.docs.row_properties import PROPERTIES, SCHEMA, Property

ROOT = Path(__file__).resolve().parents[2]
OBSERVED = Path(__file__).with_name("rows.json")
TABLES = {
    "ledger": "The entries of each account. The partition is the account.",
    "holds": "The hold book of each account. The partition is the account.",
    "directory": "Settings, and the audit log.",
    "ratecards": "Rate cards.",
    "legs": "Claims: the account, kind and organizer of a leg, fixed at its first delivery.",
    "calls": "Events of calls that a bridge reports in several posts.",
    "parked": "Parked legs.",
    "inbox": "Messages that the queue did not accept, until a timer sends them.",
    "notices": "Alerts, recharges and denied calls. The partition is the account.",
    "deliveries": "Deliveries to webhooks and by mail.",
    "due": "Marks of a timer: the account and the time of its next work.",
    "deliverydue": "Marks of the timer of deliveries.",
    "backlog": "The age of the queue, the last requested call, runs of timers, counts of posts.",
}
NUMBER = re.compile(r"(?<=[a-z])\d+$")
"""The number of a part of long content, in the name of a property."""
_HEX = "[0-9a-f]{32,64}"
_COMMIT = "[0-9]{20}"
_TIME = "[0-9]{8}T[0-9]{6}[.][0-9]{6}Z"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"


class Kind(NamedTuple):
    """A kind of row: the table, the keys as they are shown and as patterns, and the meaning."""

    table: str
    partition: str
    key: str
    about: str
    partition_pattern: str
    key_pattern: str

    @property
    def properties(self) -> dict[str, Property]:
        """Unit and meaning of each property but `schema`."""
        return PROPERTIES.get((self.table, self.key), {})

    def holds(self, row: list[Any]) -> bool:
        """True if the row is of this kind."""
        return (
            row[0] == self.table
            and re.fullmatch(self.partition_pattern, row[1]) is not None
            and re.fullmatch(self.key_pattern, row[2], re.DOTALL) is not None
        )


_AUDIT = (
    "~~audit|{countdown}|{token}",
    "A marker of the audit log: the change of this partition happened.",
    ".*",
    "~~audit[|].*",
)
KINDS = (
    Kind("ledger", "{account}", "state", "Balance, lots and all else that the next decision needs.",
         ".*", "state"),
    Kind("ledger", "{account}", "journal|{commit}", "A commit: its entries, and the keyed hash of "
         "the chain.", ".*", rf"journal[|]{_COMMIT}"),
    Kind("ledger", "{account}", "leg|{hash}", "The guard of a leg, with its charge.", ".*",
         rf"leg[|]{_HEX}"),
    Kind("ledger", "{account}", "leg|{hash}|{entry}", "The charge that replaced the debit with "
         "that number.", ".*", rf"leg[|]{_HEX}[|]{_COMMIT}"),
    Kind("ledger", "{account}", "command|{hash}", "The guard of a top-up, adjustment or grant.",
         ".*", rf"command[|]{_HEX}"),
    Kind("ledger", "{account}", "authorization|{hash}", "The leg that settled an authorization.",
         ".*", rf"authorization[|]{_HEX}"),
    Kind("ledger", "{account}", "authorization|{hash}|{entry}", "An unanswered leg that freed the "
         "hold of an authorization.", ".*", rf"authorization[|]{_HEX}[|][0-9]+"),
    Kind("ledger", "{account}", "event|{commit}", "Events of a commit, until they are published.",
         ".*", rf"event[|]{_COMMIT}"),
    Kind("ledger", "{account}", "segment|{commit}", "Commits of closed days, packed.", ".*",
         rf"segment[|]{_COMMIT}"),
    Kind("ledger", "{account}", "index|{commit}", "Entries of closed days in columns, for lists of "
         "legs and statements.", ".*", rf"index[|]{_COMMIT}"),
    Kind("ledger", "{account}", "month|{month}", "A closed month, added up.", ".*",
         r"month[|][0-9]{4}-[0-9]{2}.*"),
    Kind("ledger", "{account}", "usage|{day}|{part}", "A closed day, added up for usage.", ".*",
         rf"usage[|]{_DAY}[|][0-9]+"),
    Kind("ledger", "{account}", "usage|{day}|late|{day}|{part}", "Legs that were booked after the "
         "day of their call.", ".*", rf"usage[|]{_DAY}[|]late[|].*"),
    Kind("ledger", "{account}", "usage|head", "The last day that is added up.", ".*",
         "usage[|]head"),
    Kind("ledger", "{account}", "proof|{day}", "The signed root of a day.", ".*",
         rf"proof[|]{_DAY}"),
    Kind("ledger", "{account}", "proof|{day}|{part}", "Public hashes of the commits of a day.",
         ".*", rf"proof[|]{_DAY}[|][0-9]+"),
    Kind("ledger", "{account}", "proof|head", "The last closed day.", ".*", "proof[|]head"),
    Kind("ledger", "{account}", "rate|{digest}", "A rate as it is proved.", ".*", r"rate[|].*"),
    Kind("ledger", "{account}", "verified", "The commit up to which the ledger is verified.", ".*",
         "verified"),
    Kind("holds", "{account}", "state", "Open holds, counters, and the balance as of a commit of "
         "the ledger.", ".*", "state"),
    Kind("holds", "{account}", "hold|{authorization}", "The guard of a request, with its answer.",
         ".*", r"hold[|][^|]+"),
    Kind("holds", "{account}", "hold|{authorization}|grant", "The seconds that extensions granted.",
         ".*", r"hold[|][^|]+[|]grant"),
    Kind("holds", "{account}", "hold|{authorization}|released", "The bridge released the hold.",
         ".*", r"hold[|][^|]+[|]released"),
    Kind("holds", "{account}", "leg|{hash}", "The authorization that was placed for a leg.", ".*",
         rf"leg[|]{_HEX}"),
    Kind("holds", "{account}", "spend|{scope}|{hash}", "Counters of an organizer, a cost center or "
         "a meeting.", ".*", r"spend[|].*"),
    Kind("holds", "{account}", "event|{commit}", "Events of a commit, until they are published.",
         ".*", rf"event[|]{_COMMIT}"),
    Kind("holds", "{account}", *_AUDIT),
    Kind("directory", "audit|{account}, audit|*", "{countdown}|{token}", "A change of a setting: "
         "part of the audit log once its marker exists.", r"audit[|].*", ".*"),
    Kind("directory", "index|{kind}|{account}", "{id}", "An organizer, conference or service "
         "number of an account.", r"index[|].*", ".*"),
    Kind("directory", "index", "complete", "The index has the documents of earlier releases.",
         "index", "complete"),
    Kind("directory", "api_key_use", "{key}", "The last use of an API key.", "api_key_use", ".*"),
    Kind("directory", "{kind}", "~{n}", "One of the places of a kind that has a maximum.", ".*",
         r".*~[0-9].*"),
    Kind("directory", "{kind}", *_AUDIT),
    Kind("directory", "{kind}, {kind}|{two digits}", "{id} or {hash of id}", "A setting: account, "
         "bridge, API key, policy, organizer, conference, service number or webhook.", ".*", ".*"),
    Kind("ratecards", "cards", "{card}", "A rate card.", "cards", ".*"),
    Kind("ratecards", "card|{card}", "head", "Each change replaces this row, so that changes "
         "follow one another.", r"card[|].*", "head"),
    Kind("ratecards", "card|{card}", "version|{time}", "The header of a version.", r"card[|].*",
         "version[|].*"),
    Kind("ratecards", "card|{card}", *_AUDIT),
    Kind("ratecards", "chunks|{card}|{time}|{digest}", "{number}", "A part of the rates of a "
         "version, compressed.", r"chunks[|].*", "[0-9]+"),
    Kind("legs", "~{bridge}|{0 to 3}; earlier {bridge}|{two digits}", "{hash}", "A claim.", ".*",
         _HEX),
    Kind("calls", "{digit of the hash}", "event|{call}|{slot}", "An event of a call.", ".*",
         r"event[|].*"),
    Kind("calls", "{digit of the hash}", "due|{time}|{call}|{event}", "The time at which a call is "
         "assembled without its missing events.", ".*", r"due[|].*"),
    Kind("parked", "{two digits of the hash}", "{id}", "A parked leg.", ".*", r"[0-9a-f.]+"),
    Kind("parked", "{two digits of the hash}", "{id}|more", "The rest of a long post.", ".*",
         r"[0-9a-f.]+[|]more"),
    Kind("inbox", "{bucket}", "{message id}", "A message.", "[0-9]{2}", ".*"),
    Kind("notices", "{account}", "alert|{countdown}|{part}", "An alert: raised `0`, repeated "
         "`1` …, acknowledged `a`, over `o`.", ".*", r"alert[|].*"),
    Kind("notices", "{account}", "recharge|{countdown}|{commit}|{n}", "A recharge as a commit left "
         "it.", ".*", r"recharge[|].*"),
    Kind("notices", "{account}", "denial|{countdown}|{id}", "A denied call.", ".*", r"denial[|].*"),
    Kind("deliveries", "{account}|{target}", "event|{countdown}", "A delivery, with "
    "the body of its "
         "event.", ".*", r"event[|].*"),
    Kind("deliveries", "{account}|{target}", "pending|{commit}|{n}", "A delivery that waits.", ".*",
         r"pending[|].*"),
    Kind("deliveries", "{account}|{target}", "state", "The process that works on the target, and "
         "until when.", ".*", "state"),
    Kind("due", "{bucket}", "{time}|{account}|{cause}", "A mark.", "[0-9]{2}", rf"{_TIME}[|].*"),
    Kind("deliverydue", "{bucket}", "{time}|{account}|{target}", "A mark.", "[0-9]{2}",
         rf"{_TIME}[|].*"),
    Kind("backlog", "call-ended", "age", "The age of the oldest leg of a batch.", "call-ended",
         "age"),
    Kind("backlog", "call-ended", "calls", "The last request of a call.", "call-ended", "calls"),
    Kind("backlog", "runs", "{name}", "The last success of a timer, or the last charge.", "runs",
         ".*"),
    Kind("backlog", "posts|{bridge}", "{hour}|{process}", "Counts of the posts of an hour.",
         r"posts[|].*", r".*[|].*"),
    Kind("backlog", "posts|{bridge}", "last", "The last post of the bridge.", r"posts[|].*",
         "last"),
    Kind("backlog", "posts|{bridge}", "last_leg", "The last post with a leg.", r"posts[|].*",
         "last_leg"),
)  # fmt: skip


NAMES: dict[str, set[str]] = {name: {"schema"} for name in TABLES}
"""The names of properties by table."""
for _kind in KINDS:
    NAMES[_kind.table].update(_kind.properties)


def kind_of(row: list[Any]) -> Kind:
    """The first kind that the row is of. Raises LookupError for a row of no kind."""
    for kind in KINDS:
        if kind.holds(row):
            return kind
    raise LookupError(f"tests/docs/tables.py has no kind of row for {row[:3]}")


def table_names() -> set[str]:
    """The names of tables in the source: constants whose name ends with TABLE."""
    return set(_table_names())


def _table_names() -> Iterator[str]:
    for path in (ROOT / "shared" / "adapters").rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            is_text = isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            if is_text and ast.unparse(node.targets[0]).endswith("TABLE"):
                yield str(node.value.value)


@cache
def observed() -> list[list[Any]]:
    """The rows of the file: table, partition, key, schema, and types by property."""
    found: list[list[Any]] = json.loads(OBSERVED.read_text("utf-8"))
    return found


def forms() -> dict[Kind, list[list[Any]]]:
    """The recorded rows by kind."""
    found: dict[Kind, list[list[Any]]] = {kind: [] for kind in KINDS}
    for row in observed():
        found[kind_of(row)].append(row)
    return found


def base(name: str) -> str:
    """The name of a content, which long content has with a number (here `…`)."""
    return name.removesuffix("…")


def _rows(kind: Kind, seen: list[list[Any]]) -> Iterator[tuple[str, ...]]:
    """(property, type, unit, whether each row has it, meaning)."""
    for name, (unit, about) in sorted({**kind.properties, "schema": SCHEMA}.items()):
        types = {
            (each, types[each])
            for *_, types in seen
            for each in types
            if each == name or each == f"{name}…"
        }
        if types:
            always = all(any(base(each) == name for each in row[4]) for row in seen)
            shown = " or ".join(f"`{each}` {kind}" for each, kind in sorted(types))
            yield shown, unit, "always" if always else "sometimes", about


def pages() -> dict[str, str]:
    """The text of docs/reference/tables.md."""
    lines: list[str] = []
    recorded = forms()
    for name, about in TABLES.items():
        lines += [f"## Table `{name}`", "", about, ""]
        for kind in (each for each in KINDS if each.table == name):
            schemas = sorted({str(row[3]) for row in recorded[kind] if row[3] is not None})
            lines += [f"### {code(kind.key)}", "", kind.about, ""]
            lines += [f"Partition key: {code(kind.partition)}. "]
            lines[-1] += f"Schema: {', '.join(schemas)}." if schemas else "It has no schema."
            lines += [
                "",
                *table(
                    ("property and type", "unit or format", "present", "meaning"),
                    _rows(kind, recorded[kind]),
                ),
            ]
    about = """
Every table in Table storage, and every kind of row with its key and its properties. `schema` is the
version of the content of a row: a process that reads a row with a newer schema stops instead of
guessing. Rows of earlier releases stay readable (`tests/schemas`).

Types: `str` is a text, `int` a whole number of 64 bits, `bytes` binary, `bool` true or false,
`datetime` a time. Short content is a text of JSON. Longer content is deflated and split over
numbered properties, which this page writes with `…`. A property that is present *sometimes* is
missing in rows of earlier schemas, or where the meaning explains it. A row whose only property is
`schema` has its content in its key. [ledger.md](../ledger.md) explains the ledger."""
    return {"docs/reference/tables.md": page("Tables and rows", about, lines)}

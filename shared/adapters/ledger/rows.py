"""The ledger in table `ledger` (docs/ledger.md): rows to domain and back, and the chain.

| row key                 | contents                                                        |
| ----------------------- | --------------------------------------------------------------- |
| `state`                 | the state that the next decision needs                          |
| `leg|{hash of leg key}` | guard, content digest, charge, entry; the person's part apart   |
| `leg|{hash}|{entry}`    | the same for the re-rating of the debit with that number        |
| `command|{hash of key}` | guard and entry of a top-up                                     |
| `authorization|{hash}`  | guard: the leg that settled an authorization                    |
| `authorization|{hash}|{entry}` | an unanswered leg that freed its hold                    |
| `journal|{commit}`      | a commit: its entries, the balance, keyed hash over bytes stored |
| `event|{commit}`        | outbox, deleted once published; the journal keeps its digest     |
| `segment|{commit}`      | closed days packed, see `ledger_segments`                        |
| `index|{commit}`        | closed days in columns, see `ledger_index`                      |
| `month|{YYYY-MM}`       | a closed month added up, see `ledger_months`                     |
| `verified`              | the end of the last verification, to continue from there         |
"""

import hashlib
import hmac
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple, cast

from shared.adapters.delivery.outbox import events_document, outbox_of
from shared.adapters.ledger.entry_codec import entry_document, lot_document, read_entry, read_lot
from shared.adapters.ledger.state_codec import (
    change_document,
    notice_document,
    read_change,
    read_notices,
    read_rules,
)
from shared.adapters.tables.packing import (
    fails_closed,
    holders,
    joined,
    pack,
    pack_json,
    split,
    unpack,
)
from shared.domain.common.canonical import canonical_json, content_digest, format_time, parse_time
from shared.domain.common.errors import LedgerCorrupt
from shared.domain.credits.alerts import AlertRule, Event
from shared.domain.credits.included_minutes import PoolMonth
from shared.domain.ledger.model import (
    Entry,
    EntryKind,
    HoldEffect,
    LedgerState,
    SettingsChange,
    SettledDebit,
)
from shared.domain.legs.leg import leg_key_hash
from shared.domain.proof.commits import commit_document, document_hash, entry_leaf
from shared.ports.ledger import Commit, LegRecord
from shared.ports.tables import Row, Value

TABLE = "ledger"
SCHEMA = 2  # 1 has no `hold` in an entry; its first rows have no pools and no burn in the state
RULED_SCHEMA = 3  # of state and journal rows, which name the rules that decided
JOURNAL_SCHEMA = 4  # of journal rows, which name the organizers of their legs beside the entries
PUBLIC_SCHEMA = 5  # of journal rows, which have the public hash of docs/proof.md
PUBLIC_STATE_SCHEMA = 4  # of state rows, which have that of the last commit
STATE = "state"
VERIFIED = "verified"
GENESIS = "0" * 64
KINDS = (
    "authorization|",
    "command|",
    "event|",
    "index|",
    "journal|",
    "leg|",
    "month|",
    "proof|",
    "rate|",
    "segment|",
)
"""The prefixes of row keys, in their order; besides them there are `state` and `verified`."""
_DEFLATE_LEVEL = 3  # the next commit waits for it: half the time of 6, and an eighth more bytes
_CHAINED = ("schema", "commit_id", "at", "first", "entries", "balance", "previous")


def journal_key(commit: int) -> str:
    """Row key of a commit; zero-padded, so that keys sort as numbers do."""
    return f"journal|{commit:020d}"


def leg_row_key(leg: str) -> str:
    """Row key of the guard of a leg."""
    return f"leg|{leg_key_hash(leg)}"


def command_row_key(key: str) -> str:
    """Row key of the guard of a keyed command."""
    return f"command|{hashlib.sha256(key.encode()).hexdigest()}"


def debit_row_key(entry: Entry) -> str:
    """Row key of a debit: that of its leg, and right after it what replaced a debit of the leg."""
    key = leg_row_key(entry.leg or "")
    return key if entry.rerates is None else f"{key}|{entry.rerates:020d}"


def authorization_row_key(authorization: str) -> str:
    """Row key of the guard of an authorization."""
    return f"authorization|{leg_key_hash(authorization)}"


def hold_row_key(entry: Entry) -> str | None:
    """Row key of the effect of a debit on the hold of its authorization; None without an effect."""
    if not entry.is_first_debit or entry.authorization is None:
        return None
    key = authorization_row_key(entry.authorization)
    match entry.hold:
        case HoldEffect.SETTLES:
            return key
        case HoldEffect.FREES:
            return f"{key}|{entry.sequence:020d}"
        case _:
            return None


def hold_values(entry: Entry, commit: int) -> dict[str, Value]:
    """The properties of the row with the effect of a debit on a hold."""
    return {"schema": SCHEMA, "leg": entry.leg or "", "commit": commit, "entry": entry.sequence}


@fails_closed(SCHEMA)
def read_hold(row: Row) -> tuple[str, int]:
    """(leg, entry) that settled or freed a hold."""
    return str(row.values["leg"]), int(cast("int", row.values["entry"]))


def reversal_row_key(debit: int) -> str:
    """Row key of the guard of a debit's reversal, by the number of its entry."""
    return command_row_key(f"\nreversal of entry {debit}")  # no idempotency key has a line break


def command_guard(entry: Entry) -> str | None:
    """Row key of the guard that an entry which is no debit must have, if any."""
    if entry.kind is EntryKind.REVERSAL and entry.reverses is not None:
        return reversal_row_key(entry.reverses)
    if entry.kind is EntryKind.DEBIT or entry.key is None:
        return None
    return command_row_key(entry.key)


# State


def state_values(
    state: LedgerState, head: str, commit_id: str, public: str | None = None
) -> dict[str, Value]:
    """The properties of the state row; `public` is the public hash of the last commit, None while
    those of commits of earlier versions are not computed."""
    return {
        "schema": RULED_SCHEMA if public is None else PUBLIC_STATE_SCHEMA,
        **({} if public is None else {"public": public}),
        "commit": state.commit,
        "entry": state.entry,
        "balance": state.balance_micros,
        "head": head,
        "commit_id": commit_id,
        **pack("data", _state_document(state)),
    }


@fails_closed(PUBLIC_STATE_SCHEMA)
def read_state(row: Row) -> tuple[LedgerState, str]:
    """(state, head hash) of the state row. Raises LedgerCorrupt."""
    data = cast("dict[str, Any]", unpack("data", row.values))
    schema = cast("int", row.values["schema"])
    is_sound = ("rules" in data) is (schema >= RULED_SCHEMA)
    if not is_sound or (public_hash(row) is None) is (schema >= PUBLIC_STATE_SCHEMA):
        raise LedgerCorrupt(f"Row {row.key} has a schema that is not that of its data.")
    state = LedgerState(
        currency=data["currency"],
        commit=int(cast("int", row.values["commit"])),
        entry=int(cast("int", row.values["entry"])),
        balance_micros=int(cast("int", row.values["balance"])),
        deficit_micros=data["deficit"],
        lots=tuple(read_lot(lot) for lot in data["lots"]),
        expired=tuple(read_lot(lot) for lot in data["expired"]),
        credit_limit_micros=data["credit_limit"],
        alert_rules=tuple(AlertRule(**rule) for rule in data["alert_rules"]),
        settings_version=data["settings_version"],
        last_top_up_micros=data["last_top_up"],
        last_charge_micros=data["last_charge"],
        at=parse_time(data["at"]) if data["at"] else None,
        pool_seconds=data.get("pool_seconds", 0),
        pools=tuple(PoolMonth(*pool) for pool in data.get("pools", ())),
        **read_notices(data),
    )
    return state, str(row.values["head"])


def public_hash(row: Row) -> str | None:
    """The public hash of a commit in its journal row, or of the last one in the state row; None in
    rows of versions that had none."""
    public = row.values.get("public")
    return public if isinstance(public, str) else None


def _state_document(state: LedgerState) -> dict[str, object]:
    return {
        "currency": state.currency,
        "deficit": state.deficit_micros,
        "lots": [lot_document(lot) for lot in state.lots],
        "expired": [lot_document(lot) for lot in state.expired],
        "credit_limit": state.credit_limit_micros,
        "alert_rules": [asdict(rule) for rule in state.alert_rules],
        "settings_version": state.settings_version,
        "last_top_up": state.last_top_up_micros,
        "last_charge": state.last_charge_micros,
        "at": format_time(state.at) if state.at else None,
        "pool_seconds": state.pool_seconds,
        "pools": [[pool.month, pool.used_seconds, pool.announced_percent] for pool in state.pools],
        **notice_document(state),
    }


# Journal


class EncodedEntry(NamedTuple):
    """An entry and its explained charge as canonical JSON: encoded once, written twice; `leaf` is
    the public part (docs/proof.md)."""

    entry: bytes
    charge: bytes | None
    leaf: bytes


def encode_entry(entry: Entry) -> EncodedEntry:
    """The bytes of an entry that go into the journal and into its guard."""
    charge = canonical_json(entry.charge) if entry.charge is not None else None
    return EncodedEntry(canonical_json(entry_document(entry)), charge, entry_leaf(entry))


def journal_values(
    chain_key: bytes,
    account: str,
    state: LedgerState,
    entries: Sequence[EncodedEntry],
    *,
    settings: Sequence[SettingsChange],
    events: Sequence[Event] = (),
    rules: Mapping[str, object] | None = None,
    organizers: Sequence[str | None] = (),
    previous: str,
    previous_public: str | None,
    commit_id: str,
    at: datetime,
) -> dict[str, Value]:
    """The properties of a commit's journal row, its keyed hash included.

    The bytes are lines: the changes besides the entries, then a line for each entry, followed by a
    line with its charge where it has one. The organizers of the entries' legs are stored
    separately, not hashed, so that they can be erased. A row has a public hash if the one before
    has.
    """
    document: dict[str, object] = {}
    if settings:
        document["settings"] = [change_document(change) for change in settings]
    if events:
        document["events"] = content_digest(events_document(events))
    if rules:
        document["rules"] = rules
    lines = (line for encoded in entries for line in encoded[:2] if line is not None)
    data = zlib.compress(b"\n".join((canonical_json(document), *lines)), _DEFLATE_LEVEL)
    values: dict[str, Value] = {
        "schema": JOURNAL_SCHEMA if previous_public is None else PUBLIC_SCHEMA,
        "commit_id": commit_id,
        "at": format_time(at),
        "first": state.entry - len(entries) + 1,
        "entries": len(entries),
        "balance": state.balance_micros,
        "previous": previous,
    }
    if previous_public is not None:
        leaves = [encoded.leaf for encoded in entries]
        values["public"] = document_hash(
            commit_document(
                account,
                state.commit,
                at=at,
                balance_micros=state.balance_micros,
                first=state.entry - len(entries) + 1,
                leaves=leaves,
                previous=previous_public,
            )
        )
    values["hash"] = chain_hash(chain_key, account, state.commit, values, data)
    return values | split("data", data) | organizers_values(organizers)


def organizers_values(organizers: Sequence[object]) -> dict[str, Value]:
    """The property with the organizers of entries, or of commits; none where no organizer is
    named."""
    is_named = any(any(each) if isinstance(each, list) else each for each in organizers)
    if not is_named:
        return {}
    return split("organizers", zlib.compress(canonical_json(list(organizers)), _DEFLATE_LEVEL))


def read_organizers(row: Row) -> list[Any]:
    """The organizers of the entries of a journal row, or of the commits of a segment, in order;
    empty without one."""
    if not holders("organizers", row.values):
        return []
    return cast("list[Any]", unpack("organizers", row.values))


def chain_hash(
    chain_key: bytes, account: str, commit: int, values: Mapping[str, Value], data: bytes
) -> str:
    """HMAC-SHA256 over a journal row as stored: the plain properties and the bytes."""
    plain = {name: values.get(name) for name in _CHAINED}
    if "public" in values:
        plain["public"] = values["public"]
    head = canonical_json({"account": account, "commit": commit, **plain})
    return hmac.new(chain_key, head + b"\n" + data, hashlib.sha256).hexdigest()


@fails_closed(PUBLIC_SCHEMA)
def read_commit(row: Row) -> Commit:
    """The commit in a journal row; its hash is not checked here."""
    head, *lines = zlib.decompress(joined("data", row.values)).split(b"\n")
    data = cast("dict[str, Any]", json.loads(head))
    return Commit(
        number=int(row.key.removeprefix("journal|")),
        at=parse_time(str(row.values["at"])),
        balance_micros=int(cast("int", row.values["balance"])),
        first=int(cast("int", row.values["first"])),
        entries=tuple(_read_lines(lines, dict(enumerate(read_organizers(row))))),
        settings=tuple(read_change(change) for change in data.get("settings", ())),
        events_digest=data.get("events"),
        rules=read_rules(data.get("rules")),
    )


@fails_closed(PUBLIC_SCHEMA)
def commit_time(row: Row) -> datetime:
    """The time of the commit in a journal row."""
    return parse_time(str(row.values["at"]))


def _read_lines(lines: Sequence[bytes], organizers: Mapping[int, str | None]) -> Iterator[Entry]:
    """The entries of a journal row; raises ValueError when a charge is missing."""
    rest = iter(lines)
    for number, line in enumerate(rest):
        document = json.loads(line)
        if document.get("charge_digest") is not None:
            document["charge"] = json.loads(next(rest, b""))
        yield read_entry(document, organizers.get(number))


@fails_closed(PUBLIC_SCHEMA)
def read_posted(row: Row) -> list[SettledDebit]:
    """The charges of the first debits of legs in a journal row, and the changes by reversals and
    re-ratings. A hold book that catches up reads thousands of them while a request waits, so
    nothing else is read."""
    lines = iter(zlib.decompress(joined("data", row.values)).split(b"\n")[1:])
    debits: list[SettledDebit] = []
    for line in lines:
        entry = json.loads(line)
        if entry.get("charge_digest") is not None:
            next(lines, None)  # its charge
        kind, leg, hold = entry["kind"], entry.get("leg"), entry.get("hold")
        corrects = entry.get("rerates") is not None or kind == EntryKind.REVERSAL
        is_debit = kind == EntryKind.DEBIT and hold != HoldEffect.KEEPS
        if is_debit or (corrects and leg is not None):
            frees = hold == HoldEffect.FREES
            named = entry.get("authorization")
            debits.append(SettledDebit(named, leg, -entry["amount"], corrects, frees))
    return debits


def journal_bytes(row: Row) -> bytes:
    """The stored bytes that the chain hash covers."""
    return joined("data", row.values)


# Legs, commands, events


def leg_values(
    record: LegRecord, commit: int, encoded: EncodedEntry | None = None
) -> dict[str, Value]:
    """The properties of a leg's guard row; the person's part can be erased alone."""
    entry, charge, _ = encoded or encode_entry(record.entry)
    return {
        "schema": SCHEMA,
        "leg": record.leg,
        "digest": record.digest,
        "commit": commit,
        "entry": entry.decode(),
        **pack_json("charge", charge or canonical_json(record.charge)),
        **pack("person", record.person),
    }


@fails_closed(SCHEMA)
def read_leg(row: Row) -> LegRecord:
    """The record in a leg's guard row."""
    return LegRecord(
        leg=str(row.values["leg"]),
        digest=str(row.values["digest"]),
        charge=cast("dict[str, object]", unpack("charge", row.values)),
        person=cast("dict[str, object]", unpack("person", row.values)),
        entry=read_entry(json.loads(str(row.values["entry"]))),
        commit=int(cast("int", row.values["commit"])),
    )


# The properties that `pack` may keep a person's part in: it is far smaller than 60 KiB.
PERSON = ("schema", "person", "person0")


@fails_closed(SCHEMA)
def read_person(row: Row) -> dict[str, object]:
    """The person's part in a leg's guard row, of which `PERSON` was read."""
    return cast("dict[str, object]", unpack("person", row.values))


def command_values(entry: Entry, content_digest: str, commit: int) -> dict[str, Value]:
    """The properties of a keyed command's guard row."""
    return {
        "schema": SCHEMA,
        "digest": content_digest,
        "commit": commit,
        "entry": canonical_json(entry_document(entry)).decode(),
    }


@fails_closed(SCHEMA)
def read_command(row: Row) -> tuple[str, Entry]:
    """(digest of the command, entry) of a keyed command."""
    return str(row.values["digest"]), read_entry(json.loads(str(row.values["entry"])))


read_outbox = fails_closed(SCHEMA)(outbox_of)

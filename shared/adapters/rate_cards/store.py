"""Rate cards in Table storage: a header row a version, its content in compressed chunks.

Table `ratecards`:

- partition `cards`: a row per card, so that they can be listed;
- partition `card|{card}`: `head`, which every change replaces, so that changes come one after
  another, and `version|{time}`, the header of each version;
- partition `chunks|{card}|{time}|{digest}`: the content, a chunk a row. They are written before
  their header and never changed: a crash leaves orphans, and a reader of the version before finds
  what its header names.

Decoded versions are kept by content, up to RATE_CARDS_CACHED_BYTES_MAX; which versions there are
is read again after RATE_CARD_LIST_SECONDS, and before absence is reported.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.adapters.directory.audit_log import MARKERS, TableAuditLog
from shared.adapters.tables.packing import joined, split
from shared.adapters.tables.schema import refuse_unknown
from shared.domain.common import limits
from shared.domain.common.canonical import format_time
from shared.domain.common.errors import (
    EtagMismatch,
    OutcomeUnknown,
    RowExists,
    RowMissing,
    StoreUnavailable,
)
from shared.domain.rating.packing import Header
from shared.domain.rating.rate_card import (
    RateCardUnreadable,
    RateCardVersion,
    decode_version,
    encode_chunks,
    version_in_force,
)
from shared.domain.rating.versioning import CardVersion, PutRules, check_put
from shared.pacing import NO_REQUEST
from shared.ports.audit import Action, Change
from shared.ports.clock import Clock
from shared.ports.tables import Insert, Operation, Replace, Row, TableStore, Upsert, Value

TABLE = "ratecards"
SCHEMA = 1
_CARDS = "cards"
_HEAD = "head"
_VERSION = "version|"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A header row: its contents, the place of the rates, and their decoder."""

    about: CardVersion
    chunks_partition: str
    header: Header
    etag: str


@dataclass(frozen=True, slots=True)
class _Card:
    """The rows of a card at the time of a read."""

    head_etag: str | None
    stored: tuple[_Stored, ...]
    read_at: datetime

    @property
    def versions(self) -> list[CardVersion]:
        return [item.about for item in self.stored]

    def at(self, effective_from: datetime) -> _Stored | None:
        return next((s for s in self.stored if s.about.effective_from == effective_from), None)


class TableRateCards:
    """The port `RateCardStore` on a TableStore."""

    def __init__(self, tables: TableStore, clock: Clock, log: TableAuditLog | None = None) -> None:
        self._tables = tables
        self._log = log
        self._clock = clock
        self._known: dict[str, _Card] = {}
        self._decoded: OrderedDict[str, RateCardVersion] = OrderedDict()
        self._loading: dict[str, asyncio.Task[RateCardVersion]] = {}
        self._reading: dict[str, tuple[datetime, asyncio.Task[_Card]]] = {}

    async def version_for(
        self, card: str, answered_at: datetime, *, known_at: datetime | None = None
    ) -> RateCardVersion | None:
        cached = self._known.get(card)
        life = timedelta(seconds=limits.RATE_CARD_LIST_SECONDS)
        if (
            cached is not None
            and timedelta(0) <= self._clock.now() - cached.read_at < life
            and (known_at is None or known_at <= cached.read_at)
        ):
            version = _in_force(cached, answered_at)
            if version is not None:
                return await self._load(version)
        version = _in_force(await self._read_shared(card, known_at), answered_at)
        return await self._load(version) if version is not None else None

    async def _read_shared(self, card: str, known_at: datetime | None) -> _Card:
        """The card, read once for all who need it at the same time: the legs of a batch."""
        started_at, task = self._reading.get(card, (None, None))
        if task is None or started_at is None or (known_at or self._clock.now()) > started_at:
            started_at = self._clock.now()
            task = asyncio.create_task(self._read(card), context=NO_REQUEST())
            self._reading[card] = (started_at, task)
            task.add_done_callback(lambda done: self._was_read(card, done))
        return await asyncio.shield(task)

    def _was_read(self, card: str, task: "asyncio.Task[_Card]") -> None:
        if self._reading.get(card, (None, None))[1] is task:
            del self._reading[card]
        if not task.cancelled():
            task.exception()  # where all who wait have given up, no one else reads it

    async def put(self, version: RateCardVersion, rules: PutRules) -> CardVersion:
        """Make or replace a version; raises what `check_put` raises, and StoreUnavailable."""
        check_put((await self._read(version.card)).versions, version.effective_from, rules)
        header, chunks = await asyncio.to_thread(encode_chunks, version)
        partition = _chunks_partition(version, header)
        await self._write_chunks(partition, chunks)
        await self._write_anyway(_CARDS, version.card, {"schema": SCHEMA})
        for _ in range(limits.RATE_CARD_PUT_TRIES_MAX):
            made = await self._try_put(version, rules, header, partition)
            if made is not None:
                self._known.pop(version.card, None)
                return made
        raise StoreUnavailable("Other requests change the rate card at the same time.")

    async def check(self, card: str, effective_from: datetime, rules: PutRules) -> None:
        check_put((await self._read(card)).versions, effective_from, rules)

    async def version(
        self, card: str, effective_from: datetime
    ) -> tuple[CardVersion, RateCardVersion] | None:
        stored = (await self._read(card)).at(effective_from)
        return (stored.about, await self._load(stored)) if stored is not None else None

    async def versions(self, card: str) -> Sequence[CardVersion]:
        return (await self._read(card)).versions

    async def cards(self, *, limit: int, after: str | None) -> Sequence[str]:
        rows = await self._tables.query(TABLE, _CARDS, after=after, limit=limit)
        return [row.key for row in map(_known_schema, rows)]

    async def _read(self, card: str) -> _Card:
        now = self._clock.now()
        stored_rows = await self._tables.query(TABLE, f"card|{card}", before=MARKERS)
        rows = [_known_schema(row) for row in stored_rows]
        head = next((row.etag for row in rows if row.key == _HEAD), None)
        stored = tuple(_stored(card, row) for row in rows if row.key.startswith(_VERSION))
        read = _Card(head, stored, now)
        if stored:
            self._known[card] = read
        return read

    async def _load(self, stored: _Stored) -> RateCardVersion:
        """The decoded version: cached, being loaded by another task, or loaded now."""
        name = stored.chunks_partition
        kept = self._decoded.get(name)
        if kept is not None:
            self._decoded.move_to_end(name)
            return kept
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(
                self._fetch(stored), context=NO_REQUEST()
            )
            task.add_done_callback(lambda done: self._loaded(name, done))
        return await asyncio.shield(task)

    def _loaded(self, name: str, task: "asyncio.Task[RateCardVersion]") -> None:
        self._loading.pop(name, None)
        if not task.cancelled():
            task.exception()  # where all who wait have given up, no one else reads it

    async def _fetch(self, stored: _Stored) -> RateCardVersion:
        rows = await self._tables.query(TABLE, stored.chunks_partition)
        chunks = [joined("data", _known_schema(row).values) for row in rows]
        about = stored.about
        # Inflating a large deck takes a while: others must not wait for it.
        version = await asyncio.to_thread(
            decode_version, about.card, about.effective_from, stored.header, chunks
        )
        self._decoded[stored.chunks_partition] = version
        held_bytes = sum(kept.held_bytes for kept in self._decoded.values())
        while held_bytes > limits.RATE_CARDS_CACHED_BYTES_MAX and len(self._decoded) > 1:
            _, dropped = self._decoded.popitem(last=False)
            held_bytes -= dropped.held_bytes
        return version

    async def _write_chunks(self, partition: str, chunks: Sequence[bytes]) -> None:
        for number, chunk in enumerate(chunks):
            values: dict[str, Value] = {"schema": SCHEMA, **split("data", chunk)}
            await self._write_anyway(partition, f"{number:04}", values)

    async def _write_anyway(self, partition: str, key: str, values: dict[str, Value]) -> None:
        """An upsert with the same contents every time: after an unknown outcome, it is sent
        again."""
        for _ in range(limits.RATE_CARD_PUT_TRIES_MAX):
            try:
                await self._tables.transact(TABLE, partition, [Upsert(key, values)])
            except OutcomeUnknown:
                continue
            return
        raise StoreUnavailable("The rate card could not be stored.")

    async def _try_put(
        self, version: RateCardVersion, rules: PutRules, header: Header, partition: str
    ) -> CardVersion | None:
        """None when the card was changed meanwhile, or the outcome is not known: read again."""
        card = await self._read(version.card)
        present = card.at(version.effective_from)
        if present is not None and _is_this_put(present, partition, rules):
            return present.about
        check_put(card.versions, version.effective_from, rules)
        about = CardVersion(
            card=version.card,
            effective_from=version.effective_from,
            currency=version.currency,
            time_zone=version.time_zone,
            rate_count=len(version),
            revision=present.about.revision + 1 if present else 1,
            written_at=rules.now,
        )
        key = _VERSION + _sortable(version.effective_from)
        values = _values(about, partition, header)
        head: dict[str, Value] = {"schema": SCHEMA, "changed_at": rules.now}
        operations: list[Operation] = [
            Replace(_HEAD, head, card.head_etag) if card.head_etag else Insert(_HEAD, head),
            Replace(key, values, present.etag) if present else Insert(key, values),
        ]
        rows = f"card|{version.card}"
        if self._log is not None:
            change = _change(present, about, header)
            operations.append(await self._log.propose(TABLE, rows, [change]))
        try:
            await self._tables.transact(TABLE, rows, operations)
        except (EtagMismatch, RowExists, RowMissing, OutcomeUnknown):
            return None
        return about


def _in_force(card: _Card, answered_at: datetime) -> _Stored | None:
    start = version_in_force([v.effective_from for v in card.versions], answered_at)
    return card.at(start) if start is not None else None


def _change(present: _Stored | None, about: CardVersion, header: Header) -> Change:
    """The audit-log entry of a version: its rates are named by their digest."""
    return Change(
        Action.CHANGED if present else Action.CREATED,
        "rate_card",
        f"{about.card}/{format_time(about.effective_from)}",
        None,
        _change_body(present.about, present.header) if present else None,
        _change_body(about, header),
    )


def _change_body(about: CardVersion, header: Header) -> dict[str, object]:
    return {
        "card": about.card,
        "effective_from": format_time(about.effective_from),
        "currency": about.currency,
        "time_zone": about.time_zone,
        "rate_count": about.rate_count,
        "sha256": header["sha256"],
    }


def _is_this_put(present: _Stored, partition: str, rules: PutRules) -> bool:
    """True if the row was written by this put, whose response was lost."""
    return present.chunks_partition == partition and present.about.written_at == rules.now


def _chunks_partition(version: RateCardVersion, header: Header) -> str:
    when = _sortable(version.effective_from)
    return f"chunks|{version.card}|{when}|{str(header['sha256'])[:32]}"


def _sortable(moment: datetime) -> str:
    """A time as text of one length: text order is time order."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _values(about: CardVersion, partition: str, header: Header) -> dict[str, Value]:
    return {
        "schema": SCHEMA,
        "effective_from": _sortable(about.effective_from),
        "currency": about.currency,
        "time_zone": about.time_zone,
        "rate_count": about.rate_count,
        "revision": about.revision,
        "written_at": _sortable(about.written_at),
        "chunks": partition,
        "header": json.dumps(header),
    }


def _known_schema(row: Row) -> Row:
    """The row, which is of a schema that this code knows. Raises StoreUnavailable on a newer one,
    RateCardUnreadable where it has none."""
    refuse_unknown(row, (SCHEMA,))
    if not isinstance(row.values.get("schema"), int):
        raise RateCardUnreadable(
            f"The row {row.key} of the rate cards cannot be read. Put the version again."
        )
    return row


def _stored(card: str, row: Row) -> _Stored:
    try:
        values = row.values
        header: Header = json.loads(str(values["header"]))
        about = CardVersion(
            card=card,
            effective_from=_moment(values["effective_from"]),
            currency=str(values["currency"]),
            time_zone=str(values["time_zone"]),
            rate_count=int(str(values["rate_count"])),
            revision=int(str(values["revision"])),
            written_at=_moment(values["written_at"]),
        )
        return _Stored(about, str(values["chunks"]), header, row.etag)
    except (KeyError, TypeError, ValueError) as error:
        raise RateCardUnreadable(
            f"The stored version {row.key.removeprefix(_VERSION)} of rate card {card} cannot be "
            "read. Put the version again with its ETag as If-Match."
        ) from error


def _moment(value: Value) -> datetime:
    return datetime.fromisoformat(str(value)).astimezone(UTC)

"""Dialect `asterisk`: call detail records as JSON or CSV, ARI events and AMI events of a channel.

Asterisk writes a record for each pair of members of a conference (`ignorestatechanges=no`), all of
them of one channel: the leg lasts from the first answer to the last end. ARI and AMI report when a
channel was answered (state Up) and when it ended. The leg id is the channel's unique id.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from shared.adapters.bridges.fields import (
    EARLIER_CONFERENCE,
    authorization_in,
    distinct,
    end_of,
    first_of,
    form_fields,
    identifier,
    json_values,
    labels,
    mapping,
    may_have_moved,
    number_text,
    read_time,
    text_of,
    time_text,
    whole_seconds,
)
from shared.adapters.bridges.xml_bodies import elements
from shared.domain.common.errors import BadRequest, TooLarge
from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX, LEG_SECONDS_MAX
from shared.domain.legs.assembly import (
    CONFERENCE,
    Assembled,
    CallEvent,
    Complete,
    DialectSettings,
    Posted,
    Waiting,
)
from shared.domain.legs.bridge_payloads import BridgePayload, Ignored, Undecided, Unreadable
from shared.domain.legs.leg import EndedLeg

FURTHER_RECORDS = "further records of the channel"
STATE = "the state of the channel"
_COLUMNS = (
    *("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp"),
    *("lastdata", "start", "answer", "end", "duration", "billsec", "disposition", "amaflags"),
    *("uniqueid", "userfield", "linkedid", "peeraccount", "sequence"),
)
_COLUMNS_MIN = 17
# The mapping `Master.csv` of the sample configuration of cdr_custom
_CUSTOM_COLUMNS = (
    *("clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata"),
    *("start", "answer", "end", "duration", "billsec", "disposition", "amaflags"),
    *("accountcode", "uniqueid", "userfield", "sequence"),
)
# Names in AMI and in tables of databases, and those of a record
_OTHER_NAMES = {
    "source": "src",
    "destination": "dst",
    "destinationcontext": "dcontext",
    "callerid": "clid",
    "destinationchannel": "dstchannel",
    "lastapplication": "lastapp",
    "starttime": "start",
    "calldate": "start",
    "answertime": "answer",
    "endtime": "end",
    "billableseconds": "billsec",
}
_DISPOSITIONS = frozenset(
    {"ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION", "NOANSWER", "CANCEL"}
)
_CHANNEL_EVENTS = frozenset(
    {
        *("CHAN_START", "CHAN_END", "ANSWER", "HANGUP", "LINKEDID_END", "APP_START", "APP_END"),
        *("BRIDGE_ENTER", "BRIDGE_EXIT", "PARK_START", "PARK_END", "PICKUP", "FORWARD"),
        *("BLINDTRANSFER", "ATTENDEDTRANSFER", "LOCAL_OPTIMIZE", "USER_DEFINED"),
    }
)
_CONFERENCES = frozenset({"confbridge", "meetme", "conference"})
_AMI_TEXT = re.compile(rb"(?:Event|Response):", re.IGNORECASE)
_VARIABLE = re.compile(r"chanvariable(?:-[0-9]+)?", re.ASCII | re.IGNORECASE)
_FORM = re.compile(rb"[\w%+.()-]+=")
_LOCAL_FIRST = re.compile(r"Local/.*;1", re.ASCII | re.DOTALL)
_CREATED = re.compile(r"(?:.*-)?(\d{9,11})\.\d+", re.ASCII | re.DOTALL)
_DIALLED = re.compile(r"\+?[0-9]{3,20}", re.ASCII)
_CLID = re.compile(r"<([^<>]{1,64})>\s*$")
_MARKS = frozenset({"is_together", "is_bridged"})
_FIRST_LATE_MAX = timedelta(seconds=2)
_CHANNEL_MAX = timedelta(seconds=LEG_SECONDS_MAX)
_NOT_A_LEG = "The channel reached no conference, and no event shows that it was dialled."


def parse(post: BridgePayload) -> list[Posted]:
    """Records and events of a post. Raises BadRequest and TooLarge."""
    body = post.body.lstrip()
    is_form = post.content_type == "application/x-www-form-urlencoded"
    if body[:1] in {b"{", b"["}:
        items = json_values(post.body)
    elif _AMI_TEXT.match(body):
        items = _ami_text(post.body)
    elif body[:1] == b"<":  # the manager interface over HTTP (mxml)
        found = [each.attributes for each in elements(body) if each.path[-1] == "generic"]
        if not found:
            raise BadRequest("The XML has no event. Send a response of mxml.")
        items = _ami_events([[*each.items()] for each in found])
    elif is_form and _FORM.match(body):  # the type that curl states for any body
        items = [form_fields(post.body)]
    else:
        return _csv(post)
    read = [_item(post, item) for item in items]
    return _with_counts(read)


def _ami_text(body: bytes) -> list[object]:
    """Events as the manager interface writes them: lines of a name and a value, an empty line
    between events."""
    blocks = re.split(r"(?:\r?\n){2,}", body.decode("utf-8", "replace").strip())
    lines = [[line.partition(":") for line in block.splitlines()] for block in blocks]
    return _ami_events([[(name, value) for name, _, value in each] for each in lines])


def _ami_events(events: Sequence[Sequence[tuple[str, str]]]) -> list[object]:
    """Events as objects. A channel variable is a line each, in XML with a number (`-2`)."""
    if len(events) > CALL_ENDED_LEGS_MAX:
        raise TooLarge(f"The post has more than {CALL_ENDED_LEGS_MAX} events. Send smaller posts.")
    made: list[object] = []
    for pairs in events:
        fields: dict[str, object] = {name.strip(): value.strip() for name, value in pairs}
        variables = [text.strip() for name, text in pairs if _VARIABLE.fullmatch(name.strip())]
        made.append({**fields, "chanvariable": variables} if variables else fields)
    return made


def _csv(post: BridgePayload) -> list[Posted]:
    """Rows of cdr_csv or cdr_custom; a header line names the columns where they differ."""
    # Names of callers come in any encoding; nothing that is read depends on a byte that is lost.
    lines = post.body.decode("utf-8", "replace").splitlines()
    try:
        rows = [row for row in csv.reader(lines, strict=True) if row]
    except csv.Error:
        raise BadRequest("The body is neither JSON nor CSV. Send one of them.") from None
    if len(rows) > CALL_ENDED_LEGS_MAX:
        raise TooLarge(f"The post has more than {CALL_ENDED_LEGS_MAX} records. Send smaller posts.")
    columns: Sequence[str] = _COLUMNS
    if rows and "uniqueid" in {cell.strip().lower() for cell in rows[0]}:
        names = [cell.strip().lower() for cell in rows[0]]
        columns = [_OTHER_NAMES.get(name, name) for name in names]
        rows = rows[1:]
    read: list[Posted] = []
    is_usual = columns is _COLUMNS
    for row in rows:
        if is_usual:
            is_custom = row[_CUSTOM_COLUMNS.index("disposition") :][:1]
            columns = _CUSTOM_COLUMNS if _DISPOSITIONS & {*is_custom} else _COLUMNS
        record: dict[str, object] = dict(zip(map(str, columns), row, strict=False))
        if len(row) < min(_COLUMNS_MIN, len(columns)):
            text = ",".join(row)
            read.append(Unreadable(None, "The row is no call detail record.", text.encode()))
        else:
            read.append(_record(post, record))
    return _with_counts(read)


def _with_counts(read: list[Posted]) -> list[Posted]:
    """Records of one channel that come in one post are all of them."""
    counts: dict[str, int] = {}
    for item in read:
        if isinstance(item, CallEvent) and item.facts["type"] == "cdr":
            counts[item.call] = counts.get(item.call, 0) + 1
    return [
        CallEvent(item.call, item.leg_id, {**item.facts, "is_together": True}, item.ends)
        if isinstance(item, CallEvent) and counts.get(item.call, 0) > 1
        else item
        for item in read
    ]


def _item(post: BridgePayload, item: object) -> Posted:
    if not isinstance(item, Mapping):
        return Unreadable(None, "The item is no object.", post.body)
    if isinstance(item.get("type"), str) and "disposition" not in item:
        return _ari(post, item)
    fields = _lower(item)
    name = fields.get("event")
    if name is not None and str(name).lower() != "cdr":
        return _ami(post, fields, str(name))
    if name is None and "response" in fields and "uniqueid" not in fields:
        return Ignored("-", "The item is the response to an action of the manager interface.")
    return _record(post, {_OTHER_NAMES.get(key, key): fields[key] for key in fields})


def _record(post: BridgePayload, record: Mapping[str, object]) -> Posted:
    channel_id = identifier(record.get("uniqueid"))
    disposition = (text_of(record.get("disposition")) or "").upper()
    if disposition not in _DISPOSITIONS:
        if str(record.get("accountcode")) in _CHANNEL_EVENTS:
            return Ignored("-", "The row is a channel event (CEL), no call detail record.")
        return Unreadable(channel_id, "The record has no known disposition.", post.body)
    if channel_id is None:
        return Unreadable(None, "The record has no uniqueid.", post.body)
    channel = text_of(record.get("channel")) or ""
    if _LOCAL_FIRST.fullmatch(channel):
        return Ignored(channel_id, "A Local channel ends in the dial plan: its other half dials.")
    application = (text_of(record.get("lastapp")) or "").lower()
    data = text_of(record.get("lastdata")) or ""
    more: dict[str, object] = {
        **labels(post.query, record, _pairs(text_of(record.get("userfield")) or ""))
    }
    if "conference" in more:
        more["is_conference_named"] = True
    elif application in _CONFERENCES and data:
        more["conference"] = data.partition(",")[0]
    times = _record_times(record)
    is_bridged = bool(text_of(record.get("dstchannel")))
    source = number_text(record.get("src"))
    if source is None and (match := _CLID.search(text_of(record.get("clid")) or "")):
        source = number_text(match[1])
    facts = {
        "type": "cdr",
        "is_answered": disposition == "ANSWERED",
        "cause": text_of(record.get("hangupcause"))
        or (disposition if disposition != "ANSWERED" else None),
        "from": source,
        "to": number_text(record.get("dst")),
        "context": text_of(record.get("dcontext")),
        "has_pair": is_bridged and application in _CONFERENCES,
        **{name: time_text(moment) for name, moment in times.items()},
        "seconds": whole_seconds(record.get("billsec")),
        **({"is_bridged": True} if is_bridged and application not in _CONFERENCES else {}),
        **more,
    }
    return CallEvent(channel_id, channel_id, facts, ends=True)


def _record_times(record: Mapping[str, object]) -> Mapping[str, datetime | None]:
    """Start, answer and end. The tables of databases have the start and the seconds only."""
    start, answer, end = (read_time(record.get(name)) for name in ("start", "answer", "end"))
    duration, billed = (whole_seconds(record.get(name)) for name in ("duration", "billsec"))
    if "end" not in record and start is not None and duration is not None:
        end = start + timedelta(seconds=duration)
        if "answer" not in record and billed is not None:
            answer = end - timedelta(seconds=billed)
    return {"start": start, "answer": answer, "end": end}


def _pairs(userfield: str) -> Mapping[str, object]:
    """The labels in a user field: an authorization alone, or `name=value` pairs after `;`."""
    if authorization_in(userfield) is not None:
        return {"authorization": userfield}
    pairs = (part.partition("=") for part in userfield.split(";") if "=" in part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _ari(post: BridgePayload, event: Mapping[str, object]) -> Posted:
    name = str(event["type"])
    channel = event.get("channel")
    channel = channel if isinstance(channel, Mapping) else {}
    channel_id = identifier(channel.get("id"))
    if channel_id is None:
        if name == "ChannelDestroyed":
            return Unreadable(None, "The event has no channel.", post.body)
        return Ignored("-", f"{name} is about no channel.")
    plan = mapping(channel.get("dialplan"))
    bridge = mapping(event.get("bridge"))
    is_conference = bool(bridge) and bridge.get("bridge_class") != "basic"
    return _channel_event(
        name=str(channel.get("name") or ""),
        channel_id=channel_id,
        kind=_kind_of_event(name, channel.get("state"), is_conference=is_conference),
        event=name,
        facts={
            "at": time_text(read_time(event.get("timestamp"))),
            "state": text_of(channel.get("state")),
            "start": time_text(read_time(channel.get("creationtime"))),
            "caller": number_text(mapping(channel.get("caller")).get("number")),
            "connected": number_text(mapping(channel.get("connected")).get("number")),
            "to": number_text(plan.get("exten")),
            "context": text_of(plan.get("context")),
            "cause": text_of(event.get("cause")),
            **labels(post.query, _lower(channel.get("channelvars"))),
        },
        conference=identifier(bridge.get("name")) or identifier(bridge.get("id")),
    )


def _ami(post: BridgePayload, event: Mapping[str, object], name: str) -> Posted:
    channel_id = identifier(event.get("uniqueid"))
    if channel_id is None:
        return Ignored("-", f"{name} is about no channel.")
    variables = {
        str(key).partition("(")[2].rstrip(")"): value
        for key, value in event.items()
        if str(key).startswith("chanvariable(")
    }
    if isinstance(chosen := event.get("chanvariable"), str | list):
        texts = chosen if isinstance(chosen, list) else [chosen]
        variables |= {str(text).partition("=")[0]: str(text).partition("=")[2] for text in texts}
    return _channel_event(
        name=str(event.get("channel") or ""),
        channel_id=channel_id,
        kind=_kind_of_event(name, event.get("channelstatedesc"), is_conference=True),
        event=name,
        facts={
            "at": time_text(read_time(event.get("timestamp") or event.get("at"))),
            "state": text_of(event.get("channelstatedesc")),
            "start": None,
            "caller": number_text(event.get("calleridnum")),
            "connected": number_text(event.get("connectedlinenum")),
            "to": number_text(event.get("exten")),
            "context": text_of(event.get("context")),
            "cause": text_of(event.get("cause")),
            **labels(post.query, _lower(variables)),
        },
        conference=identifier(event.get("conference")),
    )


def _kind_of_event(name: str, state: object, *, is_conference: bool) -> str | None:
    read = name.lower()
    if read in {"channeldestroyed", "hangup"}:
        return "end"
    if read in {"channelstatechange", "newstate"}:
        return "up" if state == "Up" else None
    joined = {"channelenteredbridge", "channelleftbridge", "confbridgejoin", "confbridgeleave"}
    return "conference" if read in joined and is_conference else None


def _channel_event(
    *,
    name: str,
    channel_id: str,
    kind: str | None,
    event: str,
    facts: Mapping[str, object],
    conference: str | None,
) -> Posted:
    if _LOCAL_FIRST.fullmatch(name):
        return Ignored(channel_id, "A Local channel ends in the dial plan: its other half dials.")
    if kind is None:
        return Ignored(channel_id, f"{event} neither answers nor ends a leg.")
    kept = {"type": kind, **facts}
    if kind == "conference":
        kept.setdefault("conference", conference)
    return CallEvent(channel_id, channel_id, kept, ends=kind == "end")


def assemble(settings: DialectSettings, events: Sequence[CallEvent]) -> list[Assembled]:
    """The leg of a channel: of its records where it has any, else of its ARI or AMI events."""
    records = [event for event in events if event.facts["type"] == "cdr"]
    if records:
        return _of_records(settings, records)
    ends = [event for event in events if event.facts["type"] == "end"]
    uses = frozenset(event.id for event in events)
    if not ends:
        return [Waiting(events[0].call, ("the end of the channel",), uses)]
    facts = distinct(event.facts for event in events)
    return [_of_events(settings, end, facts, uses) for end in ends]


def _of_records(settings: DialectSettings, records: Sequence[CallEvent]) -> list[Assembled]:
    uses = frozenset(record.id for record in records)
    ended_by = min(uses)
    call = records[0].call
    without_mark = [
        {name: value for name, value in record.facts.items() if name not in _MARKS}
        for record in records
    ]
    facts = sorted(distinct(without_mark), key=lambda each: str(each["start"] or "~"))
    first = facts[0]
    answered = [each for each in facts if each["is_answered"] and read_time(each["answer"])]
    counted = answered or facts
    started_at = min(_times(facts, "start"), default=None)
    ended_at = max(_times(counted, "end"), default=None)
    is_answered = any(each["is_answered"] for each in facts)
    answered_at = min(_times(answered, "answer"), default=None)
    if started_at is None or ended_at is None or (is_answered and answered_at is None):
        missing = [
            name
            for name, value in (("start", started_at), ("end", ended_at), ("answer", answered_at))
            if value is None and (name != "answer" or is_answered)
        ]
        return [Waiting(call, tuple(missing), uses, ended_by, {"to": first["to"]})]
    named, first_start = facts, started_at
    if answered_at is None:
        # The records of an attempt differ in their times and applications; the channel was created
        # once.
        started_at = ended_at = _created(call) or started_at
        named = [each for each in facts if each.get("is_conference_named")]
    talk = 0
    if answered_at is not None:
        talk = int((ended_at - answered_at).total_seconds())
        if len(answered) == 1 and isinstance(answered[0]["seconds"], int):
            talk = answered[0]["seconds"]
    leg = EndedLeg(
        bridge=settings.bridge,
        leg_id=call,
        conference_id=first_of(named, "conference"),
        kind=_kind(settings, facts),
        from_number=first_of(facts, "from"),
        to_number=first_of(facts, "to"),
        started_at=min(started_at, answered_at or started_at),
        answered_at=answered_at,
        ended_at=ended_at,
        talk_seconds=talk,
        account=first_of(facts, "account"),
        organizer=first_of(facts, "organizer"),
        authorization=first_of(facts, "authorization"),
        hangup_cause=text_of(counted[-1]["cause"]),
    )
    # No record states how many a channel has. Those in one post are all of them, unless the first
    # is missing: the channel was created with it. A caller who was bridged may be transferred.
    is_apart = not any(record.facts.get("is_together") for record in records)
    created = _created(call)
    is_late = created is not None and _FIRST_LATE_MAX < first_start - created < _CHANNEL_MAX
    is_transferable = leg.kind is None and any(each.facts.get("is_bridged") for each in records)
    is_pair = answered_at is not None and any(each["has_pair"] for each in facts)
    waits = (is_apart and (is_pair or is_transferable)) or (answered_at is not None and is_late)
    lacks = (FURTHER_RECORDS,) if waits else ()
    return [Complete(_decided(leg), uses, ended_by, lacks)]


def _of_events(
    settings: DialectSettings,
    end: CallEvent,
    facts: Sequence[Mapping[str, object]],
    uses: frozenset[str],
) -> Assembled:
    last = end.facts
    ups = _times([each for each in facts if each["type"] == "up"], "at")
    ended_at = read_time(last["at"])
    is_answered = bool(ups) or last["state"] == "Up"
    missing = [*(["the time of the end"] if ended_at is None else [])]
    if is_answered and not ups:
        missing.append("the time of the answer (state Up)")
    ordered = [last, *sorted(facts, key=lambda each: str(each["at"] or "~"))]
    if missing or ended_at is None:
        return Waiting(end.call, tuple(missing), uses, end.id, {"to": last["to"]})
    answered_at = min(ups, default=None)
    created = min(_times(ordered, "start"), default=None) or _created(end.call)
    started_at = min(each for each in (created, answered_at, ended_at) if each is not None)
    kind = _kind(settings, ordered)
    dialled = [str(each["to"]) for each in ordered if _DIALLED.fullmatch(str(each["to"]))]
    caller, connected = last["caller"], last["connected"]
    from_number: object = caller
    to_number: object = last["to"]
    if dialled:
        to_number = dialled[0]
    elif kind is LegKind.DIAL_OUT:  # a channel that was originated: its caller id is the callee
        from_number, to_number = connected, caller
    conferences = [each for each in ordered[1:] if each["type"] == "conference"]
    stated = {each.get("conference") for each in ordered if each["type"] != "conference"}
    conference = first_of([*ordered, *conferences], "conference")
    leg = EndedLeg(
        bridge=settings.bridge,
        leg_id=end.call,
        conference_id=conference if answered_at is not None else None,
        kind=kind,
        from_number=from_number if isinstance(from_number, str) else None,
        to_number=to_number if isinstance(to_number, str) else None,
        started_at=started_at,
        answered_at=answered_at,
        ended_at=end_of(answered_at or ended_at, ended_at),
        account=first_of(ordered, "account"),
        organizer=first_of(ordered, "organizer"),
        authorization=first_of(ordered, "authorization"),
        hangup_cause=text_of(last["cause"]),
    )
    lacks: tuple[str, ...] = ()
    if answered_at is None:
        lacks = (STATE,) if last["state"] is None else ()
    elif conference is None:
        lacks = (CONFERENCE,)
    elif conferences and conference not in stated:
        first_at = min(_times(conferences, "at"), default=None)
        if may_have_moved(answered_at, first_at, ended_at):
            lacks = (EARLIER_CONFERENCE,)
    return Complete(_decided(leg), uses, end.id, lacks)


def _decided(leg: EndedLeg) -> EndedLeg | Undecided:
    is_leg = leg.kind is not None or leg.conference_id is not None or leg.account is not None
    return leg if is_leg else Undecided(leg, _NOT_A_LEG)


def _kind(settings: DialectSettings, facts: Iterable[Mapping[str, object]]) -> LegKind | None:
    is_dialled = any(
        each.get("authorization") or each["context"] in settings.outbound_contexts for each in facts
    )
    return LegKind.DIAL_OUT if is_dialled else None


def _times(facts: Iterable[Mapping[str, object]], name: str) -> list[datetime]:
    return [moment for each in facts if (moment := read_time(each.get(name)))]


def _created(channel_id: str) -> datetime | None:
    """The time, in whole seconds, with which Asterisk begins a unique id."""
    match = _CREATED.fullmatch(channel_id)
    return datetime.fromtimestamp(int(match[1]), UTC) if match else None


def _lower(value: object) -> Mapping[str, object]:
    return {str(name).lower(): each for name, each in mapping(value).items()}

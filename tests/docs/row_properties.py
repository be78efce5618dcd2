"""The properties of each kind of row, for the page of tables: unit or format, and meaning.

The page needs an entry for every property that the product wrote (rows.json), and refuses entries
that no row has. `tests/conftest.py` refuses a property that has no entry, in every test.
"""

from typing import NamedTuple

MICROS = "millionths of the account's currency unit"
TIME = "time, RFC 3339, UTC"
JSON = "JSON"
HASH = "SHA-256 in hexadecimal digits"
HMAC = "HMAC-SHA256 in hexadecimal digits"
COMMIT = "number of a commit, from 1"
ENTRY = "number of an entry, from 1"
COUNT = "count"
SECONDS = "seconds"
ID = "id"
TEXT = "text"
FLAG = "`true` or `false`"
DAY = "`YYYY-MM-DD`, local"
ZONE = "name in the IANA database"
DEFLATED = "deflated JSON"


class Property(NamedTuple):
    """The unit or format of a property, and its meaning."""

    unit: str
    about: str


SCHEMA = Property("version", "The version of the content of the row.")
_COMMIT_ID = Property(
    "random text", "The id of the commit: a process recognizes its own commit after a lost answer."
)
_HEAD = Property(HMAC, "The keyed hash of the last commit in the journal.")
_PUBLIC = Property(HASH, "The public hash of the last commit ([proof.md](../proof.md)).")
_ORGANIZERS = Property(
    DEFLATED,
    "The organizers of the entries, in their order. They are stored "
    "apart, so that they can be erased.",
)
_OUTBOX = {
    "at": Property(TIME, "The time of the commit."),
    "data": Property(JSON, "The events: type and data of each."),
}
_STATE = {
    "balance": Property(MICROS, "The balance."),
    "commit": Property(COMMIT, "The last commit."),
    "commit_id": _COMMIT_ID,
    "data": Property(
        JSON,
        "Currency, lots, credit limit, alert rules, included minutes, open alerts and recharges.",
    ),
    "entry": Property(ENTRY, "The last entry."),
    "head": _HEAD,
    "public": _PUBLIC,
}
_LEG = {
    "charge": Property(JSON, "The explained charge."),
    "commit": Property(COMMIT, "The commit of the debit."),
    "digest": Property(
        HASH,
        "The digest of the content of the leg: the same leg with another content is a conflict.",
    ),
    "entry": Property(JSON, "The debit."),
    "leg": Property(ID, "The key of the leg: `{bridge}~{leg id}`."),
    "person": Property(JSON, "Numbers and organizer of the leg. They can be erased alone."),
}
_HELD = {
    "commit": Property(COMMIT, "The commit of the debit."),
    "entry": Property(ENTRY, "The debit."),
    "leg": Property(ID, "The key of the leg: `{bridge}~{leg id}`."),
}
_USAGE = {
    "after": Property(COMMIT, "The last commit before the day."),
    "data": Property(
        JSON,
        "The sums of each combination of kind, destination, organizer, cost "
        "center, hour and the like.",
    ),
    "day": Property(DAY, "The day on which the legs were booked."),
    "last": Property(COMMIT, "The last commit of the day."),
    "organizers": Property(
        DEFLATED, "The organizers of the sums. They are stored apart, so that they can be erased."
    ),
    "time_zone": Property(ZONE, "The time zone of the day."),
}
_GRANT = {
    "amount": Property(MICROS, "The amount on hold."),
    "expires_at": Property(f"{TIME}, or empty", "The end of the hold."),
    "granted_seconds": Property(SECONDS, "The granted duration."),
    "pool_seconds": Property(SECONDS, "The part of it from included minutes."),
}
PROPERTIES: dict[tuple[str, str], dict[str, Property]] = {
    ("ledger", "state"): _STATE,
    ("ledger", "journal|{commit}"): {
        "at": Property(TIME, "The time of the commit."),
        "balance": Property(MICROS, "The balance after the commit."),
        "commit_id": _COMMIT_ID,
        "data": Property(f"{DEFLATED}, in lines", "Changes of settings, the digest of events, the "
                         "entries and their charges."),
        "entries": Property(COUNT, "The number of entries."),
        "first": Property(ENTRY, "The first entry."),
        "hash": Property(HMAC, "The keyed hash of this row."),
        "organizers": _ORGANIZERS,
        "previous": Property(HMAC, "The keyed hash of the commit before."),
        "public": Property(HASH, "The public hash of the commit ([proof.md](../proof.md))."),
    },
    ("ledger", "leg|{hash}"): _LEG,
    ("ledger", "leg|{hash}|{entry}"): _LEG,
    ("ledger", "command|{hash}"): {
        "commit": Property(COMMIT, "The commit of the entry."),
        "digest": Property(HASH, "The digest of the request: the same key with another request is "
                           "refused."),
        "entry": Property(JSON, "The entry."),
    },
    ("ledger", "authorization|{hash}"): _HELD,
    ("ledger", "authorization|{hash}|{entry}"): _HELD,
    ("ledger", "event|{commit}"): _OUTBOX,
    ("ledger", "segment|{commit}"): {
        "data": Property(DEFLATED, "The commits with their entries, in order."),
        "organizers": _ORGANIZERS,
    },
    ("ledger", "index|{commit}"): {
        "after": Property(COMMIT, "The commit before the first one of the row."),
        "data": Property(DEFLATED, "Commits, and columns of their entries: kind, amount, times, "
                         "group, conference, seconds, leg and corrected debit."),
        "numbers": Property(DEFLATED, "Two fingerprints of 16 bits for each leg: of the caller and "
                            "the called number. An erasure removes them."),
        "organizers": _ORGANIZERS,
    },
    ("ledger", "month|{month}"): {
        "after": Property(COMMIT, "The last commit before the month."),
        "closing": Property(MICROS, "The balance at the end of the month."),
        "data": Property(JSON, "The sums by kind of entry, kind of leg, destination, organizer and "
                         "cost center."),
        "head": Property(HMAC, "The keyed hash of the last commit of the month."),
        "last": Property(COMMIT, "The last commit of the month."),
        "opening": Property(MICROS, "The balance at the beginning of the month."),
        "time_zone": Property(ZONE, "The time zone of the month."),
    },
    ("ledger", "usage|{day}|{part}"): _USAGE,
    ("ledger", "usage|{day}|late|{day}|{part}"): _USAGE,
    ("ledger", "usage|head"): {
        "last": Property(COMMIT, "The last commit of the last closed day."),
        "through": Property(DAY, "The last closed day."),
        "time_zone": Property(ZONE, "The time zone of the days. Another time zone of the account "
                              "closes all days again."),
    },
    ("ledger", "proof|{day}"): {
        "data": Property(JSON, "The signed root, and the digests of its rates."),
        "digest": Property(HASH, "The digest of the signed root. The root of the next day has it."),
    },
    ("ledger", "proof|{day}|{part}"): {
        "hashes": Property("32 bytes for each commit", "The public hashes of the commits of the "
                           "day, in order."),
    },
    ("ledger", "proof|head"): {"day": Property(DAY, "The last closed day.")},
    ("ledger", "rate|{digest}"): {"data": Property(JSON, "The rate.")},
    ("ledger", "verified"): {
        **_STATE,
        "indexed_commit": Property(f"{COMMIT}; 0: none", "The last commit in columns that was "
                                   "compared with the journal."),
        "legs": Property(COUNT, "The legs up to the commit."),
        "month": Property("`YYYY-MM`, or empty", "The last closed month that was compared with the "
                          "journal."),
        "opened": Property(JSON, "Every lot that was ever opened."),
        "packed_commit": Property(f"{COMMIT}; 0: none", "The last commit of a segment that was "
                                  "compared with the journal."),
        "seal": Property(HMAC, "The keyed hash of this row: without the chain key no process can "
                         "hide earlier changes."),
    },
    ("holds", "state"): {
        "commit": Property(COMMIT, "The last commit of the hold book."),
        "commit_id": _COMMIT_ID,
        "data": Property(JSON, "Open holds, counters of the account, balance, expiring lots and "
                         "included minutes."),
        "ledger_commit": Property(COMMIT, "The commit of the ledger up to which the balance is "
                                  "known."),
    },
    ("holds", "hold|{authorization}"): {
        **_GRANT,
        "answer": Property(JSON, "The answer: a repeated request gets the same."),
        "asked_at": Property(f"{TIME}, or empty", "The time of the request."),
        "bridge": Property(ID, "The bridge."),
        "conference": Property(f"{ID}, or empty", "The conference."),
        "day": Property(f"{DAY}, or empty", "The day to which the counters add the call."),
        "digest": Property(HASH, "The digest of the request."),
        "from": Property("E.164, or empty", "The number of the caller."),
        "organizer": Property(f"{ID}, or empty", "The organizer."),
        "rate": Property(f"{JSON}, or empty", "The rate card, its version and the prefix that "
                         "priced the call."),
        "scopes": Property("hashes with spaces between", "The counters that the call adds to."),
    },
    ("holds", "hold|{authorization}|grant"): _GRANT,
    ("holds", "hold|{authorization}|released"): {},
    ("holds", "leg|{hash}"): {
        "authorization": Property(ID, "The last authorization that was placed for the leg."),
    },
    ("holds", "spend|{scope}|{hash}"): {
        "data": Property(JSON, "Spend by day and month, dial-outs by minute, regions and announced "
                         "warnings."),
    },
    ("holds", "event|{commit}"): _OUTBOX,
    ("holds", "~~audit|{countdown}|{token}"): {},
    ("directory", "{countdown}|{token}"): {
        "account": Property(f"{ID}, or empty", "The account that the setting belongs to."),
        "action": Property("`created`, `changed`, `deleted`, `stopped` or `restarted`",
                           "The kind of the change."),
        "actor": Property(TEXT, "The API key, principal or timer that made the change."),
        "after": Property(JSON, "The setting after the change, without secrets."),
        "at": Property("time, UTC", "The time of the change."),
        "before": Property(JSON, "The setting before the change, without secrets."),
        "key": Property(ID, "The id of the setting."),
        "kind": Property(TEXT, "The kind of the setting."),
        "marker": Property("row key", "The marker: the change happened if this row exists."),
        "partition": Property("partition key", "The partition of the marker."),
        "request_id": Property(f"{ID}, or empty", "The request in the log."),
        "table": Property("name of a table", "The table of the marker."),
    },
    ("directory", "{id}"): {
        "id": Property(ID, "The id. The row key has it with escaped characters."),
    },
    ("directory", "complete"): {},
    ("directory", "{key}"): {
        "at": Property("time, UTC", "The last use of the key, within some minutes."),
    },
    ("directory", "~{n}"): {"id": Property(ID, "The document that takes this place.")},
    ("directory", "~~audit|{countdown}|{token}"): {},
    ("directory", "{id} or {hash of id}"): {
        "document": Property(JSON, "The setting, if its text is short and has no secrets."),
        "id": Property(ID, "The id of the setting."),
        "packed": Property(DEFLATED, "The setting, if its text is long."),
        "sealed": Property("sealed bytes", "The setting of a bridge or webhook, encrypted with "
                           "`PERMINUTE_SECRETS_KEY`."),
        "version": Property("number", "The version, from which the `ETag` is made."),
    },
    ("ratecards", "{card}"): {},
    ("ratecards", "head"): {"changed_at": Property("time, UTC", "The last change of the card.")},
    ("ratecards", "version|{time}"): {
        "chunks": Property("partition key", "The partition of the rates."),
        "currency": Property("ISO 4217", "The currency of the prices."),
        "effective_from": Property(TIME, "The time from which the version is in force."),
        "header": Property(JSON, "Rounding, time bands and all else that every rate shares; and "
                           "the digest of the rates."),
        "rate_count": Property(COUNT, "The number of rates."),
        "revision": Property("number, from 1", "The number of times that the version was put."),
        "time_zone": Property(ZONE, "The time zone of time bands."),
        "written_at": Property(TIME, "The time at which the version was put."),
    },
    ("ratecards", "~~audit|{countdown}|{token}"): {},
    ("ratecards", "{number}"): {
        "data": Property(f"part of {DEFLATED}", "A part of the rates."),
    },
    ("legs", "{hash}"): {
        "account": Property(ID, "The account that pays for the leg."),
        "leg": Property(ID, "The key of the leg: `{bridge}~{leg id}`."),
        "organizer": Property(f"{ID}, or empty", "The organizer of the leg."),
    },
    ("calls", "event|{call}|{slot}"): {
        "bridge": Property(ID, "The bridge."),
        "call": Property(ID, "The call, as the bridge names it."),
        "due_at": Property(TIME, "The time at which the call is assembled without its missing "
                           "events."),
        "ends": Property(FLAG, "Whether the event ends a leg."),
        "erased": Property(FLAG, "The facts were erased."),
        "facts": Property(JSON, "The facts of the event."),
        "id": Property(ID, "The id of the event. Rows of schema 1 have it in their key."),
        "leg_id": Property(ID, "The leg, as the bridge names it."),
        "received_at": Property(TIME, "The time of the post."),
    },
    ("calls", "due|{time}|{call}|{event}"): {
        "bridge": Property(ID, "The bridge."),
        "call": Property(ID, "The call, as the bridge names it."),
        "event": Property(ID, "The event."),
    },
    ("parked", "{id}"): {
        "account": Property(f"{ID}, or empty", "The account, if the leg names one."),
        "actor": Property(f"{TEXT}, or empty", "The caller that replayed or dismissed the leg."),
        "announced": Property(FLAG, "Whether the event `leg.parked` was emitted."),
        "attempts": Property(COUNT, "The attempts to charge the leg."),
        "bridge": Property(ID, "The bridge."),
        "charged_as": Property(f"{ID}, or empty", "The key of the leg under which it is charged, "
                               "if another."),
        "detail": Property(TEXT, "The cause, in a sentence."),
        "leg": Property(ID, "The key of the leg: `{bridge}~{leg id}`."),
        "more": Property(FLAG, "The row `{id}|more` has the rest of `original`."),
        "note": Property(f"{TEXT}, or empty", "The reason of a dismissal."),
        "original": Property(JSON, "The leg, or the text of a post that cannot be read."),
        "reason": Property("[reason](../errors.md#reasons-for-parking)", "The kind of the cause."),
        "received_at": Property(TIME, "The time of the post."),
        "status": Property("`open`, `replayed` or `dismissed`", "The status."),
    },
    ("parked", "{id}|more"): {
        "original": Property(f"part of {DEFLATED}", "The parts of `original` after the twelfth."),
    },
    ("inbox", "{message id}"): {
        "attempt": Property(COUNT, "The attempts before this message."),
        "body": Property("bytes", "The message: legs of one bridge."),
        "bridge": Property(ID, "The bridge."),
        "received_at": Property(TIME, "The time of the post."),
    },
    ("notices", "alert|{countdown}|{part}"): {
        "actor": Property(TEXT, "The caller that acknowledged the alert, in the part `a`."),
        "at": Property(TIME, "The time of the part."),
        "data": Property(JSON, "The event, in each part with a number."),
    },
    ("notices", "recharge|{countdown}|{commit}|{n}"): {
        "data": Property(JSON, "The recharge: status, amount, attempts, results."),
    },
    ("notices", "denial|{countdown}|{id}"): {
        "at": Property("time, UTC", "The time of the request."),
        "bridge": Property(ID, "The bridge."),
        "conference": Property(f"{ID}, or empty", "The conference."),
        "direction": Property("`dial_out` or `dial_in`", "The direction of the call."),
        "message": Property(TEXT, "The cause, in a sentence."),
        "organizer": Property(f"{ID}, or empty", "The organizer."),
        "reason": Property("[reason](../dial-out.md#handle-a-denial)", "The kind of the cause."),
        "region": Property("ISO 3166-1 code, or empty", "The country or territory of the number."),
        "to": Property("E.164", "The called number."),
    },
    ("deliveries", "event|{countdown}"): {
        "accepted_at": Property(TIME, "The time at which the delivery was created."),
        "answer": Property("HTTP status; 0: none", "The last answer of the receiver."),
        "attempts": Property(COUNT, "The attempts so far."),
        "body": Property(f"bytes of {JSON}", "The event, as it is sent."),
        "ended_at": Property(f"{TIME}, or empty", "The time of the success, or of the last "
                             "attempt."),
        "error": Property(f"{TEXT}, or empty", "The cause of the last failure."),
        "event": Property(ID, "The event."),
        "first_at": Property(f"{TIME}, or empty", "The first attempt."),
        "next_at": Property(f"{TIME}, or empty", "The next attempt."),
        "status": Property("`pending`, `delivered`, `dead` or `stopped`", "The status: `dead` "
                           "after three days, `stopped` if the receiver answered 410."),
        "type": Property(TEXT, "The type of the event."),
    },
    ("deliveries", "pending|{commit}|{n}"): {"event": Property(ID, "The event.")},
    ("deliveries", "state"): {
        "stopped": Property(f"{TIME}, or empty", "The time at which deliveries to the target were "
                            "stopped."),
        "token": Property("random text", "The process that sends to the target."),
        "until": Property(f"{TIME}, or empty", "The end of the right to send."),
    },
    ("due", "{time}|{account}|{cause}"): {},
    ("deliverydue", "{time}|{account}|{target}"): {},
    ("backlog", "age"): {
        "age_seconds": Property(SECONDS, "The age of the oldest leg of the batch; 0 below the "
                                "limit `BACKLOG_SECONDS_MIN`."),
        "at": Property(TIME, "The time of the batch."),
    },
    ("backlog", "calls"): {"at": Property("time, UTC", "The time of the request.")},
    ("backlog", "{name}"): {"at": Property("time, UTC", "The time of the last success.")},
    ("backlog", "{hour}|{process}"): {
        "ignored": Property(f"{JSON}: count by reason", "The posts that had no leg."),
        "legs": Property(COUNT, "The accepted legs."),
        "parked": Property(COUNT, "The parked legs."),
    },
    ("backlog", "last"): {"at": Property("time, UTC", "The last post.")},
    ("backlog", "last_leg"): {"at": Property("time, UTC", "The last post with a leg.")},
}  # fmt: skip

"""The bugs: what stands in the source, what is planted instead, and the tests that look there.

`sim` says whether the simulator, too, has to find it by itself; the others break nothing that a
history can show, or only what another layer mends.
"""

from dataclasses import dataclass

UNIT = "tests/unit/"


@dataclass(frozen=True)
class Bug:
    """`old` stands exactly once in `file`; `tests` is a file of `UNIT`."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    sim: bool = False


BUGS = (
    Bug(
        "the ledger's state is written without If-Match",
        "shared/adapters/ledger_store.py",
        "else Replace(rows.STATE, values, before.etag),",
        "else Replace(rows.STATE, values, None),",
        "ledger/test_committer.py",
    ),
    Bug(
        "the hold book's state is written without If-Match",
        "shared/adapters/hold_book.py",
        "else Replace(rows.STATE, values, before.etag),",
        "else Replace(rows.STATE, values, None),",
        "holds/test_book.py",
    ),
    Bug(
        "a debit leaves no guard",
        "shared/adapters/ledger_store.py",
        "*(row for decision in decisions for row in _guard_rows(decision, number, spelled)),",
        "*(row for decision in decisions if not isinstance(decision.command, DebitLeg)\n"
        "              for row in _guard_rows(decision, number, spelled)),",
        "ledger/test_committer.py",
        sim=True,
    ),
    Bug(
        "a leg is not claimed",
        "shared/usecases/resolve_leg.py",
        "return _Owner(pinned.account, pinned.organizer) if pinned else owner",
        "return owner",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "nobody looks for the commit's id after a time-out",
        "shared/adapters/ledger_store.py",
        'return row is not None and row.values.get("commit_id") == commit_id',
        "return False",
        "ledger/test_committer.py",
    ),
    Bug(
        "after a time-out the commit is taken for written",
        "shared/adapters/ledger_store.py",
        'return row is not None and row.values.get("commit_id") == commit_id',
        "return True",
        "ledger/test_committer.py",
        sim=True,
    ),
    Bug(
        "a refusal from a cached state is given",
        "shared/adapters/group_commit.py",
        "if answers and cached is not None:",
        "if answers and cached is None and state is None:",
        "ledger/test_committer.py",
    ),
    Bug(
        "one row twice in a transaction: a guard is not looked for in its own group",
        "shared/adapters/group_commit.py",
        "if waiter.guard is not None and waiter.guard in guards:",
        "if waiter.guard is not None and waiter.guard in set[str]():",
        "ledger/test_committer.py",
    ),
    Bug(
        "a second try forgets the group that the first had planned ahead",
        "shared/adapters/group_commit.py",
        "if lane.waiting and lane.ahead is None and not sending.done():",
        "if lane.waiting and not sending.done():",
        "ledger/test_committer.py",
    ),
    Bug(
        "a leg too large for any transaction takes its group down",
        "shared/adapters/group_commit.py",
        "plan.waiters[0].give(too_large)  # its neighbours go on without it",
        "raise",
        "ledger/test_committer.py",
    ),
    Bug(
        "the same leg with other content is taken for a repetition",
        "shared/adapters/ledger_store.py",
        "if digest != _digest(command):",
        "if digest is None:",
        "ledger/test_committer.py",
        sim=True,
    ),
    Bug(
        "lots are drawn last in, first out",
        "shared/domain/lots.py",
        "    for lot in lots:\n        taken = ",
        "    for lot in reversed(tuple(lots)):\n        taken = ",
        "ledger/test_lots.py",
        sim=True,
    ),
    Bug(
        "a new lot does not pay the deficit",
        "shared/domain/ledger_booking.py",
        "    owed = min(state.deficit_micros, amount_micros)\n",
        "    owed = 0\n",
        "ledger/test_lots.py",
        sim=True,
    ),
    Bug(
        "expiry takes what is held",
        "shared/domain/ledger_credits.py",
        "free = max(0, state.balance_micros - command.held_micros)",
        "free = max(0, state.balance_micros)",
        "ledger/test_invariants.py",
    ),
    Bug(
        "a late leg draws on a lot for ever",
        "shared/domain/ledger_debits.py",
        "return max(command.answered_at, now - timedelta(hours=limits.LATE_LEG_HOURS))",
        "return command.answered_at",
        "ledger/test_lots.py",
    ),
    Bug(
        "times run back with the clock",
        "shared/domain/ledger_decide.py",
        "moment = max(now, state.at) if state and state.at else now",
        "moment = now",
        "ledger/test_decide.py",
        sim=True,
    ),
    Bug(
        "an alert is armed again without a margin",
        "shared/domain/alerts.py",
        "return max(abs(threshold_micros) * REARM_PER_CENT // 100, last_charge_micros)",
        "return 0",
        "ledger/test_alerts.py",
    ),
    Bug(
        "the chain does not hash the balance",
        "shared/adapters/ledger_rows.py",
        '"entries", "balance", "previous")',
        '"entries", "previous")',
        "ledger/test_chain.py",
    ),
    Bug(
        "verification does not look at leg rows",
        "shared/adapters/ledger_verify.py",
        "        await leg_rows(run, tables, account)\n",
        "",
        "ledger/test_tampering.py",
    ),
    Bug(
        "the due mark is skipped",
        "shared/adapters/ledger_store.py",
        "            await self._due.mark(sorted(marks, key=lambda mark: (mark.at, mark.kind)))",
        "            pass",
        "ledger/test_committer.py",
        sim=True,
    ),
    Bug(
        "the due mark is written after the commit",
        "shared/adapters/group_commit.py",
        "        await self._book.prepare(partition, plan.steps, self._clock.now())\n"
        "        try:\n"
        "            etags = await self._send(partition, lane, plan)\n",
        "        try:\n"
        "            etags = await self._send(partition, lane, plan)\n"
        "            await self._book.prepare(partition, plan.steps, self._clock.now())\n",
        "ledger/test_committer.py",
    ),
    Bug(
        "a mark is cleared at once, though its commit may still come",
        "shared/usecases/watch_balances.py",
        "settled = now - timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)",
        "settled = now",
        "ledger/test_publishing.py",
    ),
    Bug(
        "an event is deleted before it is published",
        "shared/usecases/publish_events.py",
        "                await self._notices.keep(account, row)\n",
        "                await self._ledger.published(account, row.commit)\n"
        "                await self._notices.keep(account, row)\n",
        "ledger/test_publishing.py",
        sim=True,
    ),
    Bug(
        "the message id is the leg's key alone",
        "shared/domain/legs.py",
        'return f"{leg_key_hash(self.leg.key)[:40]}.{self.leg.digest()[:40]}.{self.attempt}"',
        "return leg_key_hash(self.leg.key)",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "what is sent again has the id that it had",
        "shared/usecases/charge_legs.py",
        "again = QueuedLeg(leg.leg, leg.received_at, leg.attempt + 1)",
        "again = QueuedLeg(leg.leg, leg.received_at, leg.attempt)",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "of two attempts in a batch the first goes on",
        "functions/rate_and_debit.py",
        "if name not in legs or legs[name].attempt < queued.attempt:",
        "if name not in legs:",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "an error of one leg takes its batch down",
        "shared/usecases/charge_legs.py",
        "        except Exception as error:  # noqa: BLE001",
        "        except ZeroDivisionError as error:  #",
        "ledger/test_delivery.py",
    ),
    Bug(
        "parked legs are told apart by their key alone",
        "shared/domain/parking.py",
        'return f"{leg_key_hash(leg.key)[:32]}.{leg.digest()[:32]}"',
        'return f"{leg_key_hash(leg.key)[:32]}.{leg_key_hash(leg.key)[:32]}"',
        "ledger/test_parking.py",
        sim=True,
    ),
    Bug(
        "a parked leg that was replayed is opened again by who comes later",
        "shared/adapters/parking_store.py",
        "if _ORDER[kept.status] > _ORDER[parked.status]:",
        "if _ORDER[kept.status] > 9:",
        "ledger/test_parking.py",
    ),
    Bug(
        "the inbox forgets a leg before the queue has it",
        "shared/usecases/forward_inbox.py",
        "        await self._queue.send(waiting)\n"
        "        for message in waiting:\n"
        "            await self._inbox.sent(message)\n",
        "        for message in waiting:\n"
        "            await self._inbox.sent(message)\n"
        "        await self._queue.send(waiting)\n",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "a webhook is answered 2xx although nobody has the leg",
        "shared/usecases/receive_legs.py",
        "            await self._inbox.keep(messages, self._clock.now())\n",
        "            pass\n",
        "ledger/test_delivery.py",
        sim=True,
    ),
    Bug(
        "who wrote settings without an answer is told that somebody else was faster",
        "shared/adapters/records.py",
        "                unsure = version\n",
        "                unsure = None\n",
        "ledger/test_unsure_writes.py",
    ),
    Bug(
        "a hold does not count the other holds",
        "shared/domain/holds.py",
        "return self.available_micros(now) - lapsed",
        "return self.balance_micros + self.credit_limit_micros - lapsed",
        "holds/test_book.py",
    ),
    Bug(
        "extending adds seconds instead of naming the total",
        "shared/domain/hold_decide.py",
        "    cover = _cover(command.pricing, means, command.wanted_seconds)\n"
        "    if cover.seconds <= hold.granted_seconds:\n",
        "    more = hold.granted_seconds + command.wanted_seconds\n"
        "    cover = _cover(command.pricing, means, more)\n"
        "    if cover.seconds <= hold.granted_seconds:\n",
        "holds/test_book.py",
    ),
    Bug(
        "a float touches the price",
        "shared/domain/rating.py",
        "round_ratio(numerator, tariff.divisor, tariff.mode) * tariff.step_micros,",
        "round(numerator / tariff.divisor) * tariff.step_micros,",
        "rating/test_charges.py",
    ),
    Bug(
        "an increment that has begun is not billed",
        "shared/domain/rating.py",
        "count = -(-talk_seconds // tariff.increment_seconds)",
        "count = talk_seconds // tariff.increment_seconds",
        "rating/test_charges.py",
        sim=True,
    ),
)

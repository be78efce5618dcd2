"""The bugs: what stands in the source, what is planted instead, and the test that has to see it.

`seed` is the first history of the simulator that shows it, too; where there is none, the bug breaks
nothing that a history can show, only what another layer mends, or it takes more coincidences than
a hundred seeds have.
"""

from dataclasses import dataclass

UNIT = "tests/unit/"


@dataclass(frozen=True)
class Bug:
    """`old` stands exactly once in `file`; `tests` is a file of `UNIT`, `test` a function in it."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    test: str
    seed: int | None = None


BUGS = (
    Bug(
        "the ledger's state is written without If-Match",
        "shared/adapters/ledger_store.py",
        "else Replace(rows.STATE, values, before.etag),",
        "else Replace(rows.STATE, values, None),",
        "ledger/test_committer.py",
        "test_a_leg_is_debited_once_whatever_the_store_answers",
    ),
    Bug(
        "the hold book's state is written without If-Match",
        "shared/adapters/hold_book.py",
        "else Replace(rows.STATE, values, before.etag),",
        "else Replace(rows.STATE, values, None),",
        "holds/test_book.py",
        "test_a_stop_bites_on_every_process_with_its_next_question",
    ),
    Bug(
        "a debit leaves no guard",
        "shared/adapters/ledger_store.py",
        "*(row for decision in decisions for row in _guard_rows(decision, number, spelled)),",
        "*(row for decision in decisions if not isinstance(decision.command, DebitLeg)\n"
        "              for row in _guard_rows(decision, number, spelled)),",
        "ledger/test_committer.py",
        "test_a_leg_is_debited_once_whatever_the_store_answers",
        seed=0,
    ),
    Bug(
        "a leg is not claimed",
        "shared/usecases/resolve_leg.py",
        "return _Owner(pinned.account, pinned.organizer) if pinned else owner",
        "return owner",
        "ledger/test_delivery.py",
        "test_a_bridge_that_served_one_account_only_pins_its_legs_too",
        seed=372,
    ),
    Bug(
        "nobody looks for the commit's id after a time-out",
        "shared/adapters/ledger_store.py",
        'return row is not None and row.values.get("commit_id") == commit_id',
        "return False",
        "ledger/test_committer.py",
        "test_a_leg_is_debited_once_whatever_the_store_answers",
    ),
    Bug(
        "after a time-out the commit is taken for written",
        "shared/adapters/ledger_store.py",
        'return row is not None and row.values.get("commit_id") == commit_id',
        "return True",
        "ledger/test_committer.py",
        "test_a_leg_is_debited_once_whatever_the_store_answers",
        seed=6,
    ),
    Bug(
        "a refusal from a cached state is given",
        "shared/adapters/group_commit.py",
        "if (at_once or group.answers) and cached is not None:",
        "if group.answers and cached is None and state is None:",
        "ledger/test_committer.py",
        "test_a_refusal_from_what_this_process_committed_itself_is_asked_again",
    ),
    Bug(
        "an answer is given before the step of its group that it builds on is durable",
        "shared/adapters/group_commit.py",
        "answers = group.answers if group.steps else at_once",
        "answers = at_once",
        "holds/test_book.py",
        "test_no_extension_is_promised_by_one_that_was_not_kept",
    ),
    Bug(
        "one row twice in a transaction: a guard is not looked for in its own group",
        "shared/adapters/group_commit.py",
        "if not guards.isdisjoint(waiter.guards):",
        "if not set[str]().isdisjoint(waiter.guards):",
        "ledger/test_committer.py",
        "test_one_leg_fifty_times_at_once_is_one_debit_with_one_answer",
    ),
    Bug(
        "a second leg of an authorization is charged: its guard is not written",
        "shared/adapters/ledger_store.py",
        "if hold_key := rows.hold_row_key(entry):",
        "if hold_key := None:",
        "holds/test_attempts.py",
        "test_a_second_answered_leg_of_an_authorization_is_parked",
    ),
    Bug(
        "a second leg of an authorization is charged where two processes charge at once",
        "shared/adapters/ledger_store.py",
        "return (guard, *_settled(command)) if guard else ()",
        "return (guard,) if guard else ()",
        "holds/test_attempts.py",
        "test_twins_in_one_batch_and_in_two_processes_are_one_debit",
    ),
    Bug(
        "a hold is freed by a failed attempt, whatever its cause",
        "shared/domain/charging.py",
        "    if resolved.leg.answered_at is None and not frees_hold(resolved.leg.hangup_cause):\n"
        "        return HoldEffect.KEEPS\n",
        "",
        "holds/test_attempts.py",
        "test_an_unanswered_attempt_frees_the_hold_or_leaves_it_to_the_answered_one",
    ),
    Bug(
        "a second try forgets the group that the first had planned ahead",
        "shared/adapters/group_commit.py",
        "if lane.waiting and lane.ahead is None and not sending.done():",
        "if lane.waiting and not sending.done():",
        "ledger/test_committer.py",
        "test_nobody_is_forgotten_who_was_planned_ahead_of_a_commit_that_failed",
    ),
    Bug(
        "a leg too large for any transaction takes its group down",
        "shared/adapters/group_commit.py",
        "sent[0].give(too_large)  # its neighbours go on without it",
        "raise",
        "ledger/test_committer.py",
        "test_one_leg_that_never_fits_keeps_no_other_from_being_debited",
    ),
    Bug(
        "the same leg with other content is taken for a repetition",
        "shared/adapters/ledger_store.py",
        "if digest != _digest(command):",
        "if digest is None:",
        "ledger/test_committer.py",
        "test_the_same_leg_with_other_content_in_the_same_group_clashes",
        seed=2,
    ),
    Bug(
        "lots are drawn last in, first out",
        "shared/domain/lots.py",
        "    for lot in lots:\n        taken = ",
        "    for lot in reversed(tuple(lots)):\n        taken = ",
        "ledger/test_lots.py",
        "test_the_oldest_lot_pays_first_whatever_expires_first",
        seed=1,
    ),
    Bug(
        "a new lot does not pay the deficit",
        "shared/domain/ledger_booking.py",
        "    owed = min(state.deficit_micros, amount_micros)\n",
        "    owed = 0\n",
        "ledger/test_lots.py",
        "test_new_credits_first_pay_what_is_owed",
        seed=14,
    ),
    Bug(
        "expiry takes what is held",
        "shared/domain/ledger_credits.py",
        "free = max(0, state.balance_micros - command.held_micros)",
        "free = max(0, state.balance_micros)",
        "ledger/test_invariants.py",
        "test_no_expiry_leaves_less_than_is_held",
    ),
    Bug(
        "a late leg draws on a lot for ever",
        "shared/domain/ledger_debits.py",
        "return max(command.answered_at, now - timedelta(hours=limits.LATE_LEG_HOURS))",
        "return command.answered_at",
        "ledger/test_lots.py",
        "test_after_72_hours_an_expired_lot_pays_for_nothing",
    ),
    Bug(
        "times run back with the clock",
        "shared/domain/ledger_decide.py",
        "moment = max(now, state.at) if state and state.at else now",
        "moment = now",
        "ledger/test_decide.py",
        "test_times_never_run_back_an_earlier_now_counts_as_the_last_time",
        seed=1,
    ),
    Bug(
        "an alert is armed again without a margin",
        "shared/domain/alerts.py",
        "return max(abs(threshold_micros) * REARM_PER_CENT // 100, last_charge_micros)",
        "return 0",
        "ledger/test_alerts.py",
        "test_a_thousand_debits_around_a_threshold_are_one_crossing",
    ),
    Bug(
        "the chain does not hash the balance",
        "shared/adapters/ledger_rows.py",
        '"entries", "balance", "previous")',
        '"entries", "previous")',
        "ledger/test_chain.py",
        "test_every_journal_row_bears_the_hash_that_is_documented",
    ),
    Bug(
        "verification does not look at leg rows",
        "shared/adapters/ledger_verify.py",
        "        await leg_rows(run, tables, account)\n",
        "",
        "ledger/test_tampering.py",
        "test_a_copied_leg_row_under_another_key_is_named",
    ),
    Bug(
        "the due mark is skipped",
        "shared/adapters/ledger_store.py",
        "            await self._due.mark(sorted(marks, key=lambda mark: (mark.at, mark.kind)))",
        "            pass",
        "ledger/test_committer.py",
        "test_the_due_mark_is_written_before_the_commit_and_its_failure_stops_it",
        seed=2,
    ),
    Bug(
        "the due mark is written after the commit",
        "shared/adapters/group_commit.py",
        "        await self._book.prepare(partition, group.steps, self._clock.now())\n"
        "        try:\n"
        "            etags = await self._send(partition, lane, plan)\n",
        "        try:\n"
        "            etags = await self._send(partition, lane, plan)\n"
        "            await self._book.prepare(partition, group.steps, self._clock.now())\n",
        "ledger/test_committer.py",
        "test_the_due_mark_is_written_before_the_commit_and_its_failure_stops_it",
    ),
    Bug(
        "a mark is cleared at once, though its commit may still come",
        "shared/usecases/watch_balances.py",
        "settled = now - timedelta(seconds=limits.DUE_MARK_SETTLE_SECONDS)",
        "settled = now",
        "ledger/test_publishing.py",
        "test_a_mark_stays_until_no_commit_can_follow_it_any_more",
    ),
    Bug(
        "an event is deleted before it is published",
        "shared/usecases/publish_events.py",
        "                await self._notices.keep(account, row)\n",
        "                await self._ledger.published(account, row.commit)\n"
        "                await self._notices.keep(account, row)\n",
        "ledger/test_publishing.py",
        "test_a_crash_between_publishing_and_deleting_publishes_the_same_id_again",
        seed=14,
    ),
    Bug(
        "the message id is the leg's key alone",
        "shared/domain/legs.py",
        'return f"{leg_key_hash(self.leg.key)[:40]}.{self.leg.digest()[:40]}.{self.attempt}"',
        "return leg_key_hash(self.leg.key)",
        "ledger/test_delivery.py",
        "test_the_broker_drops_what_was_posted_twice_and_keeps_other_content",
        seed=0,
    ),
    Bug(
        "what is sent again has the id that it had",
        "shared/usecases/charge_legs.py",
        "again = QueuedLeg(leg.leg, leg.received_at, leg.attempt + 1)",
        "again = QueuedLeg(leg.leg, leg.received_at, leg.attempt)",
        "ledger/test_delivery.py",
        "test_what_fails_for_now_comes_again_later_and_later",
        seed=0,
    ),
    Bug(
        "of two attempts in a batch the first goes on",
        "functions/rate_and_debit.py",
        "if name not in legs or legs[name].attempt < queued.attempt:",
        "if name not in legs:",
        "ledger/test_delivery.py",
        "test_two_attempts_in_one_batch_go_on_as_the_later_one",
    ),
    Bug(
        "an error of one leg takes its batch down",
        "shared/usecases/charge_legs.py",
        "        except Exception as error:  # noqa: BLE001",
        "        except ZeroDivisionError as error:  #",
        "ledger/test_delivery.py",
        "test_a_ledger_that_halts_does_not_stop_the_legs_of_others",
    ),
    Bug(
        "parked legs are told apart by their key alone",
        "shared/domain/parking.py",
        'return f"{leg_key_hash(leg.key)[:32]}.{leg.digest()[:32]}"',
        'return f"{leg_key_hash(leg.key)[:32]}.{leg_key_hash(leg.key)[:32]}"',
        "ledger/test_parking.py",
        "test_two_contents_of_one_leg_are_two_parked_legs",
        seed=12,
    ),
    Bug(
        "a parked leg that was replayed is opened again by who comes later",
        "shared/adapters/parking_store.py",
        "if _ORDER[kept.status] > _ORDER[parked.status]:",
        "if _ORDER[kept.status] > 9:",
        "ledger/test_parking.py",
        "test_one_leg_mended_in_two_ways_at_once_is_charged_once_and_stays_replayed",
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
        "test_while_the_queue_is_away_legs_wait_in_the_inbox_and_go_on_once",
        seed=29,
    ),
    Bug(
        "a webhook is answered 2xx although nobody has the leg",
        "shared/usecases/receive_legs.py",
        "            await self._inbox.keep(messages, self._clock.now())\n",
        "            pass\n",
        "ledger/test_delivery.py",
        "test_while_the_queue_is_away_legs_wait_in_the_inbox_and_go_on_once",
        seed=2,
    ),
    Bug(
        "who wrote settings without an answer is told that somebody else was faster",
        "shared/adapters/records.py",
        "                unsure = version\n",
        "                unsure = None\n",
        "ledger/test_unsure_writes.py",
        "test_a_write_that_lands_late_is_not_told_to_have_failed",
    ),
    Bug(
        "a recharge is asked for although one is in flight",
        "shared/domain/recharge.py",
        "    if known.pending or known.paused or balance_micros >= wanted.trigger_micros:",
        "    if known.paused or balance_micros >= wanted.trigger_micros:",
        "credits/test_recharges.py",
        "test_one_is_in_flight_however_often_the_balance_falls",
        seed=2,
    ),
    Bug(
        "a recharge is asked for again with a new id",
        "shared/domain/recharge.py",
        "again = replace(pending, asks=pending.asks + 1, ask_at=at + timedelta(seconds=seconds))",
        "again = replace(pending, number=pending.number + 1, asks=pending.asks + 1,\n"
        "                    ask_at=at + timedelta(seconds=seconds))",
        "credits/test_recharges.py",
        "test_it_is_asked_again_with_the_same_id_until_there_is_an_answer",
        seed=2,
    ),
    Bug(
        "a recharge that was paid stays in flight",
        "shared/domain/recharge.py",
        "        pending=None if is_pending else known.pending,\n        declines=0,\n",
        "        declines=0,\n",
        "credits/test_recharges.py",
        "test_success_is_one_top_up_under_the_recharges_id_however_often_it_is_said",
        seed=2,
    ),
    Bug(
        "another amount than was asked for is taken for the recharge's money",
        "shared/domain/recharge.py",
        "    if amount_micros != asked.amount_micros:",
        "    if amount_micros < 0:",
        "credits/test_recharges.py",
        "test_an_answer_that_does_not_fit_is_kept_and_credits_nothing",
        seed=14,
    ),
    Bug(
        "the payment side is answered by records that are behind the ledger",
        "shared/usecases/recharges.py",
        "        if after.status is not said.status:",
        "        if after is None:",
        "credits/test_recharges.py",
        "test_an_answer_is_answered_by_the_ledger_while_our_records_are_behind",
        seed=14,
    ),
    Bug(
        "an event that its receiver did not take counts as delivered",
        "shared/domain/webhooks.py",
        "return self.status is not None and 200 <= self.status < 300",
        "return self.status is not None",
        "credits/test_webhooks.py",
        "test_a_failure_is_tried_again_within_ten_seconds_then_with_growing_pauses",
        seed=7,
    ),
    Bug(
        "a hold does not count the other holds",
        "shared/domain/holds.py",
        "return self.available_micros(now) - lapsed",
        "return self.balance_micros + self.credit_limit_micros - lapsed",
        "holds/test_book.py",
        "test_a_denial_for_lack_of_credit_is_never_given_from_a_view_that_is_not_caught_up",
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
        "test_a_call_is_never_cut_short_by_a_view_that_is_not_caught_up",
    ),
    Bug(
        "a float touches the price",
        "shared/domain/rating.py",
        "round_ratio(numerator, tariff.divisor, tariff.mode) * tariff.step_micros,",
        "round(numerator / tariff.divisor) * tariff.step_micros,",
        "rating/test_charges.py",
        "test_rounding_once_at_the_end",
    ),
    Bug(
        "an increment that has begun is not billed",
        "shared/domain/rating.py",
        "count = -(-talk_seconds // tariff.increment_seconds)",
        "count = talk_seconds // tariff.increment_seconds",
        "rating/test_charges.py",
        "test_the_contracts_example",
        seed=0,
    ),
    Bug(
        "the budget of work is forgotten",
        "shared/pacing.py",
        "        known[1].tokens -= units\n",
        "        known[1].tokens -= 0\n",
        "administration/test_budgets.py",
        "test_a_caller_over_its_budget_of_work_waits_until_the_debt_is_paid",
    ),
)

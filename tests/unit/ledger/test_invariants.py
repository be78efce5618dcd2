"""What holds after every command, whichever commands came before."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.lots import LotKind
from shared.domain.ledger.decide import decide
from shared.domain.ledger.model import EntryKind, LedgerState, Unchanged, check
from tests.support.ledger import START, UNIT, Book, adjust, configure, leg, opened, top_up

_RULES = (
    AlertRule("low", below_micros=3 * UNIT),
    AlertRule("fifth", below_percent=20),
    AlertRule("owed", below_micros=-UNIT),
)
_AMOUNTS = st.one_of(st.integers(1, 3), st.integers(1, 9 * UNIT))
_STEPS = st.tuples(
    st.sampled_from(
        [
            "top_up",
            "grant",
            "more",
            "less",
            "leg",
            "leg",
            "leg",
            "free",
            "reverse",
            "expire",
            "configure",
            "back",
        ]
    ),
    _AMOUNTS,
    st.integers(-200 * 3600, 3600),  # when a leg was answered, seconds from now
    st.one_of(st.integers(0, 60), st.integers(0, 200 * 86_400)),  # seconds until the next step
)


def _play(book: Book, number: int, step: tuple[str, int, int, int]) -> None:
    what, amount, answered, pause = step
    book.pass_time(timedelta(seconds=-pause if what == "back" else pause))
    answered_at = book.now + timedelta(seconds=answered)
    match what:
        case "top_up":
            book.do(top_up(amount, f"key {number}"))
        case "grant":
            life = timedelta(seconds=1 + abs(answered))
            command = top_up(
                amount,
                f"key {number}",
                kind=LotKind.GRANTED,
                expires_at=max(book.now, book.sound.at or book.now) + life,
            )
            book.do(command)
        case "more":
            book.do(adjust(amount, f"key {number}"))
        case "less":
            book.do(adjust(-amount, f"key {number}"))
        case "leg":
            book.do(leg(number, amount, answered_at))
        case "free":
            book.do(leg(number, 0, answered_at))
        case "reverse":
            _reverse_one(book, amount)
        case "expire":
            for lot in list(book.remaining):
                book.do(book.expire(lot, held_micros=amount))
        case "configure":
            book.do(configure(number + 2, *_RULES[: amount % 4], credit_limit_micros=amount))


def _reverse_one(book: Book, choice: int) -> None:
    reversed_ = {entry.reverses for entry in book.entries}
    debits = [
        entry
        for entry in book.entries
        if entry.kind is EntryKind.DEBIT and entry.sequence not in reversed_
    ]
    if debits:
        debit = debits[choice % len(debits)]
        assert debit.leg is not None
        book.do(book.reverse(debit.leg.removeprefix("local~")))


@given(st.lists(_STEPS, max_size=40))
def test_balance_entries_lots_numbers_and_times_agree_after_every_command(
    steps: list[tuple[str, int, int, int]],
) -> None:
    book = opened(*_RULES)
    for number, step in enumerate(steps):
        _play(book, number, step)
        check(book.sound)
    entries = book.entries
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    total, last = 0, START
    for entry in entries:
        total += entry.amount_micros
        assert entry.balance_micros == total
        assert entry.moved_micros == entry.amount_micros
        assert entry.at >= last
        last = entry.at
    assert book.balance == total == sum(book.remaining.values()) - book.sound.deficit_micros
    assert book.sound.entry == len(entries)
    _lots_add_up(book)


def _lots_add_up(book: Book) -> None:
    """Of every lot: bought = paid + expired + left, and what it paid at once is its own affair."""
    for lot in book.opened.values():
        left = book.remaining.get(lot.id, 0)
        drawn = sum(
            draw.amount_micros
            for entry in book.entries
            for draw in entry.draws
            if draw.lot == lot.id
        )
        assert drawn + left == lot.remaining_micros
        assert 0 <= left <= lot.amount_micros


@given(st.lists(_STEPS, max_size=40))
def test_the_entries_alone_lead_to_the_same_state(steps: list[tuple[str, int, int, int]]) -> None:
    book = opened(*_RULES)
    for number, step in enumerate(steps):
        _play(book, number, step)
    assert book.replayed() == book.sound


@given(st.lists(_STEPS, max_size=25), st.integers(0, 20 * UNIT))
def test_no_expiry_leaves_less_than_is_held(
    steps: list[tuple[str, int, int, int]], held_micros: int
) -> None:
    book = opened(*_RULES)
    for number, step in enumerate(steps):
        _play(book, number, step)
    book.now = max(book.now, book.sound.at or book.now) + timedelta(days=400)
    for lot in list(book.remaining):
        before = book.balance
        book.do(book.expire(lot, held_micros))
        assert book.balance >= min(before, held_micros)


@given(st.lists(_STEPS, max_size=25))
def test_deciding_again_decides_the_same(steps: list[tuple[str, int, int, int]]) -> None:
    book = opened(*_RULES)
    for number, step in enumerate(steps):
        _play(book, number, step)
    command = leg("again", 5, book.now)
    assert decide(book.sound, command, book.now) == decide(book.sound, command, book.now)


@given(st.permutations([5, 1, 7, 3, 11, 2]))
def test_the_balance_does_not_depend_on_the_order_of_the_legs(amounts: list[int]) -> None:
    book = opened()
    book.done(top_up(10))
    book.done(adjust(9))
    for number, amount in enumerate(amounts):
        book.done(leg(number, amount))
    assert (book.balance, book.sound.deficit_micros, book.remaining) == (-10, 10, {})


def test_a_state_stays_as_small_after_ten_years_as_on_the_first_day() -> None:
    book = opened(*_RULES)
    for year in range(10):
        for month in range(12):
            book.done(top_up(UNIT, f"{year} {month}"))
            for number in range(5):
                book.done(leg(f"{year} {month} {number}", UNIT // 10, book.now))
            for lot in book.sound.lots:
                if lot.expires_at is not None and lot.expires_at <= book.now:
                    assert not isinstance(book.do(book.expire(lot.id)), Unchanged)
            book.pass_time(timedelta(days=31))
    assert len(book.entries) > 120 * 6
    assert _size(book.sound) <= 30


def _size(state: LedgerState) -> int:
    return len(state.lots) + len(state.expired) + len(state.alert_rules)


def test_a_clock_that_jumps_back_an_hour_holds_the_time_of_the_entries_still() -> None:
    book = opened()
    times: list[datetime] = []
    for number in range(3):
        times.append(book.done(leg(number, 1)).at)
        book.pass_time(timedelta(hours=-1))
    assert times == [START, START, START]

"""The models keep the rules that they are there to judge others by."""

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tests.model.hold_model import HoldModel
from tests.model.ledger_model import LedgerModel, a_year_later
from tests.model.rating_model import cost, longest_prefix, rounded

T0 = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)


def bought(*amounts: str) -> LedgerModel:
    """An account with a lot per amount, bought a day apart."""
    model = LedgerModel()
    for number, amount in enumerate(amounts):
        model.top_up(f"k{number}", {"amount": amount}, T0 + number * DAY, lot=f"L{number}")
    return model


def remaining(model: LedgerModel) -> list[int]:
    return [int(lot.remaining) for lot in model.lots]


def charge(
    model: LedgerModel, leg: str, amount: str, at: datetime, answered: datetime | None = None
):
    answer = model.charge(leg, leg, Fraction(amount), answered or at, at)
    assert model.problems() == []
    return answer


def test_the_oldest_lot_pays_first_and_the_rest_becomes_the_deficit() -> None:
    model = bought("5", "5")
    answer = charge(model, "a", "12", T0 + 2 * DAY)
    assert [part["lot"] for part in answer["funded_by"]] == ["L0", "L1"]
    assert (answer["unfunded"], model.deficit, model.balance) == (2, 2, -2)


def test_a_new_lot_pays_the_deficit_first() -> None:
    model = bought("5")
    charge(model, "a", "8", T0)
    model.top_up("k9", {"amount": "10"}, T0 + DAY, lot="L9")
    assert (remaining(model), model.deficit, model.balance) == ([0, 7], 0, 7)
    assert model.problems() == []


def test_a_leg_is_charged_once_and_other_content_is_kept_as_a_conflict_once() -> None:
    model = bought("5")
    first = charge(model, "a", "1", T0)
    assert charge(model, "a", "1", T0 + YEAR) == first | {"outcome": "first"}
    for _ in range(2):
        assert model.charge("a", "other", Fraction(1), T0, T0)["outcome"] == "conflict"
    assert (model.balance, len(model.conflicts)) == (4, 1)


def test_a_command_key_gives_the_first_answer_or_a_conflict() -> None:
    model = bought("5")
    assert model.top_up("k0", {"amount": "5"}, T0 + DAY)["outcome"] == "first"
    assert model.top_up("k0", {"amount": "6"}, T0 + DAY)["outcome"] == "conflict"
    assert model.adjust("k0", {"amount": "5"}, T0 + DAY)["outcome"] == "first"
    assert model.balance == 5


@pytest.mark.parametrize(
    ("day", "later"),
    [("2027-02-28", "2028-02-28"), ("2028-02-29", "2029-02-28"), ("2027-12-31", "2028-12-31")],
)
def test_twelve_months_with_leap_days(day: str, later: str) -> None:
    moment = datetime.fromisoformat(f"{day}T09:00:00+00:00")
    assert a_year_later(moment) == datetime.fromisoformat(f"{later}T09:00:00+00:00")


def test_expiry_takes_the_rest_but_not_what_is_held_until_72_hours_later() -> None:
    model = bought("5", "5")
    assert model.expire("L0", T0 + YEAR - timedelta(seconds=1))["entry"] is None
    assert model.expire("L0", T0 + YEAR, held=Fraction(2))["entry"]["amount"] == -3
    assert model.expire("L0", T0 + YEAR + timedelta(hours=72))["entry"]["amount"] == -2
    assert (remaining(model), model.problems()) == ([0, 5], [])


def test_more_than_may_expire_is_refused() -> None:
    model = bought("5")
    answer = model.expire("L0", T0 + YEAR, held=Fraction(2), amount=Fraction(4))
    assert answer["outcome"] == "refused"


def test_earlier_lots_bear_the_holds_before_the_one_that_expires() -> None:
    model = bought("5", "5")
    at = T0 + YEAR + DAY
    assert model.expirable(model.lots[1], at, held=Fraction(6)) == 4


@pytest.mark.parametrize(
    ("answered", "booked", "paid"),
    [(-60, 3600, True), (0, 3600, False), (-60, 72 * 3600 - 1, True), (-60, 72 * 3600, False)],
)
def test_a_leg_draws_on_a_lot_that_was_valid_when_answered_for_72_hours(
    answered: int, booked: int, paid: bool
) -> None:
    model = bought("5")
    end = T0 + YEAR
    answer = charge(
        model, "a", "2", end + timedelta(seconds=booked), end + timedelta(seconds=answered)
    )
    assert bool(answer["funded_by"]) is paid
    assert (model.deficit == 0) is paid


def test_a_reversal_gives_back_to_the_lots_that_paid_once() -> None:
    model = bought("5", "5")
    charge(model, "a", "7", T0 + 2 * DAY)
    first = model.reverse("a", T0 + 3 * DAY)
    assert model.reverse("a", T0 + 4 * DAY) == first | {"outcome": "first"}
    assert (remaining(model), model.balance, model.problems()) == ([5, 5], 10, [])


def test_a_reversal_to_an_expired_lot_opens_a_grant_of_30_days() -> None:
    model = bought("5")
    charge(model, "a", "3", T0)
    model.expire_all(T0 + YEAR)
    model.reverse("a", T0 + YEAR + DAY)
    assert (remaining(model), model.problems()) == ([0, 3], [])
    assert model.lots[1].expires_at == T0 + YEAR + 31 * DAY


def test_a_reversal_pays_its_own_deficit_first_and_a_deficit_paid_meanwhile_comes_back() -> None:
    model = bought("5")
    charge(model, "a", "8", T0)
    model.top_up("k9", {"amount": "1"}, T0 + DAY, lot="L9")
    model.reverse("a", T0 + 2 * DAY)
    assert (model.balance, model.deficit, model.problems()) == (6, 0, [])
    assert sum(remaining(model)) == 6


def test_a_leg_that_was_never_charged_cannot_be_reversed() -> None:
    assert bought("5").reverse("a", T0)["outcome"] == "refused"


def test_an_alert_fires_once_per_crossing_and_re_arms_above_its_margin() -> None:
    model = bought("30")
    model.configure({"alerts": [{"name": "low", "below": "20"}]})
    for number, amount in enumerate(["10", "1", "1"]):
        charge(model, f"a{number}", amount, T0 + DAY)
    assert model.alerts == [(3, "low")]
    model.top_up("k1", {"amount": "3.9"}, T0 + DAY)
    charge(model, "b", "2", T0 + DAY)
    assert model.alerts == [(3, "low")], "21.9 is not yet 20 + 10 per cent"
    model.top_up("k2", {"amount": "2.1"}, T0 + DAY)
    charge(model, "c", "2.5", T0 + DAY)
    assert model.alerts == [(3, "low"), (8, "low")]


def test_the_last_charge_is_the_margin_when_it_is_larger() -> None:
    model = bought("25")
    model.configure({"alerts": [{"name": "low", "below": "20"}]})
    charge(model, "a", "6", T0)
    model.top_up("k1", {"amount": "6.9"}, T0)
    charge(model, "b", "6", T0)
    assert len(model.alerts) == 1
    assert model.balance == Fraction("19.9"), "25.9 was a tenth short of 20 + the last charge"
    model.top_up("k2", {"amount": "6.1"}, T0)
    charge(model, "c", "6.5", T0)
    assert len(model.alerts) == 2


def test_a_threshold_in_per_cent_relates_to_the_last_top_up() -> None:
    model = LedgerModel()
    model.configure({"alerts": [{"name": "low", "below_percent": 20}]})
    model.adjust("x", {"amount": "-1"}, T0)
    model.top_up("k", {"amount": "100"}, T0)
    charge(model, "a", "79", T0)
    assert model.alerts == []
    charge(model, "b", "1", T0)
    assert model.alerts == [(4, "low")]


def test_settings_put_again_do_not_arm_a_rule_that_stays_as_it_was() -> None:
    model = bought("21")
    rules = {"alerts": [{"name": "low", "below": "20"}]}
    model.configure(rules)
    charge(model, "a", "2", T0)
    model.configure(rules)
    charge(model, "b", "2", T0)
    assert len(model.alerts) == 1


@pytest.mark.parametrize("seed", range(100))
def test_lots_less_deficit_is_the_balance_after_every_command(seed: int) -> None:
    chance = random.Random(seed)
    model, at = LedgerModel(), T0
    for step in range(60):
        at += timedelta(hours=chance.choice([0, 1, 30, 900]))
        amount = str(chance.randrange(1, 900) / 100)
        match chance.randrange(6):
            case 0:
                model.top_up(f"k{step}", {"amount": amount}, at)
            case 1:
                sign = chance.choice(["", "-"])
                model.adjust(f"k{step}", {"amount": sign + amount}, at)
            case 2 | 3:
                model.charge(
                    f"leg{chance.randrange(30)}",
                    chance.randrange(2),
                    Fraction(amount),
                    at - timedelta(hours=1),
                    at,
                )
            case 4:
                model.reverse(f"leg{chance.randrange(30)}", at)
            case 5:
                model.expire_all(at, Fraction(chance.randrange(9)))
        assert model.problems() == []
    assert [entry["sequence"] for entry in model.entries] == [*range(1, len(model.entries) + 1)]


# ---- holds


def test_available_is_balance_less_open_holds_plus_limit() -> None:
    book = HoldModel()
    book.authorise("au1", T0, 900, Fraction(3), Fraction(10))
    assert book.available(T0, Fraction(10), Fraction(5)) == 12
    assert book.authorise("au2", T0, 900, Fraction(8), Fraction(10))["decision"] == "deny"
    assert book.authorise("au2", T0, 900, Fraction(7), Fraction(10))["decision"] == "allow"


def test_one_authorisation_has_one_hold() -> None:
    book = HoldModel()
    for _ in range(2):
        book.authorise("au1", T0, 900, Fraction(3), Fraction(10))
    assert book.held(T0) == 3


def test_a_hold_lapses_at_its_instant_and_the_leg_is_late() -> None:
    book = HoldModel()
    book.authorise("au1", T0, 900, Fraction(3), Fraction(10))
    end = T0 + timedelta(seconds=900 + 120 + 900)
    assert book.held(end - timedelta(seconds=1)) == 3
    assert book.held(end) == 0
    assert book.settle("leg", "au1", 901, end) == ["late", "overrun"]


def test_an_extension_names_the_total() -> None:
    book = HoldModel()
    book.authorise("au1", T0, 900, Fraction(3), Fraction(10))
    for _ in range(2):
        assert book.extend("au1", T0, 1800, Fraction(6), Fraction(10))["granted_seconds"] == 1800
    assert book.held(T0) == 6
    assert book.extend("au1", T0, 9000, Fraction(30), Fraction(10))["decision"] == "deny"


def test_a_leg_settles_by_authorization_or_by_leg_id() -> None:
    book = HoldModel()
    book.authorise("au1", T0, 60, Fraction(1), Fraction(10))
    book.authorise("au2", T0, 60, Fraction(2), Fraction(10), leg="x")
    assert book.settle("x", None, 60, T0) == []
    assert book.held(T0) == 1
    assert book.settle("y", "au1", 61, T0) == ["overrun"]
    assert (book.held(T0), book.release("au1", T0)) == (0, False)


def test_velocity_counts_what_is_open_and_what_was_allowed_this_hour() -> None:
    book = HoldModel(concurrent_max=2, hourly_max=3)
    for number in range(3):
        book.authorise(f"au{number}", T0, 60, Fraction(0), Fraction(10))
    assert [hold.authorization for hold in book.holds] == ["au0", "au1"]
    book.release("au0", T0)
    assert book.authorise("au3", T0, 60, Fraction(0), Fraction(10))["decision"] == "allow"
    book.release("au1", T0)
    later = T0 + timedelta(minutes=59)
    assert book.authorise("au4", later, 60, Fraction(0), Fraction(10))["decision"] == "deny"
    next_hour = T0 + timedelta(minutes=60)
    assert book.authorise("au5", next_hour, 60, Fraction(0), Fraction(10))["decision"] == "allow"


# ---- rating


def rate(*slots: tuple[int, str, int, int], fee: str = "0", **more: str) -> dict:
    names = ("from_second", "price", "unit_seconds", "increment_seconds")
    listed = [dict(zip(names, slot, strict=True)) for slot in slots]
    return {"kind": "dial_out", "prefix": "44", "connection_fee": fee, "slots": listed, **more}


@pytest.mark.parametrize(
    ("one", "talk_seconds", "amount", "billed_seconds"),
    [
        (rate((0, "0.012", 60, 60), fee="0.05"), 183, "0.098", 240),
        (rate((0, "0.012", 60, 60), fee="0.05"), 0, "0", 0),
        (rate((0, "0.02", 60, 1)), 60, "0.02", 60),
        (rate((0, "0.4", 60, 30), (60, "0.2", 60, 10)), 71, "7/15", 80),
        (rate((0, "0.6", 60, 60), (90, "0.06", 60, 1)), 121, "1.201", 121),
        (rate((0, "0.6", 60, 60), minimum_charge="1"), 5, "1", 60),
        (rate((0, "0.6", 60, 60), maximum_charge="0.5"), 5, "0.5", 60),
        (rate((0, "1", 60, 60), maximum_charge="0", maximum_charge_strategy="stop"), 5, "1", 60),
    ],
)
def test_a_call_costs_fee_and_increments(
    one: dict, talk_seconds: int, amount: str, billed_seconds: int
) -> None:
    result = cost(one, talk_seconds)
    assert result is not None
    assert (result["unrounded"], result["billed_seconds"]) == (Fraction(amount), billed_seconds)


@pytest.mark.parametrize(
    ("mode", "down", "half", "odd_half"),
    [
        ("half_up", "1.2", "1.3", "1.4"),
        ("half_even", "1.2", "1.2", "1.4"),
        ("up", "1.3", "1.3", "1.4"),
        ("down", "1.2", "1.2", "1.3"),
        ("none", "1.21", "1.25", "1.35"),
    ],
)
def test_rounding_modes(mode: str, down: str, half: str, odd_half: str) -> None:
    answers = [rounded(Fraction(text), mode, 1) for text in ("1.21", "1.25", "1.35")]
    assert answers == [Fraction(down), Fraction(half), Fraction(odd_half)]


def test_the_longest_prefix_of_the_kind_wins() -> None:
    version = {
        "rates": [
            {"kind": "dial_out", "prefix": "4"},
            {"kind": "dial_out", "prefix": "44"},
            {"kind": "dial_in", "prefix": "442"},
            {"kind": "dial_out", "prefix": ""},
        ]
    }
    assert longest_prefix(version, "dial_out", "+442079460000")[0]["prefix"] == "44"
    assert longest_prefix(version, "dial_out", "+15550100")[0]["prefix"] == ""
    assert longest_prefix({"rates": []}, "dial_out", "+15550100") == []

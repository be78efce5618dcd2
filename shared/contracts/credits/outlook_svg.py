"""An account's outlook as a picture: the past as a line, the forecast as a dashed one in a band
with a probability of four in five; thresholds, zero and the credit limit as horizontal lines."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from html import escape

from shared.domain.common.money import MICROS_PER_UNIT, format_amount
from shared.domain.credits.alerts import AlertRule
from shared.domain.credits.burn_rate import CHANCE
from shared.domain.ledger.outlook import Outlook

_WIDTH, _HEIGHT = 860, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 20, 76, 40
_PAST_DAYS, _AHEAD_DAYS = 21, 14
_TICKS_MAX = 6
_CENT = 10_000
_STEPS = (1, 2, 5, 10)  # ticks lie at such multiples of a power of ten
_BLUE, _AMBER, _RED, _GREY, _INK = "#1d4ed8", "#b45309", "#b91c1c", "#6b7280", "#111827"
_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"


def outlook_svg(name: str, outlook: Outlook, rules: Sequence[AlertRule]) -> str:
    """The document. `rules` that state an amount are drawn; texts of customers are escaped."""
    return "\n".join(_Drawing(name, outlook, rules).lines()) + "\n"


class _Drawing:
    def __init__(self, name: str, outlook: Outlook, rules: Sequence[AlertRule]) -> None:
        self._name = name
        self._outlook = outlook
        self._across = [(0, _INK, "")]
        if outlook.credit_limit_micros:
            self._across.append((-outlook.credit_limit_micros, _RED, "credit limit"))
        self._across += [
            (rule.below_micros, _AMBER, rule.name)
            for rule in rules
            if rule.below_micros is not None
        ]
        self._first = outlook.at - timedelta(days=_PAST_DAYS)
        self._last = outlook.at + timedelta(days=_AHEAD_DAYS)
        self._ahead = [each for each in outlook.ahead if each.at <= self._last]
        past = [(_end_of(day.ordinal, outlook.at), day.balance_micros) for day in outlook.past]
        self._past = [point for point in past if point[0] >= self._first]
        self._past.append((outlook.at, outlook.balance_micros))
        values = [micros for micros, _, _ in self._across]
        values += [micros for _, micros in self._past]
        values += [micros for each in self._ahead for micros in (each.low_micros, each.high_micros)]
        most = max(*values, MICROS_PER_UNIT)
        self._step = _nice_step(most - min(values))
        self._least = min(values) // self._step * self._step
        self._most = -(-most // self._step) * self._step

    def lines(self) -> Iterator[str]:
        """The document, line by line."""
        outlook = self._outlook
        title = f"{self._name}: {format_amount(outlook.balance_micros)} {outlook.currency}"
        words = self._words()
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" font-family="{_FONT}" font-size="12">'
        )
        yield f"<title>{escape(title)}</title><desc>{escape(words)}</desc>"
        yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        yield _text(_LEFT, 22, title, _INK, more='font-size="15" font-weight="600"')
        yield _text(_LEFT, 41, words, _GREY)
        yield from self._legend()
        yield from self._scales()
        for micros, colour, label in self._across:
            yield from self._line_across(micros, colour, label)
        if self._ahead:
            yield self._band()
            points = [(outlook.at, outlook.balance_micros)]
            points += [(each.at, each.balance_micros) for each in self._ahead]
            yield self._line(points, ' stroke-dasharray="5 4"')
        yield self._line(self._past, "")
        yield from self._marks()
        yield "</svg>"

    def _words(self) -> str:
        balance, currency = self._outlook.balance, self._outlook.currency
        if balance is None:
            lately = format_amount(self._outlook.recent.day_micros)
            return f"no forecast yet; {lately} {currency} in the last 24 hours"
        cents = balance.per_day_micros // _CENT * _CENT
        a_day = f"{format_amount(cents)} {currency} a day"
        if balance.runs_out_at is None:
            return f"{a_day}; does not run out within a year"
        early = f"{balance.earliest_at:%d %b}" if balance.earliest_at else "now"
        late = f"{balance.latest_at:%d %b}" if balance.latest_at else "a year from now"
        when = f"{balance.runs_out_at:%d %b %Y %H:%M} UTC"
        return f"{a_day}; runs out about {when}, between {early} and {late} with {CHANCE}"

    def _legend(self) -> Iterator[str]:
        y, x = 60, _LEFT
        yield f'<path d="M{x} {y}h24" stroke="{_BLUE}" stroke-width="2"/>'
        yield _text(x + 30, y + 4, "balance", _GREY)
        x += 100
        yield f'<rect x="{x}" y="{y - 6}" width="24" height="12" fill="{_BLUE}" opacity="0.14"/>'
        yield (f'<path d="M{x} {y}h24" stroke="{_BLUE}" stroke-width="2" stroke-dasharray="5 4"/>')
        yield _text(x + 30, y + 4, f"expected, with {CHANCE} in the band", _GREY)

    def _scales(self) -> Iterator[str]:
        right = _WIDTH - _RIGHT
        for micros in range(self._least, self._most + 1, self._step):
            y = self._y(micros)
            yield f'<line x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>'
            yield _text(_LEFT - 8, y + 4, format_amount(micros), _GREY, "end")
        bottom = _HEIGHT - _BOTTOM
        day = self._first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        while day <= self._last:
            if day.weekday() == 0:
                x = self._x(day)
                yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#f3f4f6"/>'
                yield _text(x, bottom + 18, f"{day:%d %b}", _GREY, "middle")
            day += timedelta(days=1)

    def _line_across(self, micros: int, colour: str, label: str) -> Iterator[str]:
        y, end = self._y(micros), _WIDTH - _RIGHT
        yield f'<line x1="{_LEFT}" x2="{end}" y1="{y}" y2="{y}" stroke="{colour}"/>'
        if label:
            words, above = f"{label} {format_amount(micros)}", micros > 0
            yield _text(_LEFT + 6, y - 5 if above else y + 14, words, colour)

    def _marks(self) -> Iterator[str]:
        """Now, and when nothing is left."""
        outlook, bottom = self._outlook, _HEIGHT - _BOTTOM
        x, y = self._x(outlook.at), self._y(outlook.balance_micros)
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#d1d5db"/>'
        yield _text(x, bottom + 32, "now", _INK, "middle")
        yield f'<circle cx="{x}" cy="{y}" r="4" fill="{_BLUE}"/>'
        gone = outlook.balance.runs_out_at if outlook.balance else None
        if gone is not None and outlook.at < gone <= self._last:
            x, y = self._x(gone), self._y(0)
            yield f'<circle cx="{x}" cy="{y}" r="4" fill="#fff" stroke="{_RED}" stroke-width="2"/>'
            anchor = "start" if x < _WIDTH - 120 else "end"
            yield _text(x + 8 if anchor == "start" else x - 8, y - 9, "runs out", _RED, anchor)

    def _band(self) -> str:
        start = (self._outlook.at, self._outlook.balance_micros)
        upper = [start, *((each.at, each.high_micros) for each in self._ahead)]
        lower = [(each.at, each.low_micros) for each in reversed(self._ahead)]
        points = self._points([*upper, *lower])
        return f'<polygon points="{points}" fill="{_BLUE}" opacity="0.14"/>'

    def _line(self, points: Sequence[tuple[datetime, int]], more: str) -> str:
        return (
            f'<polyline points="{self._points(points)}" fill="none" stroke="{_BLUE}" '
            f'stroke-width="2" stroke-linejoin="round"{more}/>'
        )

    def _points(self, points: Sequence[tuple[datetime, int]]) -> str:
        return " ".join(f"{self._x(at)},{self._y(micros)}" for at, micros in points)

    def _x(self, at: datetime) -> int:
        width = _WIDTH - _LEFT - _RIGHT
        seconds = int((at - self._first).total_seconds())
        return _LEFT + width * seconds // int((self._last - self._first).total_seconds())

    def _y(self, micros: int) -> int:
        height = _HEIGHT - _TOP - _BOTTOM
        return _HEIGHT - _BOTTOM - height * (micros - self._least) // (self._most - self._least)


def _text(x: int, y: int, words: str, colour: str, anchor: str = "start", more: str = "") -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}"{f" {more}" if more else ""}>{escape(words)}</text>'


def _nice_step(span_micros: int) -> int:
    """The smallest step of 1, 2 or 5 times a power of ten that needs few ticks."""
    power = _CENT
    while True:
        for step in _STEPS:
            if step * power * (_TICKS_MAX - 1) >= span_micros:
                return step * power
        power *= 10


def _end_of(ordinal: int, now: datetime) -> datetime:
    """The end of a day, or now for today."""
    end = datetime.combine(date.fromordinal(ordinal), datetime.min.time(), now.tzinfo)
    return min(now, end + timedelta(days=1))

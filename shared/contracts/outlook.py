"""An account's outlook as JSON and as a picture."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from html import escape

from shared.domain.alerts import AlertRule
from shared.domain.burn import CHANCE, Forecast
from shared.domain.legs import format_time
from shared.domain.money import MICROS_PER_UNIT, format_amount
from shared.domain.outlook import Outlook

_WIDTH, _HEIGHT = 860, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 44, 42
_PAST_DAYS, _AHEAD_DAYS = 21, 14
_TICKS = 4
_SECONDS_PER_HOUR = 3600


def outlook_body(account: str, found: Outlook) -> dict[str, object]:
    """The outlook as the wire has it; what nobody knows is left out."""
    body: dict[str, object | None] = {
        "account": account,
        "at": format_time(found.at),
        "currency": found.currency,
        "balance": format_amount(found.balance_micros),
        "held": format_amount(found.held_micros),
        "available": format_amount(found.available_micros),
        "credit_limit": format_amount(found.credit_limit_micros),
        "burn": {
            "per_hour": format_amount(found.balance.per_day_micros // 24),
            "per_day": format_amount(found.balance.per_day_micros),
            "next_hour": format_amount(found.next_hour_micros),
            "next_24_hours": format_amount(found.next_day_micros),
            "stray_per_day": format_amount(found.balance.stray_micros),
            "known_by": found.balance.by,
            "hours_of_history": found.hours_known,
        },
        "runs_out": _forecast(found.balance, found.at),
        "dial_outs_end": _forecast(found.dial_outs, found.at),
        "expires_unused": format_amount(found.unused_micros),
        "past": [
            {
                "day": date.fromordinal(day.ordinal).isoformat(),
                "spent": format_amount(day.spent_micros),
                "balance": format_amount(day.balance_micros),
            }
            for day in found.past
        ],
        "ahead": [
            {
                "at": format_time(each.at),
                "balance": format_amount(each.balance_micros),
                "between": [format_amount(each.low_micros), format_amount(each.high_micros)],
            }
            for each in found.ahead
        ],
    }
    return {name: value for name, value in body.items() if value is not None}


def _forecast(known: Forecast, at: datetime) -> dict[str, object] | None:
    if known.runs_out_at is None:
        return None
    between = (known.earliest_at, known.latest_at)
    return {
        "at": format_time(_whole(known.runs_out_at)),
        "hours_left": int((known.runs_out_at - at).total_seconds()) // _SECONDS_PER_HOUR,
        "between": [format_time(_whole(each)) if each else None for each in between],
        "chance": CHANCE,
    }


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def outlook_svg(name: str, found: Outlook, rules: Sequence[AlertRule]) -> str:
    """Balance and forecast as a picture: the past as a line, what lies ahead as a dashed line in a
    band that holds four chances of five, thresholds and zero as lines across."""
    return "\n".join(_Picture(name, found, rules).lines()) + "\n"


class _Picture:
    def __init__(self, name: str, found: Outlook, rules: Sequence[AlertRule]) -> None:
        self._name = name
        self._found = found
        self._below = [
            (rule.name, rule.below_micros) for rule in rules if rule.below_micros is not None
        ]
        self._first = found.at - timedelta(days=_PAST_DAYS)
        self._last = found.at + timedelta(days=_AHEAD_DAYS)
        self._ahead = [each for each in found.ahead if each.at <= self._last]
        past = [(_end_of(day.ordinal, found.at), day.balance_micros) for day in found.past]
        self._past = [point for point in past if point[0] >= self._first]
        self._past.append((found.at, found.balance_micros))
        values = [0, *(micros for _, micros in self._past), *(m for _, m in self._below)]
        values += [each.low_micros for each in self._ahead]
        values += [each.high_micros for each in self._ahead]
        self._least, self._most = min(values), max(*values, MICROS_PER_UNIT)

    def lines(self) -> Iterator[str]:
        """The document, line by line."""
        found = self._found
        title = f"{self._name}: {format_amount(found.balance_micros)} {found.currency}"
        words = self._words()
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" '
            'font-family="system-ui, sans-serif" font-size="12">'
        )
        yield f"<title>{escape(title)}</title><desc>{escape(words)}</desc>"
        yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        yield f'<text x="{_LEFT}" y="18" font-weight="600">{escape(title)}</text>'
        yield f'<text x="{_LEFT}" y="34" fill="#555">{escape(words)}</text>'
        yield from self._scales()
        for name, micros in self._below:
            yield from self._across(micros, "#b45309", f"{name} {format_amount(micros)}")
        yield from self._across(0, "#111", "")
        if self._ahead:
            yield self._band()
            points = [(found.at, found.balance_micros)]
            points += [(each.at, each.balance_micros) for each in self._ahead]
            yield self._line(points, 'stroke-dasharray="5 4"')
        yield self._line(self._past, "")
        x, y = self._x(found.at), self._y(found.balance_micros)
        yield f'<circle cx="{x}" cy="{y}" r="3.5" fill="#1d4ed8"/>'
        yield "</svg>"

    def _words(self) -> str:
        known = self._found.balance
        if known.runs_out_at is None:
            return "It does not run out within a year, as far as is known."
        words = f"Runs out about {known.runs_out_at:%Y-%m-%d %H:%M} UTC"
        early = f"{known.earliest_at:%Y-%m-%d}" if known.earliest_at else "?"
        late = f"{known.latest_at:%Y-%m-%d}" if known.latest_at else "after a year"
        return f"{words}; between {early} and {late} with {CHANCE}"

    def _scales(self) -> Iterator[str]:
        for step in range(_TICKS + 1):
            micros = self._least + (self._most - self._least) * step // _TICKS
            y = self._y(micros)
            yield (
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>'
            )
            text = format_amount(micros // 10_000 * 10_000)
            yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>'
        day = self._first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        while day <= self._last:
            if day.toordinal() % 7 == 1:  # Mondays
                x = self._x(day)
                bottom = _HEIGHT - _BOTTOM
                yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#f1f5f9"/>'
                yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{day:%d %b}</text>'
            day += timedelta(days=1)

    def _across(self, micros: int, colour: str, name: str) -> Iterator[str]:
        y, end = self._y(micros), _WIDTH - _RIGHT
        yield f'<line x1="{_LEFT}" x2="{end}" y1="{y}" y2="{y}" stroke="{colour}"/>'
        if name:
            yield (
                f'<text x="{end}" y="{y - 4}" text-anchor="end" fill="{colour}">'
                f"{escape(name)}</text>"
            )

    def _band(self) -> str:
        start = (self._found.at, self._found.balance_micros)
        upper = [start, *((each.at, each.high_micros) for each in self._ahead)]
        lower = [(each.at, each.low_micros) for each in reversed(self._ahead)]
        return f'<polygon points="{self._points([*upper, *lower])}" fill="#1d4ed8" opacity="0.12"/>'

    def _line(self, points: Sequence[tuple[datetime, int]], more: str) -> str:
        return (
            f'<polyline points="{self._points(points)}" fill="none" stroke="#1d4ed8" '
            f'stroke-width="2" {more}/>'
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


def _end_of(ordinal: int, now: datetime) -> datetime:
    """The end of a day, or now for today."""
    end = datetime.combine(date.fromordinal(ordinal), datetime.min.time(), now.tzinfo)
    return min(now, end + timedelta(days=1))

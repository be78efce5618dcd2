"""The time band in force at each second of a call, by the local clock of a named zone.

A second of a call belongs to the band that the wall clock shows at its beginning. An hour that the
clock repeats is therefore in the same band twice, and a start that the clock skips counts from the
first moment after the gap. Wall clocks move by whole seconds, so a fraction of a second in the
answer time never changes a band.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.domain.rating.terms import DAY_SECONDS, Band

BASE = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND = timedelta(seconds=1)
# No zone has ever moved its clock there and back within this time.
_PROBE_SECONDS = 6 * 3600


class BandClock:
    """The bands of one rate on the clock of one zone; `changes` is what it knows."""

    __slots__ = ("_bands", "_by_precedence", "_special_days", "_weekday_profiles", "_zone")

    def __init__(self, bands: Sequence[Band], zone: ZoneInfo) -> None:
        self._bands = bands
        self._zone = zone
        self._by_precedence = sorted(
            range(len(bands)),
            key=lambda index: (-bands[index].weight, -bands[index].from_second_of_day, index),
        )
        self._special_days = frozenset(text for band in bands for text in band.dates)
        self._weekday_profiles: dict[int, list[tuple[int, int]]] = {}

    def changes(self, answered_at: datetime, seconds: int) -> list[tuple[int, int]]:
        """(second of the call, band index) wherever the band changes; BASE where none holds.

        Begins with second 0; seconds rise and stay below `seconds`, and consecutive bands differ.
        """
        start = (answered_at - _EPOCH) // _SECOND
        changes: list[tuple[int, int]] = []
        for begin, end, offset in self._fixed_offset_spans(start, start + seconds):
            for moment, band in self._walk(begin + offset, end + offset):
                if not changes or changes[-1][1] != band:
                    changes.append((moment - offset - start, band))
        return changes

    def _fixed_offset_spans(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(begin, end, UTC offset) in seconds, cut where the zone's clock moves."""
        begin = start
        while begin < end:
            offset = self._offset(begin)
            stop = min(begin + _PROBE_SECONDS, end)
            if self._offset(stop - 1) != offset:
                stop = self._clock_move(begin, stop - 1, offset)
            yield begin, stop, offset
            begin = stop

    def _offset(self, moment: int) -> int:
        local = (_EPOCH + timedelta(seconds=moment)).astimezone(self._zone)
        return (local.utcoffset() or timedelta()) // _SECOND

    def _clock_move(self, before: int, after: int, offset: int) -> int:
        """The first second in (before, after] whose offset is another one."""
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _walk(self, local_begin: int, local_end: int) -> Iterator[tuple[int, int]]:
        """(local second, band) at the beginning and at each edge before the end."""
        for day in range(local_begin // DAY_SECONDS, (local_end - 1) // DAY_SECONDS + 1):
            midnight = day * DAY_SECONDS
            profile = self._profile(day)
            for index, (second, band) in enumerate(profile):
                last = index + 1 == len(profile)
                edge_end = midnight + (DAY_SECONDS if last else profile[index + 1][0])
                if edge_end > local_begin and midnight + second < local_end:
                    yield max(midnight + second, local_begin), band

    def _profile(self, day: int) -> list[tuple[int, int]]:
        """(second of the local day, band) from midnight on, for a day counted from 1970."""
        if self._is_special(day) or self._is_special(day - 1):
            return self._make_profile(day)
        weekday = _weekday(day)
        profile = self._weekday_profiles.get(weekday)
        if profile is None:
            profile = self._weekday_profiles[weekday] = self._make_profile(day)
        return profile

    def _is_special(self, day: int) -> bool:
        if not self._special_days:
            return False
        text = _iso(day)
        return text in self._special_days or text[5:] in self._special_days

    def _make_profile(self, day: int) -> list[tuple[int, int]]:
        spans = [
            (begin, end, index)
            for index in self._by_precedence
            for begin, end in spans_on(self._bands[index], day)
        ]
        edges = {0, *(edge for begin, end, _ in spans for edge in (begin, end))}
        profile: list[tuple[int, int]] = []
        for edge in sorted(edges - {DAY_SECONDS}):
            band = next((index for begin, end, index in spans if begin <= edge < end), BASE)
            if not profile or profile[-1][1] != band:
                profile.append((edge, band))
        return profile


def spans_on(band: Band, day: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of a band on a local day, counted from 1970, and of a band that began a day
    before."""
    over_midnight = band.until_second_of_day <= band.from_second_of_day
    if _holds_on(band, day):
        end = DAY_SECONDS if over_midnight else band.until_second_of_day
        yield band.from_second_of_day, end
    if over_midnight and band.until_second_of_day and _holds_on(band, day - 1):
        yield 0, band.until_second_of_day


def _holds_on(band: Band, day: int) -> bool:
    if band.weekdays and _weekday(day) not in band.weekdays:
        return False
    if not band.dates:
        return True
    text = _iso(day)
    return text in band.dates or text[5:] in band.dates


def _weekday(day: int) -> int:
    """1 Monday to 7 Sunday; 1970 began on a Thursday."""
    return (day + 3) % 7 + 1


def _iso(day: int) -> str:
    return date.fromordinal(day + _EPOCH_ORDINAL).isoformat()

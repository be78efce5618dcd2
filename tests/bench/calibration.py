"""The yardstick for rating speed: a closed-form sketch in plain integers, with a prefix look-up and nothing else.

It is no engine (one unit, one rounding, no bands, no lines); it only tells how fast this machine is today. Measured alternately with it on a quiet machine (Intel Xeon, one core, Go 1.27, Python 3.13: 0.71 to 0.93 us a leg here), CGRateS's Go `GetCost` took 5.2 times as long at 5 min 60/60 (with 20,002 prefixes 5.4),
21 times at 60/1, 30 at 1/1, 8.6 at 30/6, 9 at 45 min 60/60, 220 at 45 min 1/1; a number that it had never seen cost it 17; a CDR rated, debited and stored, all in memory, 98.
`python calibration.py` prints microseconds a leg for each shape; `measure()` returns them.
"""

import time

PREFIXES = {f"{100 + group}{item:02d}": group for group in range(1000) for item in range(20)} | {
    "49": 1,
    "4915": 2,
}
LONGEST = max(map(len, PREFIXES))
SHAPES = {  # name: (seconds of talk, slots of (from second, price in micros a minute, unit seconds, increment seconds))
    "5min_60_60": (300, ((0, 20000, 60, 60),)),
    "5min_60_1": (300, ((0, 20000, 60, 60), (60, 20000, 60, 1))),
    "5min_1_1": (300, ((0, 20000, 60, 1),)),
    "5min_30_6": (300, ((0, 20000, 60, 30), (30, 20000, 60, 6))),
    "45min_60_60": (2700, ((0, 20000, 60, 60),)),
    "45min_1_1": (2700, ((0, 20000, 60, 1),)),
}


def rate(number, seconds, slots, step=100):
    """Charge in micros, rounded up to `step`; None without a rate."""
    digits = number[1:]
    length = min(len(digits), LONGEST)
    while length and digits[:length] not in PREFIXES:
        length -= 1
    if not length:
        return None
    total = position = 0
    last = len(slots) - 1
    for index, (_, price, _, increment) in enumerate(slots):
        end = seconds if index == last else min(seconds, slots[index + 1][0])
        if position < end:
            count = -(-(end - position) // increment)
            position += count * increment
            total += price * count * increment
    return -(-total // (60 * step)) * step


def measure(repeats=100_000):
    """Microseconds a leg by shape: the best of three rounds."""
    result = {}
    for name, (seconds, slots) in SHAPES.items():
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            for _ in range(repeats):
                rate("+4915112345678", seconds, slots)
            best = min(best, time.perf_counter() - start)
        result[name] = best / repeats * 1e6
    return result


if __name__ == "__main__":
    for name, micros in measure().items():
        print(f"{name:12} {micros:6.2f} us")

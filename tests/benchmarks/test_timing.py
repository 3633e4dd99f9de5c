import time

from timing import rate


def test_rate_is_the_units_over_the_median_duration(monkeypatch):
    # Two warm-up calls, then calls of 1, 5 and 2 seconds by the clock: the median is 2.
    times = iter([0.0, 1.0, 10.0, 15.0, 20.0, 22.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    calls = []
    assert rate(lambda: calls.append(1), units=10, seconds=8.0) == 5.0
    assert len(calls) == 5

import numpy as np
import pytest
from page_speed import summarise


def test_rates_and_the_slowest_stretch():
    shown = np.arange(101) * 20.0
    assert summarise(shown, None) == {"rate": 50.0, "slowest": 50.0}
    # One pause of 100 ms: 10 steps take 300 ms at worst.
    shown[50:] += 100
    paused = summarise(shown, None)
    assert paused["slowest"] == pytest.approx(10 / 0.3)
    assert paused["rate"] == pytest.approx(100 / 2.1)


def test_steps_late_against_the_schedule():
    shown = np.arange(200) * 1000 / 15
    shown[[20, 90, 140]] += 25
    assert summarise(shown, 15)["late_p99"] == pytest.approx(25, abs=0.5)
    shown[[90, 140]] -= 25
    assert summarise(shown, 15)["late_p99"] == pytest.approx(0, abs=0.5)

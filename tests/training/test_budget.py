import pytest

from worldtokens.training.budget import BudgetConfig, Clock, ScheduleConfig


def test_a_clock_yields_the_steps_that_are_left():
    clock = Clock(BudgetConfig(max_steps=5), step=2, seconds=1.0)
    seen = []
    for progress in clock.steps():
        seen.append((progress.step, progress.share))
        clock.stepped()
    assert seen == [(2, 0.4), (3, 0.6), (4, 0.8)]
    assert clock.step == 5 and clock.seconds >= 1.0


def test_minutes_end_a_run():
    clock = Clock(BudgetConfig(max_minutes=2.0), step=10, seconds=119.0)
    assert clock.share() == pytest.approx(119 / 120)
    clock.seconds = 120.0
    assert list(clock.steps()) == []


def test_the_limit_reached_first_counts():
    assert Clock(BudgetConfig(10, 1.0), step=5, seconds=45.0).share() == 0.75


@pytest.mark.parametrize("limits", [{}, {"max_steps": 0}, {"max_minutes": -1.0}])
def test_a_budget_needs_an_end(limits):
    with pytest.raises(ValueError, match="budget"):
        BudgetConfig(**limits)


def test_learning_rate_warms_up_and_falls():
    cosine = ScheduleConfig("cosine", warmup=0.1, final=0.0)
    assert cosine.rate(1.0, 0.0) == pytest.approx(0.05)
    assert cosine.rate(1.0, 0.1) == pytest.approx(1.0)
    assert cosine.rate(1.0, 0.55) == pytest.approx(0.5)
    assert ScheduleConfig("cosine", warmup=0.1, final=0.1).rate(1.0, 1.0) == pytest.approx(0.1)
    linear = ScheduleConfig("linear", warmup=0.0, final=0.2)
    assert [linear.rate(2.0, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 1.2, 0.4])
    constant = ScheduleConfig("constant", warmup=0.5)
    assert [constant.rate(1.0, share) for share in (0.25, 0.5, 1.0)] == [0.525, 1.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(shape="step"), "schedule.shape: expected one of .* got 'step'"),
        (dict(warmup=1.0), r"schedule.warmup: expected a number in \[0, 1\), got 1.0"),
        (dict(final=2.0), r"schedule.final: expected a number in \[0, 1\], got 2.0"),
    ],
)
def test_wrong_schedules_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        ScheduleConfig(**fields)

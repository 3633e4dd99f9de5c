from worldtokens.world_model.evaluation.events.rates import rate_section
from worldtokens.world_model.training.calibration import measure_rates


def test_what_is_expected_stands_beside_what_happens(setup):
    section = rate_section(setup)
    rates = measure_rates(setup.model, setup.tokens)
    assert section.rows == rates and rates[0].happened > 0
    (reward, *_) = section.card["event_rates"]
    assert reward == {
        "event": "reward", "happened": rates[0].happened, "expected": rates[0].expected,
    }  # fmt: skip
    line = section.table.splitlines()[1].split()
    ratio = rates[0].expected / rates[0].happened
    assert line == ["reward", str(rates[0].steps), str(rates[0].happened),
                    f"{rates[0].expected:.1f}", f"{ratio:.2f}"]  # fmt: skip

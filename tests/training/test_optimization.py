import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from worldtokens.training.accelerator import make_accelerator
from worldtokens.training.optimization import optimizer_step


def step(loss_of, learning_rate=0.1, max_gradient_norm=100.0):
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 2.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=9.0)
    norm = None
    try:
        norm = optimizer_step(
            Accelerator(cpu=True),
            loss_of(model.weight.sum()),
            model,
            optimizer,
            learning_rate=learning_rate,
            max_gradient_norm=max_gradient_norm,
            step=41,
        )
    except FloatingPointError as error:
        return model.weight.item(), error
    return model.weight.item(), norm


def test_a_step_follows_the_gradient_at_the_given_rate():
    weight, norm = step(lambda w: w * w)  # gradient 4
    assert weight == pytest.approx(2.0 - 0.1 * 4.0) and norm == pytest.approx(4.0)


def test_gradients_are_clipped():
    weight, norm = step(lambda w: w * w, max_gradient_norm=1.0)
    assert weight == pytest.approx(2.0 - 0.1 * 1.0, abs=1e-5) and norm == pytest.approx(4.0)


def test_a_nan_loss_stops_before_the_parameters_move():
    weight, error = step(lambda w: w * float("nan"))
    assert weight == 2.0
    assert "loss is nan at step 41; the step was not taken" in str(error)


def test_an_infinite_gradient_stops_before_the_parameters_move():
    weight, error = step(lambda w: (w - 2.0).sqrt())
    assert weight == 2.0
    assert "gradient norm is inf at step 41" in str(error)


def nothing_native(device):
    return None


def test_precision_is_checked():
    with pytest.raises(ValueError, match="mixed_precision: expected one of .* got 'fp8'"):
        make_accelerator("fp8", nothing_native)


def test_precision_is_passed_on():
    assert make_accelerator("no", nothing_native, cpu=True).mixed_precision == "no"


@pytest.fixture
def no_state():
    # Accelerate keeps the first precision of a process.
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.parametrize(("native", "expected"), [(torch.bfloat16, "bf16"), (None, "no")])
def test_auto_is_bf16_where_the_rule_says_so(no_state, native, expected):
    asked = []

    def rule(device):
        asked.append(device.type)
        return native

    assert make_accelerator("auto", rule, cpu=True).mixed_precision == expected
    assert asked == ["cpu"]

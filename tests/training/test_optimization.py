import pytest
import torch
from accelerate import Accelerator

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
    assert "loss at step 41: expected a finite number, got nan; the step was not taken" in str(
        error
    )


def test_an_infinite_gradient_stops_before_the_parameters_move():
    weight, error = step(lambda w: (w - 2.0).sqrt())
    assert weight == 2.0
    assert "gradient norm at step 41: expected a finite number, got inf" in str(error)

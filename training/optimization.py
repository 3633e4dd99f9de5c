"""One optimizer step, and the check that stops a run before a non-finite loss spoils it."""

import torch
from accelerate import Accelerator
from torch import Tensor, nn


def optimizer_step(
    accelerator: Accelerator,
    loss: Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    learning_rate: float,
    max_gradient_norm: float,
    step: int,
) -> float:
    """Backpropagates `loss`, clips the gradients of `model` and updates it.

    Args:
        accelerator: Scales and reduces as its mixed precision and process group ask.
        loss: Scalar, any float dtype.
        model: Whose parameters are clipped.
        optimizer: Over parameters of `model`.
        learning_rate: Set on every parameter group for this step.
        max_gradient_norm: Gradients are scaled down to this L2 norm; inf for no limit.
        step: Named in the error.

    Returns:
        The gradients' L2 norm before clipping.

    Raises:
        FloatingPointError: The loss or a gradient is NaN or infinite; the parameters are untouched.
    """
    _check_finite("loss", float(loss.detach()), step)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    norm = accelerator.clip_grad_norm_(model.parameters(), max_gradient_norm)
    assert norm is not None
    _check_finite("gradient norm", float(norm), step)
    optimizer.step()
    return float(norm)


def _check_finite(name: str, value: float, step: int) -> None:
    if not -float("inf") < value < float("inf"):
        raise FloatingPointError(
            f"{name} at step {step}: expected a finite number, got {value}; the step was not taken "
            "and nothing of it was saved: lower learning_rate or use mixed_precision=no, then run "
            "the command again, it goes on from the last checkpoint"
        )

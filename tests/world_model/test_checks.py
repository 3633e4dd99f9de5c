import pytest
import torch

from worldtokens.world_model.checks import check_integers

CPU = torch.device("cpu")


def test_a_fitting_tensor_comes_back_as_it_is():
    tokens = torch.tensor([[0, 4]])
    assert check_integers("tokens", tokens, ("B", 2), 5, CPU) is tokens


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"tokens: expected a tensor int64 \(B, 2\), got list"),
        (torch.zeros(1, 2), r"tokens: expected int64 \(B, 2\), got torch.float32; use .long"),
        (torch.zeros(1, 3).long(), r"got shape \(1, 3\)"),
        (torch.zeros(0, 2).long(), r"got shape \(0, 2\)"),
        (torch.tensor([[0, 5]]), r"tokens: expected values in \[0, 5\), got 0 to 5"),
        (torch.zeros(1, 2, device="meta").long(), "expected device cpu, where the model is, got"),
    ],
)
def test_wrong_tensors_are_named(value, message):
    with pytest.raises(ValueError, match=message):
        check_integers("tokens", value, ("B", 2), 5, CPU)

import pytest
import torch

from worldtokens.world_model.prior.checks import check_classes, check_condition, check_known
from worldtokens.world_model.prior.config import FramePriorConfig

CPU = torch.device("cpu")
PLAIN = FramePriorConfig(vocab_size=16, grid=(3, 4), classes=["a", "b"])
NEXT = FramePriorConfig(vocab_size=16, grid=(3, 4), condition="previous")


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.int64)


def test_what_fits_is_let_through():
    check_classes(torch.tensor([0, 1, 2]), PLAIN, CPU)
    check_condition(None, (2, 12), PLAIN, CPU)
    check_condition(zeros(2, 12), (2, 12), NEXT, CPU)
    check_known(zeros(2, 12), 2, PLAIN, CPU)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_classes(torch.tensor([3]), PLAIN, CPU), r"classes: .* \[0, 3\), got 3"),
        (lambda: check_condition(zeros(2, 12), (2, 12), PLAIN, CPU), "condition: expected None"),
        (lambda: check_condition(None, (2, 12), NEXT, CPU), "condition: expected the other image"),
        (lambda: check_condition(zeros(2, 3), (2, 12), NEXT, CPU), "condition: expected int64"),
        (lambda: check_known(zeros(1, 13), 1, PLAIN, CPU), "known: expected at most 12 .* got 13"),
    ],
)
def test_what_does_not_fit_is_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()

import torch
from torch import nn

from worldtokens.hub.matching_weights import copy_matching


def test_tensors_of_equal_name_and_shape_are_copied(capsys):
    model = nn.ModuleDict({"body": nn.Linear(2, 3), "head": nn.Linear(3, 2)})
    other = nn.ModuleDict(
        {"body": nn.Linear(2, 3), "head": nn.Linear(3, 4), "more": nn.Linear(1, 1)}
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = copy_matching(model, other.state_dict(), "there")
    assert fresh == ["head.weight", "head.bias"]
    assert capsys.readouterr().out == "init_from=there: head starts fresh\n"
    for name, value in model.state_dict().items():
        expected = before[name] if name in fresh else other.state_dict()[name]
        assert torch.equal(value, expected), name


def test_nothing_starts_fresh_where_all_fits(capsys):
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert copy_matching(model, other.state_dict(), "x") == []
    assert torch.equal(model.weight, other.weight)
    assert "nothing starts fresh" in capsys.readouterr().out

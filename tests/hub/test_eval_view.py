import torch
from torch import nn

from worldtokens.hub.eval_view import eval_view


def test_a_view_shares_weights_and_leaves_the_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5)))
    view = eval_view(model)
    assert view is not model and not any(part.training for part in view.modules())
    assert all(part.training for part in model.modules())
    assert [p.data_ptr() for p in view.parameters()] == [p.data_ptr() for p in model.parameters()]
    before = model[1][0].running_mean.clone()
    x = torch.arange(6.0).view(3, 2)
    first = view(x)
    assert torch.equal(first, view(x)) and torch.equal(model[1][0].running_mean, before)
    assert torch.equal(first, model.eval()(x)) and eval_view(model) is model

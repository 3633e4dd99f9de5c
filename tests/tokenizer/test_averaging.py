import pytest
import torch

from worldtokens.tokenizer.averaging import WeightAverage


def test_the_average_follows_the_weights(tiny_tokenizer):
    tokenizer = tiny_tokenizer
    average = WeightAverage(tokenizer, 0.75)
    before = tokenizer.last_layer.detach().clone()
    with torch.no_grad():
        tokenizer.last_layer.add_(4.0)
    average.update()
    torch.testing.assert_close(average.model.last_layer, before + 1.0)
    other = WeightAverage(tokenizer, 0.75)
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.model.last_layer, average.model.last_layer)
    assert WeightAverage(tokenizer, 0.0).model is tokenizer
    with pytest.raises(ValueError, match=r"ema_decay: expected a number in \[0, 1\), got 1.0"):
        WeightAverage(tokenizer, 1.0)

import numpy as np
import pytest
import torch
from guessing_speed import compare

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenEpisode


def tiny(prediction="autoregressive"):
    torch.manual_seed(0)
    attention = "full" if prediction == "autoregressive" else "factorised"
    model = WorldModel(
        WorldModelConfig(
            prediction=prediction, attention=attention, merge=1, history=1, vocab_size=7,
            grid=(4, 2), num_actions=3, context=3, layers=1, heads=2, width=16,
        )
    ).eval()  # fmt: skip
    model.uses_autocast = False
    return model


def starts():
    tokens = np.random.default_rng(0).integers(7, size=(12, 8))
    tokens[3:9] = tokens[3]
    nothing = np.zeros(11, bool)
    actions = np.zeros(11, np.int64)
    return [(TokenEpisode("e", tokens, actions, nothing * 0.0, nothing, nothing), 1)]


def test_an_untrained_model_repeats_the_frame_and_every_guess_is_right():
    found = compare(tiny(), starts(), context=3, horizon=8)
    assert found.same == found.stayed == 1.0
    # Five of eight frames are the last known one again; of the others some tokens are.
    assert 5 / 8 <= found.right == found.repeated < 0.9
    assert found.plain > 0 and found.guessed > 0


def test_a_model_that_needs_no_guess_is_refused():
    with pytest.raises(ValueError, match="expected prediction=autoregressive"):
        compare(tiny("parallel"), starts(), context=3, horizon=8)

import numpy as np
import pytest
import torch
from speculative_speed import compare

from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.segments import TokenEpisode


def tiny(prediction="autoregressive"):
    torch.manual_seed(0)
    attention = "full" if prediction == "autoregressive" else "factorised"
    model = WorldModel(
        WorldModelConfig(
            prediction=prediction,
            attention=attention,
            merge=1,
            history=1,
            vocab_size=7,
            grid=(4, 2),
            num_actions=3,
            context=3,
            layers=1,
            heads=2,
            width=16,
            copies=1,
            stay_gate=False,
        )
    ).eval()
    model.imaginer.uses_autocast = False
    return model


def starts():
    tokens = np.random.default_rng(0).integers(7, size=(12, 8))
    tokens[3:9] = tokens[3]
    nothing = np.zeros(11, bool)
    actions = np.zeros(11, np.int64)
    return [(TokenEpisode("e", tokens, actions, nothing * 0.0, nothing, nothing), 1)]


def test_an_untrained_model_repeats_the_frame_and_every_draft_is_accepted():
    comparison = compare(tiny(), starts(), context=3, horizon=8)
    assert comparison.equal == comparison.unchanged == 1.0
    # Five of eight frames are the last known one again; of the others some tokens are.
    assert 5 / 8 <= comparison.accuracy == comparison.copy_accuracy < 0.9
    assert comparison.plain_rate > 0 and comparison.speculative_rate > 0


def test_a_model_that_draws_a_frame_at_once_is_refused():
    with pytest.raises(ValueError, match="expected prediction=autoregressive, got parallel"):
        compare(tiny("parallel"), starts(), context=3, horizon=8)

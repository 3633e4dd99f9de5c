import numpy as np
import pytest
import torch

from worldtokens.world_model.evaluation.events.probabilities import (
    average_precision,
    next_step_probabilities,
)


def test_average_precision_by_hand():
    positive = np.array([True, False, True, False])
    # Ranks 1 and 3: precision 1 and 2/3.
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), positive) == pytest.approx(5 / 6)
    # All equal: as many as there are.
    assert average_precision(np.full(4, 0.3), positive) == 0.5
    assert average_precision(np.array([0.1, 0.2, 0.3, 0.4]), np.zeros(4, bool)) != 0.5


def test_probabilities_are_those_of_the_step_after_the_known_frames(new_setup):
    setup = new_setup()
    episode = setup.tokens.episodes[0]
    starts = [(episode, first) for first in range(9)] * 2
    rewards = next_step_probabilities(setup, "reward", starts)
    assert rewards is not None and rewards.shape == (18, 2)
    assert rewards.sum(axis=1) == pytest.approx(np.ones(18))
    tokens = torch.from_numpy(episode.tokens[3:8].astype(np.int64))[None]
    actions = torch.from_numpy(episode.actions[3:7])[None]
    with torch.no_grad():
        expected = setup.model(tokens, actions, from_prior=True)
    assert rewards[3] == pytest.approx(expected.rewards[0, -1].softmax(-1).numpy(), abs=1e-6)
    ends = next_step_probabilities(setup, "end", starts[:4])
    assert ends is not None and ends.shape == (4, 1)
    assert ends[3, 0] == pytest.approx(expected.ends[0, -1].softmax(-1)[1].item(), abs=1e-6)
    assert next_step_probabilities(setup, "lost life", []).shape == (0, 1)  # pyright: ignore
    assert next_step_probabilities(setup, "scene", starts) is None
    without = new_setup(predicts_lives=False)
    assert next_step_probabilities(without, "lost life", starts) is None

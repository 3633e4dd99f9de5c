import math

import numpy as np
import pytest
import torch

from tests.world_model.tiny import tiny
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model import WorldModelConfig
from worldtokens.world_model.data.segments import TokenSegments
from worldtokens.world_model.evaluation import metrics as metrics_module
from worldtokens.world_model.evaluation.metrics import (
    FramePrediction,
    FrameScores,
    PredictionCounts,
    count_predictions,
    pool_scores,
    score_frames,
)
from worldtokens.world_model.networks.predictions import Prediction

VALUES = torch.tensor([0.0, 100.0])


def segments() -> TokenSegments:
    """Two windows of three frames of two tokens; the last frame of the second is padding."""
    return TokenSegments(
        tokens=torch.tensor([[[0, 1], [0, 2], [1, 2]], [[3, 3], [3, 3], [0, 0]]]),
        actions=torch.zeros(2, 2, dtype=torch.int64),
        rewards=torch.tensor([[0.0, 100.0], [0.0, 0.0]]),
        terminated=torch.tensor([[False, True], [False, False]]),
        truncated=torch.zeros(2, 2, dtype=torch.bool),
        mask=torch.tensor([[True, True, True], [True, True, False]]),
    )


def prediction(tokens: list, rewards: list, ends: list) -> Prediction:
    """Probability 0.7 for each of these tokens, 0.1 for each of the three others."""
    probability = torch.full((2, 2, 2, 4), 0.1)
    probability.scatter_(-1, torch.tensor(tokens)[..., None], 0.7)
    return Prediction(
        probability.log(),
        torch.nn.functional.one_hot(torch.tensor(rewards), 2).float(),
        torch.nn.functional.one_hot(torch.tensor(ends), 2).float(),
    )


def test_one_step_metrics_leave_out_padding():
    counts = PredictionCounts()
    # Of six real tokens the second and the third are wrong; two changed, one of them is predicted.
    predicted = [[[0, 2], [0, 2]], [[3, 0], [1, 1]]]
    counts.add(prediction(predicted, [[0, 0], [0, 1]], [[0, 1], [1, 0]]), segments())
    metrics = counts.metrics()
    nats = (-4 * math.log(0.7) - 2 * math.log(0.1)) / 3
    assert metrics == pytest.approx(
        {
            "nats_per_frame": nats, "token_accuracy": 4 / 6, "copy_accuracy": 4 / 6,
            "changed_accuracy": 1 / 2,
        }
    )  # fmt: skip


class Trained:
    """A model that predicts the last frame of the test above; notes its mode."""

    training, device, reward_values = True, torch.device("cpu"), VALUES
    config = WorldModelConfig(stay_gate=False)
    modes: list

    def __init__(self):
        self.modes = []

    def train(self, mode):
        self.training = mode

    def eval(self):
        self.train(False)

    def __call__(self, tokens, actions, from_prior):
        assert from_prior, "what is counted is foreseen"
        self.modes.append(self.training)
        return prediction([[[0, 2], [1, 2]], [[3, 3], [0, 0]]], [[0, 1]] * 2, [[0, 1]] * 2)


def test_predictions_are_counted_in_eval_mode():
    model = Trained()
    counts = count_predictions(model, [segments(), segments()])
    assert counts.frames == 6 and counts.metrics()["token_accuracy"] == 1.0
    assert model.modes == [False, False] and model.training


def test_large_batches_are_counted_in_parts(monkeypatch):
    # 384 windows of a vocabulary of 32,768 would take 35 GB of logits.
    model = tiny("parallel")
    tokens, actions = torch.randint(7, (5, 3, 8)), torch.randint(3, (5, 2))
    nothing = torch.zeros(5, 2, dtype=torch.bool)
    mask = torch.ones(5, 3, dtype=torch.bool)
    batch = TokenSegments(tokens, actions, torch.zeros(5, 2), nothing, nothing, mask)
    whole, sizes = count_predictions(model, [batch]).metrics(), []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    monkeypatch.setattr(metrics_module, "MAX_LOGITS", 2 * (2 * 8 * model.config.vocab_size) + 1)
    assert count_predictions(model, [batch]).metrics() == pytest.approx(whole)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("latents", [0, 2])
def test_with_a_stay_gate_only_tokens_that_may_change_are_looked_at(latents, monkeypatch):
    torch.manual_seed(0)
    model = tiny("parallel", stay_gate=True, copies=2, latents=latents).eval()
    tokens, actions = torch.randint(2, (6, 5, 8)), torch.randint(3, (6, 4))
    nothing, mask = torch.zeros(6, 4, dtype=torch.bool), torch.ones(6, 5, dtype=torch.bool)
    mask[2, 3:] = False
    batch = TokenSegments(tokens, actions, torch.zeros(6, 4), nothing, nothing, mask)
    expected = PredictionCounts()
    with torch.no_grad():
        # Half of the tokens are likelier to change than to stay.
        torch.nn.init.normal_(model.network.copy_gate.weight)
        model.network.copy_gate.bias[0] -= model(tokens, actions, from_prior=True).stays.median()
        prediction = model(tokens, actions, from_prior=True)
        torch.manual_seed(1)
        posterior = model(tokens, actions) if latents else None
    expected.add(prediction, batch, posterior)
    looked_at, change_logits = [], model.network.change_logits
    monkeypatch.setattr(
        model.network,
        "change_logits",
        lambda x, *rest: looked_at.append(len(x)) or change_logits(x, *rest),
    )
    torch.manual_seed(1)
    counts = count_predictions(model, [batch])
    assert counts.metrics() == pytest.approx(expected.metrics(), rel=1e-5)
    assert 0 < counts.correct_tokens < counts.unchanged_tokens < counts.tokens
    assert looked_at[0] == 0 and looked_at[1] < counts.tokens


def frame_prediction(value: int, tokens: list, x: float):
    frames = np.full((1, 1, 2, 3), value, np.uint8)
    return FramePrediction(frames, np.array([tokens]), np.array([x], np.float32))


def test_scores_of_a_frame_by_hand():
    backgrounds = SceneBackgrounds(np.array([3]), np.zeros((1, 1, 2, 3), np.uint8), 0)
    true = frame_prediction(100, [1, 2], 8.0)
    true.frames[0, 0, 1] = 0  # The right pixel is background.
    scores = score_frames(true, frame_prediction(90, [1, 3], 5.0), np.array([3]), backgrounds)
    assert scores.squared_error.tolist() == [(10**2 + 90**2) / 2]
    assert scores.foreground.tolist() == [1] and scores.recalled.tolist() == [1]
    assert scores.tokens.tolist() == [0.5]
    assert scores.player_error.tolist() == [3.0] and scores.player_known.tolist() == [True]
    repeated = true.repeat(2)
    assert repeated.tokens.tolist() == [[1, 2], [1, 2]]


def test_frames_are_pooled():
    nan = float("nan")
    scores = FrameScores(
        squared_error=np.array([0.0, 2 * 255.0**2 / 100]),
        foreground=np.array([3, 1]),
        recalled=np.array([1, 1]),
        tokens=np.array([0.5, 1.0]),
        player_error=np.array([nan, 4.0], np.float32),
        player_known=np.array([True, True]),
    )
    row = pool_scores(8, "dream", -1, scores)
    assert (row.horizon, row.predictor, row.room, row.rollouts) == (8, "dream", -1, 2)
    assert row.psnr == pytest.approx(20.0) and row.foreground_recall == 0.5
    assert (row.token_accuracy, row.player_seen, row.player_error) == (0.75, 0.5, 4.0)
    first = pool_scores(8, "dream", 3, scores.pick(np.array([True, False])))
    # Without any error: as if one value in a million were off by one grey level.
    assert first.psnr == pytest.approx(10 * np.log10(255**2 / 1e-6))
    assert first.rollouts == 1 and first.player_seen == 0.0 and np.isnan(first.player_error)

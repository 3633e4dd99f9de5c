import numpy as np
import pytest

from worldtokens.world_model import Sampling
from worldtokens.world_model.rl.dream_batch import DreamBatch
from worldtokens.world_model.rl.starts import Starts


@pytest.fixture
def batch(models):
    frames = np.random.default_rng(0).integers(0, 256, (30, 16, 32, 3), dtype=np.uint8)
    model, tokenizer = models
    return DreamBatch(model, Starts(frames, tokenizer), 3, 4, Sampling(), None, True)


def dream(batch):
    return [batch.step(np.array([0, 1, 2])).tokens.tolist() for _ in range(3)]


def test_seeds_decide_starts_and_draws(batch):
    batch.seed(3)
    batch.begin()
    first = batch.tokens.tolist(), dream(batch)
    batch.seed([3, 4, 6])
    batch.begin()
    second = batch.tokens.tolist(), dream(batch)
    assert first[0][:2] == second[0][:2] and first[0][2] != second[0][2]
    for a, b in zip(first[1], second[1], strict=True):
        assert a[:2] == b[:2] and a[2] != b[2]


def test_known_frames_are_read_but_not_predicted(batch, models, monkeypatch):
    tokens = np.arange(12).reshape(4, 3) % 16
    monkeypatch.setattr(
        batch._starts, "draw", lambda *_: (np.repeat(tokens, 3, 1)[:, :8], np.arange(3))
    )
    predicted = []
    monkeypatch.setattr(models[0].network, "predict", lambda *_: predicted.append(1))
    batch.seed(3)
    batch.begin()
    assert batch.state.cache.frames and not predicted
    assert len(batch.state.past_frames) == min(3, models[0].network.num_past_frames)


def test_some_rows_are_seeded_and_restarted(batch):
    batch.seed(0)
    batch.begin()
    dream(batch)
    before = batch.tokens
    batch.seed([9, 9, 9], rows=[1])
    batch.restart(np.array([1]))
    after = batch.tokens
    assert after[[0, 2]].tolist() == before[[0, 2]].tolist()
    batch.seed(9)
    batch.begin()
    assert batch.tokens[0].tolist() == after[1].tolist()


def test_numbers_of_seeds(batch):
    with pytest.raises(ValueError, match="seed: expected 3 of them, got 2"):
        batch.seed([1, 2])

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model import Sampling
from worldtokens.world_model.evaluation.fidelity import measure_fidelity
from worldtokens.world_model.evaluation.open_loop import roll_out

GREEDY = Sampling(top_k=1)


def test_copying_is_compared_with_true_frames(loaded):
    heldout, episode = loaded.heldout, loaded.episodes[0]
    open_loop = roll_out(loaded.model, [(episode, 9)], 2, 4, sampling=GREEDY)
    frames = heldout.read_frames(0, heldout.num_frames)
    backgrounds = SceneBackgrounds.fit(frames, heldout.scene, 0)
    rows = measure_fidelity(open_loop, loaded.tokenizer, heldout, backgrounds, [1, 2, 4])
    # The episode stops two steps after the last known frame.
    assert [(row.horizon, row.predictor) for row in rows] == [
        (horizon, name) for horizon in (1, 2) for name in ("dream", "copy", "tokenizer")
    ]
    error = (frames[12].astype(float) - frames[10]) ** 2
    copy = next(row for row in rows if row.horizon == 2 and row.predictor == "copy")
    if error.any():
        assert copy.psnr == pytest.approx(10 * np.log10(255**2 / error.mean()), abs=1e-4)
    assert copy.rollouts == 1
    ceiling = next(row for row in rows if row.horizon == 2 and row.predictor == "tokenizer")
    assert ceiling.token_accuracy == 1.0 and np.isnan(ceiling.player_error)


def test_rooms_have_rows_of_their_own(loaded, monkeypatch):
    heldout = loaded.heldout
    frames = heldout.read_frames(0, heldout.num_frames)
    scene = np.arange(heldout.num_frames) // 13 + 3
    monkeypatch.setattr(EpisodeDataset, "scene", property(lambda self: scene))
    starts = [(loaded.episodes[0], 3), (loaded.episodes[1], 3), (loaded.episodes[1], 5)]
    open_loop = roll_out(loaded.model, starts, 2, 1, sampling=GREEDY)
    backgrounds = SceneBackgrounds.fit(frames, scene, 0)
    rows = measure_fidelity(open_loop, loaded.tokenizer, heldout, backgrounds, [1])
    counts = {row.room: row.rollouts for row in rows if row.predictor == "dream"}
    assert counts == {-1: 3, 3: 1, 4: 2}


def test_several_dreams_of_a_start_count_by_their_mean_and_by_the_best(loaded, monkeypatch):
    heldout, episodes, tokenizer = loaded.heldout, loaded.episodes, loaded.tokenizer
    starts = [(episodes[0], 3), (episodes[1], 9)]
    open_loop = roll_out(loaded.model, starts, 2, 4, samples=3, sampling=GREEDY)
    open_loop.rollout.tokens.copy_((open_loop.truth.tokens[:, 2:] + 1) % 64)
    # The second of the first start's dreams and the third of the second's are the truth itself.
    for dream, steps in ((1, 4), (5, 2)):
        open_loop.rollout.tokens[dream, :steps] = open_loop.truth.tokens[dream, 2 : 2 + steps]
    # The tokenizer's own frames take the place of the true ones, which an untrained tokenizer may
    # come nearer to with other tokens.
    everything = torch.from_numpy(np.concatenate([e.tokens for e in episodes]).astype(np.int64))
    frames = tokenizer.decode(everything).numpy()
    monkeypatch.setattr(EpisodeDataset, "gather_frames", lambda self, numbers: frames[numbers])
    backgrounds = SceneBackgrounds.fit(frames, heldout.scene, 0)
    rows = measure_fidelity(open_loop, tokenizer, heldout, backgrounds, [1, 2, 4])
    overall = {(row.horizon, row.predictor): row for row in rows}
    for horizon, num_starts in ((1, 2), (2, 2), (4, 1)):
        best, ceiling, mean = (overall[horizon, name] for name in ("best", "tokenizer", "dream"))
        assert best.psnr == ceiling.psnr and best.token_accuracy == 1.0
        assert best.rollouts == num_starts and mean.rollouts == 3 * num_starts
        assert mean.token_accuracy == pytest.approx(1 / 3)


class Reads:
    """A probe that sees the player where the frame's first pixel says."""

    def read(self, frames, scenes):
        return frames[:, 0, 0, 0].astype(np.float32)


def test_the_players_error_is_the_distance_from_the_ram(loaded, monkeypatch):
    heldout, episode = loaded.heldout, loaded.episodes[0]
    monkeypatch.setattr(
        "worldtokens.world_model.evaluation.fidelity.label_byte", lambda game, label: 1
    )
    open_loop = roll_out(loaded.model, [(episode, 3)], 2, 1, sampling=GREEDY)
    frames = heldout.read_frames(0, heldout.num_frames)
    backgrounds = SceneBackgrounds.fit(frames, heldout.scene, 0)
    rows = measure_fidelity(
        open_loop, loaded.tokenizer, heldout, backgrounds, [1], Reads()  # pyright: ignore
    )  # fmt: skip
    true = int(heldout.read("ram", 5, 6)[0, 1])
    # The probe of a copy reads the reconstruction of the last known frame, frame 4.
    known = loaded.tokenizer.decode(episode.tokens[4].astype(np.int64)).numpy()
    copy = next(row for row in rows if row.predictor == "copy")
    assert copy.player_error == abs(float(known[0, 0, 0]) - true) and copy.player_seen == 1.0

import numpy as np
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, fit_backgrounds
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.probe import PositionProbe, fit_probes, probe_metrics

GREY = (60, 60, 60)


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames with a red player, 2 wide, and a blue enemy; the player's column."""
    rng = np.random.default_rng(seed)
    frames = np.full((count, 24, 32, 3), GREY, np.uint8)
    columns, enemies = rng.integers(30, size=(2, count))
    for frame, column, enemy in zip(frames, columns, enemies, strict=True):
        frame[4:8, enemy : enemy + 2] = (0, 0, 250)
        frame[12:16, column : column + 2] = (250, 0, 0)
    return frames, columns


def backgrounds(rows: int = 24, columns: int = 32) -> SceneBackgrounds:
    return SceneBackgrounds(np.array([3]), np.full((1, rows, columns, 3), GREY, np.uint8), 0)


def test_a_probe_reads_where_the_player_stands_and_sees_that_there_is_none():
    frames, columns = blobs(1500, 0)
    hidden = np.arange(1500) % 10 == 9
    frames[hidden, 12:16] = GREY
    scenes = np.full(1500, 3)
    state = torch.random.get_rng_state()
    # 5 RAM units a pixel, as on a screen of 160.
    probe = PositionProbe.fit(frames, scenes, (columns * 5).astype(np.uint8), backgrounds())
    assert torch.equal(torch.random.get_rng_state(), state)
    frames, columns = blobs(200, 1)
    read = probe.read(frames, scenes[:200])
    # Half a pixel; the enemy may hide nothing, it stands elsewhere.
    assert np.abs(read - columns * 5).mean() < 2.5
    frames[:, 12:16] = GREY
    # What vanished and what shows no foreground at all is not seen.
    assert np.isnan(probe.read(frames, scenes[:200])).mean() > 0.95
    assert np.isnan(probe.read(np.full((2, 24, 32, 3), GREY, np.uint8), scenes[:2])).all()


def test_a_probe_is_the_same_for_the_same_frames():
    frames, columns = blobs(300, 0)
    scenes = np.full(300, 3)
    first, again = (
        PositionProbe.fit(frames, scenes, columns.astype(np.uint8), backgrounds()) for _ in "ab"
    )
    assert np.array_equal(first.read(frames, scenes), again.read(frames, scenes), equal_nan=True)


def test_cells_are_cut_with_what_is_around_them():
    probe = PositionProbe((24, 32, 3), backgrounds())
    frames = np.full((2, 24, 32, 3), GREY, np.uint8)
    frames[1, 9, 31] = (250, 10, 20)
    cells = probe._cut(frames, np.array([3, 3]))
    # Cells are 32 / 8 = 4 wide; row 9 is in the third row of cells, column 31 in the last.
    assert cells.frame.tolist() == [1] and cells.position.tolist() == [2 * 8 + 7]
    pixels = cells.pixels.reshape(4, 8, 8)
    # The crop begins half a cell before: at row 6 and column 26.
    assert pixels[:, 3, 5].tolist() == [250, 10, 20, 255]
    assert pixels.astype(int).sum() == 535  # All else is background.


def test_a_probe_is_fitted_to_decoded_training_frames(dataset, tokenizer_folder, monkeypatch):
    data = EpisodeDataset(dataset)
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    tokens = load_tokens(data, tokenizer)
    probes = fit_probes(data, tokens, tokenizer, fit_backgrounds(data))
    assert list(probes) == ["x", "y"]
    metrics = probe_metrics(probes["x"], tokenizer, data, tokens.episodes, max_frames=50)
    assert set(metrics) == {"probe_seen", "probe_error", "probe_error_pixels", "probe_within_4"}
    # The fake game's player walks over columns 0 to 3: nothing can be 4 off.
    assert metrics["probe_error"] < 4 and metrics["probe_within_4"] == metrics["probe_seen"]
    monkeypatch.setattr("worldtokens.world_model.evaluation.probe.ram_labels", lambda game: {})
    assert fit_probes(data, tokens, tokenizer, fit_backgrounds(data)) == {}
    assert probe_metrics(None, tokenizer, data, tokens.episodes) == {}

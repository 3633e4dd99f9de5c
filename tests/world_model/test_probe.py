import shutil

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, fit_backgrounds
from worldtokens.training.command_line import compose
from worldtokens.world_model import evaluate
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluate import EvaluateConfig
from worldtokens.world_model.evaluation.action_following import MOTIONS, find_runs
from worldtokens.world_model.evaluation.metrics import Fidelity
from worldtokens.world_model.evaluation.probe import PositionProbe, fit_probes, probe_figures
from worldtokens.world_model.evaluation.tables import (
    comparison_table,
    copying_beaten,
    overall_table,
    room_table,
)

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
    assert cells.frame.tolist() == [1] and cells.place.tolist() == [2 * 8 + 7]
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
    figures = probe_figures(probes["x"], tokenizer, data, tokens.episodes, most=50)
    assert set(figures) == {"probe_seen", "probe_error", "probe_error_pixels", "probe_within_4"}
    # The fake game's player walks over columns 0 to 3: nothing can be 4 off.
    assert figures["probe_error"] < 4 and figures["probe_within_4"] == figures["probe_seen"]
    monkeypatch.setattr("worldtokens.world_model.evaluation.probe.ram_labels", lambda game: {})
    assert fit_probes(data, tokens, tokenizer, fit_backgrounds(data)) == {}
    assert find_runs(MOTIONS[0], data, tokens.episodes, 2, 10) == []
    assert probe_figures(None, tokenizer, data, tokens.episodes) == {}


def row(**changes):
    values = dict(
        horizon=8, guess="dream", room=-1, rollouts=5, psnr=20.0, foreground_recall=0.5,
        token_accuracy=0.9, reward_accuracy=1.0, end_accuracy=1.0, player_seen=0.5,
        player_error=3.0,
    )  # fmt: skip
    return Fidelity(**{**values, **changes})


def guesses(horizon=8, room=-1, **psnr):
    return [row(guess=name, psnr=value, room=room, horizon=horizon) for name, value in psnr.items()]


def test_tables():
    rows = [
        line
        for room in (-1, 4)
        for line in guesses(room=room, dream=21.5, copy=19.25, tokenizer=40.0)
    ]
    assert "  21.50  19.25  40.00" in overall_table(rows)
    assert "best" not in overall_table(rows)
    assert "       4     (5)  21.50  19.25    0.500  0.500" in room_table(rows)
    assert room_table(rows[:3]) == ""
    assert "21.50 0.500" in comparison_table({"mine": rows, "other": rows})


def test_the_best_of_several_dreams_stands_beside_their_mean():
    rows = guesses(dream=21.5, best=23.5, copy=22.25, tokenizer=40.0)
    assert "  21.50  23.50  22.25  40.00" in overall_table(rows)
    assert "dream   best   copy token." in overall_table(rows)


def test_copying_is_beaten_horizon_by_horizon():
    rows = [
        *guesses(1, dream=30.0, best=31.0, copy=29.0),
        *guesses(2, dream=25.0, best=27.0, copy=26.0),
        *guesses(50, dream=1.0, best=1.0, copy=26.0),
    ]
    assert copying_beaten(rows).splitlines() == [
        "dreams beat copying at horizons 1 to 2: "
        "1 of 2 in pooled PSNR, 0 of 2 in foreground recall",
        "the best of each start's beat copying at horizons 1 to 2: "
        "2 of 2 in pooled PSNR, 0 of 2 in foreground recall",
    ]


def test_runs_stand_side_by_side_if_they_were_judged_alike(trained, dataset, capsys):
    def run(*more):
        options = ["env=FakeGame", f"root={trained}", f"data={dataset}", "horizons=[1,4]", *more]
        evaluate.main(compose(EvaluateConfig, "world_model_evaluate", options))

    folder = trained / "FakeGame"
    shutil.copytree(folder / "world_model" / "export", folder / "other" / "export")
    with pytest.raises(ValueError, match="other was not evaluated yet"):
        run("starts=4", "compare=[other]")
    run("starts=4", "run=other")
    capsys.readouterr()
    run("starts=4", "compare=[other]")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "(dB | recall)" in line)
    assert line.split()[:3] == ["horizon", "world_model", "other"]
    with pytest.raises(ValueError, match="other was evaluated with starts=4, this run with 5"):
        run("starts=5", "compare=[other]")

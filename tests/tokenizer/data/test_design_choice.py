from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import EnvConfig
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.data import design_choice
from worldtokens.tokenizer.data.design_choice import count_patches, with_chosen_design, with_preset
from worldtokens.tokenizer.train import TrainConfig
from worldtokens.training.command_line import compose


def make_dataset(folder, frames, name="gymnasium:Own"):
    """A training episode and a held-out one of the same number of frames, uint8 (2, n, H, W, 3)."""
    shape = frames.shape[2:]
    env = EnvConfig(name, frame_height=shape[0], frame_width=shape[1])
    write_description(folder, DatasetDescription(env, ("A0", "A1"), shape))
    writer = ShardWriter(folder / "shards", "test", shape)
    for seed, seen in ((0, frames[0]), (9, frames[1])):
        steps = len(seen) - 1
        writer.append(
            Episode(
                EpisodeInfo(f"e{seed}", seed, "reset", steps, 0.0), seen,
                np.zeros(steps, np.int64), np.zeros(steps, np.float32), np.zeros(steps, bool),
                np.arange(steps) == steps - 1, np.zeros((steps + 1, 128), np.uint8),
                np.zeros(steps + 1, np.uint8),
            )
        )  # fmt: skip
    writer.flush()
    return folder


def tiles(rng, count):
    """Frames of 32x32 put together from four patches."""
    patches = rng.integers(256, size=(4, 8, 8, 3)).astype(np.uint8)
    grid = patches[rng.integers(4, size=(2, count, 4, 4))]
    return grid.transpose(0, 1, 2, 4, 3, 5, 6).reshape(2, count, 32, 32, 3)


def noise(rng, count):
    return rng.integers(256, size=(2, count, 32, 32, 3)).astype(np.uint8)


def config(data, *overrides):
    return compose(
        TrainConfig,
        "tokenizer",
        [
            "env=gymnasium:Own", f"data={data}", f"root={data.parent / 'runs'}",
            "model.frame_height=32", "model.frame_width=32", *overrides,
        ],
    )  # fmt: skip


def test_patches_are_counted(tmp_path):
    rng = np.random.default_rng(0)
    frames = tiles(rng, 10)
    # A held-out patch that no training frame has: one of 160.
    frames[1, 0, :8, :8] = 3
    data = make_dataset(tmp_path / "data", frames)
    count = count_patches(
        EpisodeDataset(data, "train"), EpisodeDataset(data, "heldout"), TokenizerConfig(32, 32)
    )
    assert (count.patches, count.distinct, count.frames) == (160, 4, 10)
    assert count.coverage == pytest.approx(159 / 160) and count.preset == "fast"
    close = f"{100 * count.closeness:.0f}%"
    assert count.codebook_size == 8192
    assert count.missed == pytest.approx((1 - count.closeness) / 160)
    assert count.words("fast") == (
        "a dictionary of 8,192 patches: 4 of 160 patches in 10 frames are distinct; the 8,192 most "
        f"frequent ones make up 99% of held-out frames, and come close to {close} of the other "
        "pixels (a dictionary needs 75%, or 98%; below 95% twice the codes, 4 times if they miss "
        f"over 0.2% of all pixels: here {100 * count.missed:.2f}%)"
    )
    half = replace(TokenizerConfig(32, 32), codebook_size=2)
    count = count_patches(EpisodeDataset(data, "train"), EpisodeDataset(data, "heldout"), half)
    assert 0.3 < count.coverage < 0.75 and count.preset == "vqgan"


def test_few_patches_take_the_dictionary_and_many_take_vqgan(tmp_path, capsys):
    rng = np.random.default_rng(0)
    data = make_dataset(tmp_path / "tiles", tiles(rng, 10))
    chosen = with_chosen_design(config(data))
    assert chosen == replace(config(data), choose_design=False)
    assert capsys.readouterr().out.startswith("design    a dictionary of 8,192 patches: 4 of 160")
    data = make_dataset(tmp_path / "noise", noise(rng, 10))
    chosen = with_chosen_design(config(data, "loss.hard=0.25"))
    expected = config(data, "tokenizer_preset=vqgan", "loss.hard=0.25", "choose_design=false")
    assert chosen == expected and chosen.model.network == "resnet"
    assert "make up 0% of held-out frames, and come close to " in capsys.readouterr().out


def test_patches_that_are_much_alike_take_the_dictionary(tmp_path):
    rng = np.random.default_rng(0)
    # No two are the same, and none is further from another than 40 in more than some pixels.
    frames = (100 + rng.integers(20, size=(2, 10, 32, 32, 3))).astype(np.uint8)
    frames[1, :, ::8, ::8] = 200
    data = make_dataset(tmp_path / "data", frames)
    count = count_patches(
        EpisodeDataset(data, "train"), EpisodeDataset(data, "heldout"), TokenizerConfig(32, 32)
    )
    assert count.coverage == 0 and count.closeness == pytest.approx(63 / 64)
    assert count.preset == "fast"


@pytest.mark.parametrize(
    "overrides",
    (["choose_design=false"], ["model.codebook_size=100"], ["tokenizer_preset=patch_fsq"]),
)
def test_what_is_configured_stays(tmp_path, capsys, overrides):
    data = make_dataset(tmp_path / "noise", noise(np.random.default_rng(0), 4))
    given = config(data, *overrides)
    assert with_chosen_design(given) == replace(given, choose_design=False)
    assert capsys.readouterr().out == ""


def test_games_of_atari_keep_the_dictionary(tmp_path, capsys):
    data = make_dataset(tmp_path / "noise", noise(np.random.default_rng(0), 4), "Pong")
    assert with_chosen_design(config(data)).model == config(data).model
    # 64 distinct patches say nothing about a dictionary of 8,192.
    assert capsys.readouterr().out.startswith("design    a dictionary of 8,192 patches: 64 of 64")


@pytest.mark.parametrize("game", ["gymnasium:Own", "Pong"])
@pytest.mark.parametrize(("alike", "size"), [(True, 100), (False, 200)])
def test_more_patches_than_codes_take_a_larger_dictionary(
    tmp_path, capsys, monkeypatch, game, alike, size
):
    own = partial(TokenizerConfig, codebook_size=50)
    monkeypatch.setattr(design_choice, "TokenizerConfig", own)
    rng = np.random.default_rng(0)
    frames = tiles(rng, 10)
    # One of ten patches of a held-out frame is new, and 64 more are known.
    frames[0, :4] = noise(rng, 4)[0]
    frames[1, :, :8, :16] = noise(rng, 10)[1, :, :8, :16]
    if alike:
        # The new ones are close to a known one.
        frames[1, :, :8, :16] = np.maximum(frames[1, :1, 8:16, :16], 1) - 1
    data = make_dataset(tmp_path / "data", frames, game)
    given = config(data, "model.codebook_size=50")
    chosen = with_chosen_design(given)
    assert chosen.model == replace(given.model, codebook_size=size)
    words = capsys.readouterr().out
    assert words.startswith(f"design    a dictionary of {size} patches: 68 of 160")
    assert ("here 0.00%)" in words) == alike


def test_a_run_that_was_begun_keeps_its_design(tmp_path, capsys):
    data = make_dataset(tmp_path / "tiles", tiles(np.random.default_rng(0), 4))
    folder = tmp_path / "runs" / "Own" / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("{}\n")
    for network, expected in (("resnet", "resnet"), ("dictionary", "dictionary")):
        (folder / "config.yaml").write_text(f"model: {{network: {network}}}\n")
        assert with_chosen_design(config(data)).model.network == expected
    for size, expected in ((16384, 16384), (8192, 8192)):
        text = f"model: {{network: dictionary, codebook_size: {size}}}\n"
        (folder / "config.yaml").write_text(text)
        assert with_chosen_design(config(data)).model.codebook_size == expected
    assert capsys.readouterr().out == ""


def test_a_run_of_atari_with_another_network_is_not_taken_for_a_vqgan(tmp_path):
    data = make_dataset(tmp_path / "tiles", tiles(np.random.default_rng(0), 4), "Pong")
    folder = tmp_path / "runs" / "Own" / "tokenizer"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("{}\n")
    for text in ("model: {network: resnet}\n", "model: {patch_size: 8}\n"):
        (folder / "config.yaml").write_text(text)
        assert with_chosen_design(config(data)).model == config(data).model


def test_a_preset_leaves_what_the_user_changed(tmp_path):
    given = config(tmp_path / "none", "batch_size=5", "adversary.width=7", "model.decoder_depth=1")
    merged = with_preset(given, "vqgan")
    assert (merged.batch_size, merged.adversary.width, merged.model.decoder_depth) == (5, 7, 1)
    assert merged.learning_rate == 3e-4 and merged.model.decoder_width == 32
    assert merged.model.frame_height == 32

"""Frames whose sides are no multiple of the patch, such as the emulator's own 210x160."""

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig, evaluate, train
from worldtokens.tokenizer.data.heldout import HeldoutFrames
from worldtokens.tokenizer.evaluation.reconstruction import evaluate as judge
from worldtokens.tokenizer.pixels import crop_pixels, pad_pixels
from worldtokens.training.command_line import compose

SMALL = dict(
    frame_height=21, frame_width=18, encoder_width=32, encoder_depth=1, decoder_width=8,
    decoder_depth=1, decoder_fine_depth=1, codebook_size=16, code_dim=4, latent_channels=8,
    channel_multipliers=[1, 1, 1],
)  # fmt: skip
DESIGNS = {
    "dictionary": {},
    "patch": {"quantizer": "fsq"},
    "vqgan": {"quantizer": "vq"},
    "vqvae": {"quantizer": "vq"},
    "vqvae2": {"quantizer": "vq"},
}


def build(network, **settings):
    torch.manual_seed(0)
    return Tokenizer(
        TokenizerConfig(**{**SMALL, "network": network, **DESIGNS[network], **settings})
    ).eval()


def random_frames(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_padding_repeats_the_last_row_and_column():
    pixels = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    padded = pad_pixels(pixels, (3, 4))
    assert padded[0, 0].tolist() == [[1, 2, 2, 2], [3, 4, 4, 4], [3, 4, 4, 4]]
    assert torch.equal(crop_pixels(padded, (2, 2)), pixels)
    assert pad_pixels(pixels, (2, 2)) is pixels


@pytest.mark.parametrize(
    ("network", "padded", "levels"),
    [
        ("dictionary", (24, 24), ((3, 3, 1),)),
        ("patch", (24, 24), ((3, 3, 1),)),
        ("vqgan", (24, 20), ((6, 5, 1),)),
        ("vqvae", (24, 20), ((6, 5, 1),)),
        ("vqvae2", (24, 24), ((3, 3, 1), (6, 6, 1))),
    ],
)
def test_every_network_takes_any_size(network, padded, levels):
    tokenizer = build(network)
    assert tokenizer.config.padded_shape == padded
    assert tokenizer.levels == levels
    assert tokenizer.frame_shape == (21, 18, 3)
    count = sum(rows * columns for rows, columns, _ in levels)
    assert tokenizer.tokens_per_frame == count == tokenizer.grid[0] * tokenizer.grid[1]
    frames = random_frames(5, 21, 18, 3)
    tokens = tokenizer.encode(frames)
    made = tokenizer.decode(tokens)
    assert tokens.shape == (5, count) and made.shape == (5, 21, 18, 3)
    output = tokenizer(torch.from_numpy(frames))
    assert output.target.shape == output.reconstruction.shape == (5, 3, 21, 18)
    # The padding is nothing but the frame's own edge: a frame that shows it already is the same.
    whole = build(network, frame_height=padded[0], frame_width=padded[1])
    whole.load_state_dict(tokenizer.state_dict())
    margins = ((0, 0), (0, padded[0] - 21), (0, padded[1] - 18), (0, 0))
    assert torch.equal(whole.encode(np.pad(frames, margins, mode="edge")), tokens)
    assert torch.equal(whole.decode(tokens)[:, :21, :18], made)


@pytest.mark.parametrize(
    ("network", "grid"), [("patch", (27, 20)), ("dictionary", (27, 20)), ("vqgan", (14, 10))]
)
def test_grids_of_the_emulators_own_frames(network, grid):
    # 210 rows are 26 patches of 8 and 2 rows, or 13 of 16 and 2 rows.
    tokenizer = build(
        network, frame_height=210, frame_width=160, channel_multipliers=[1, 1, 1, 1, 1]
    )
    assert tokenizer.grid == grid
    tokens = tokenizer.encode(random_frames(1, 210, 160, 3))
    assert tokenizer.decode(tokens).shape == (1, 210, 160, 3)


def test_a_dictionary_keeps_the_last_rows_exactly():
    tokenizer = build("dictionary")
    frames = random_frames(1, 21, 18, 3)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    assert torch.equal(tokenizer.decode(tokenizer.encode(frames)), torch.from_numpy(frames))


def test_no_flicker_at_the_edge():
    tokenizer = build("patch")
    frames = random_frames(4, 21, 18, 3)
    after = frames.copy()
    # The 8 rows and columns that end one pixel before the last patch's; their tokens may change.
    after[:, 8:16, 8:16] = 255 - after[:, 8:16, 8:16]
    heldout = HeldoutFrames(frames, after, np.zeros(4, np.int64), np.zeros((4, 21, 18), bool))
    found = judge(tokenizer, heldout, with_ssim=False)
    assert found.flicker == 0.0
    tokens, changed = tokenizer.encode(frames), tokenizer.encode(after)
    assert (tokens != changed).any(0).nonzero().flatten().tolist() == [4]


def test_training_at_an_odd_size(overrides, tmp_path, capsys, make_dataset):
    rng = np.random.default_rng(0)
    episodes = [rng.integers(0, 256, (5, 21, 18, 3), dtype=np.uint8) for _ in range(20)]
    for episode in episodes:
        episode[:, 8:] = episode[0, 8:]
    make_dataset(tmp_path / "data", episodes, [0, 1] * 10, "FakeGame")
    more = [
        f"data={tmp_path}/data", "model.frame_height=21", "model.frame_width=18",
        "adversary={weight: 0.1, start: 4, warmup: 1, width: 4, depth: 1}",
        "loss.foreground=0.5", "budget.max_steps=8",
    ]  # fmt: skip
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    loaded = Tokenizer.from_pretrained(tmp_path / "FakeGame" / "tokenizer")
    assert loaded.frame_shape == (21, 18, 3) and loaded.grid == (3, 3)
    asked = ["env=FakeGame", f"data={tmp_path}/data", f"root={tmp_path}", "picture_frames=4"]
    evaluate.main(compose(evaluate.EvaluateConfig, "tokenizer_evaluate", asked))
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["tokens per frame"] == ["9"] and rows["flicker"] == ["0.0000"]

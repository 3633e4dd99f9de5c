import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tokenizer import Tokenizer, TokenizerConfig

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "replay_compressor.py"
SHAPE = (16, 24, 3)


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("replay_compressor")


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return Tokenizer(
        TokenizerConfig(
            frame_height=16,
            frame_width=24,
            network="patch",
            encoder_width=16,
            encoder_depth=1,
            decoder_width=16,
            decoder_depth=1,
            decoder_fine_depth=1,
            quantizer="fsq",
            fsq_levels=[4, 3],
        )
    )


def random_frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def test_tokens_are_packed_to_their_bits(example, tokenizer):
    store = example.TokenFrames(10, tokenizer)
    # 6 tokens of 12 codes, 4 bits each.
    assert store.bytes_per_frame == 3
    frames = random_frames(4)
    slots = np.array([7, 2, 0, 9])
    store.write(slots, frames)
    tokens = tokenizer.encode(frames).numpy()
    assert len(np.unique(tokens)) > 4
    assert np.array_equal(store.read_tokens(slots[::-1]), tokens[::-1])
    assert np.array_equal(store.read(slots), tokenizer.decode(tokens).numpy())


def test_the_bits_of_the_largest_code(example, tokenizer, monkeypatch):
    """A vocabulary of 2^n codes takes n bits, not n + 1, and its last code fits."""
    monkeypatch.setattr(tokenizer, "vocab_size", 16)
    monkeypatch.setattr(tokenizer, "encode", lambda frames: torch.full((len(frames), 6), 15))
    store = example.TokenFrames(1, tokenizer)
    store.write(np.array([0]), random_frames(1))
    assert store.bytes_per_frame == 3
    assert store.read_tokens(np.array([0])).tolist() == [[15] * 6]


def numbered(row, env):
    """A frame that says where it was added."""
    return np.full(SHAPE, 10 * row + env, np.uint8)


def fill(buffer, rows, ends=()):
    for row in range(rows):
        buffer.add(
            np.stack([numbered(row, env) for env in range(2)]),
            np.array([row, row + 100]),
            np.array([row, -row]),
            np.array([(row, env) in ends for env in range(2)]),
            np.zeros(2, bool),
        )


def transitions(batch):
    """(frame, action, reward, terminated, next frame) by the numbers they bear."""
    return {
        (int(frame[0, 0, 0]), int(action), float(reward), bool(ended), int(after[0, 0, 0]))
        for frame, action, reward, ended, after in zip(
            batch.frames, batch.actions, batch.rewards, batch.terminated, batch.next_frames,
            strict=True,
        )
    }  # fmt: skip


def test_samples_are_the_transitions_that_were_added(example):
    buffer = example.ReplayBuffer(example.RawFrames(10, SHAPE), 5, 2)
    fill(buffer, 4, ends={(1, 0)})
    batch = buffer.sample(500, np.random.default_rng(0))
    assert transitions(batch) == {
        (0, 0, 0.0, False, 10),
        (10, 1, 1.0, True, 20),  # row 2 of environment 0 holds the last frame and no step
        (1, 100, 0.0, False, 11),
        (11, 101, -1.0, False, 21),
        (21, 102, -2.0, False, 31),
    }
    assert not batch.truncated.any()


def test_the_ring_forgets_the_oldest_rows(example):
    buffer = example.ReplayBuffer(example.RawFrames(6, SHAPE), 3, 2)
    fill(buffer, 7)
    batch = buffer.sample(500, np.random.default_rng(0))
    assert {number for number, *_ in transitions(batch)} == {40, 41, 50, 51}
    assert {after for *_, after in transitions(batch)} == {50, 51, 60, 61}


def test_an_end_survives_the_turn_of_the_ring(example):
    buffer = example.ReplayBuffer(example.RawFrames(6, SHAPE), 3, 2)
    fill(buffer, 4, ends={(2, 0), (2, 1)})
    batch = buffer.sample(500, np.random.default_rng(0))
    assert transitions(batch) == {
        (10, 1, 1.0, False, 20),
        (11, 101, -1.0, False, 21),
        (20, 2, 2.0, True, 30),
        (21, 102, -2.0, True, 31),
    }
    fill(buffer, 1)
    assert 30 not in {number for number, *_ in transitions(buffer.sample(500, rng()))}


def rng():
    return np.random.default_rng(1)


def test_too_small(example):
    with pytest.raises(ValueError, match="num_rows: expected at least 3, got 2"):
        example.ReplayBuffer(example.RawFrames(4, SHAPE), 2, 2)
    buffer = example.ReplayBuffer(example.RawFrames(6, SHAPE), 3, 2)
    fill(buffer, 2)
    with pytest.raises(ValueError, match="the buffer has 2 rows; add at least 3"):
        buffer.sample(1, rng())


def test_main_on_a_trained_tokenizer(example, tokenizer, tmp_path, capsys):
    tokenizer.save_pretrained(tmp_path)
    words = f"--game FakeGame --tokenizer {tmp_path} --steps 90 --num-envs 3 --batch-size 8"
    raw, tokens = example.main(example.parse(words.split() + ["--device", "cpu", "--batches", "1"]))
    # The frame, and 8 bytes for action, reward, two ends and whether there is a step.
    assert (raw.bytes_per_step, tokens.bytes_per_step) == (16 * 24 * 3 + 8, 3 + 8)
    assert raw.recall == 1.0 and raw.psnr > 70
    assert 0.0 <= tokens.recall < 1.0 and 2 < tokens.psnr < 40
    assert min(raw.steps_in, raw.steps_out, tokens.steps_in, tokens.steps_out) > 0
    printed = capsys.readouterr().out
    assert "FakeGame, 90 steps of random play, 3 at once" in printed
    assert "     11     105x" in printed


def test_main_without_training(example):
    words = "--game FakeGame --untrained --steps 12 --num-envs 2 --batches 1 --batch-size 2"
    raw, tokens = example.main(example.parse(words.split()))
    bits = (Tokenizer(TokenizerConfig()).vocab_size - 1).bit_length()
    assert (raw.bytes_per_step, tokens.bytes_per_step) == (12288 + 8, 64 * bits // 8 + 8)


def test_user_errors_are_one_line(monkeypatch, tmp_path):
    words = [str(SCRIPT), "--game", "FakeGame", "--tokenizer", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="^error: tokenizer .*: no such folder; train one") as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "\n" not in str(end.value)

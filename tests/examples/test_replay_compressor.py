import runpy
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "replay_compressor.py"
SHAPE = (16, 24, 3)


@pytest.fixture(scope="module")
def example(load_example):
    return load_example("replay_compressor")


@pytest.fixture(scope="module")
def tokenizer(new_tiny_tokenizer):
    return new_tiny_tokenizer()


def random_frames(count):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def test_tokens_come_back_as_they_were(example, tokenizer):
    store = example.TokenFrames(70, 2, tokenizer)
    frames = random_frames(140).reshape(70, 2, *SHAPE)
    for row in range(70):
        store.write(row, frames[row])
    tokens = tokenizer.encode(frames).numpy()
    assert len(np.unique(tokens)) > 4
    # One in a closed block, two in the same, one in the open block.
    rows, envs = np.array([3, 40, 41, 69]), np.array([1, 0, 0, 1])
    assert np.array_equal(store.read_tokens(rows, envs), tokens[rows, envs])
    assert np.array_equal(store.read(rows, envs), tokenizer.decode(tokens[rows, envs]).numpy())


def test_blocks_keep_old_rows_until_they_are_overwritten(example):
    """70 rows, in blocks of 32, 32 and 6."""
    store = example.ZlibFrames(70, 2, (1,), np.dtype(np.int32))
    last = {}
    for time in range(250):
        row = time % 70
        last[row] = [[time], [-time]]
        store.write(row, np.array(last[row]))
        if time % 11 == 0 or time > 200:
            rows = np.array(sorted(last))
            for env in range(2):
                read = store.read(rows, np.full(len(rows), env))
                assert read.tolist() == [last[row][env] for row in sorted(last)]


def test_the_size_of_a_frame(example):
    store = example.ZlibFrames(96, 1, (100,), np.dtype(np.uint8))
    assert store.bytes_per_frame == 100
    block = np.random.default_rng(0).integers(0, 4, (33, 1, 100), dtype=np.uint8)
    for row in range(33):
        store.write(row, block[row])
    data = zlib.compress(block[:32].tobytes())
    assert store.bytes_per_frame == (sys.getsizeof(data) + 8) / 32


def numbered(row, env):
    """A frame whose value is the row and environment that it was added to."""
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
            batch.frames,
            batch.actions,
            batch.rewards,
            batch.terminated,
            batch.next_frames,
            strict=True,
        )
    }


def test_samples_are_the_transitions_that_were_added(example):
    buffer = example.ReplayBuffer(example.PlainFrames(5, 2, SHAPE), 5, 2)
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


def test_the_oldest_rows_are_overwritten(example):
    buffer = example.ReplayBuffer(example.PlainFrames(3, 2, SHAPE), 3, 2)
    fill(buffer, 7)
    batch = buffer.sample(500, np.random.default_rng(0))
    assert {number for number, *_ in transitions(batch)} == {40, 41, 50, 51}
    assert {after for *_, after in transitions(batch)} == {50, 51, 60, 61}


def test_an_end_is_kept_where_the_ring_buffer_begins_again(example):
    buffer = example.ReplayBuffer(example.PlainFrames(3, 2, SHAPE), 3, 2)
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
        example.ReplayBuffer(example.PlainFrames(2, 2, SHAPE), 2, 2)
    buffer = example.ReplayBuffer(example.PlainFrames(3, 2, SHAPE), 3, 2)
    fill(buffer, 2)
    with pytest.raises(ValueError, match="sample: expected at least 3 rows in the buffer, got 2"):
        buffer.sample(1, rng())


def test_main_on_a_trained_tokenizer(example, tokenizer, tmp_path, capsys):
    tokenizer.save_pretrained(tmp_path)
    words = f"--game FakeGame --tokenizer {tmp_path} --steps 120 --num-envs 3 --batch-size 8"
    plain, packed, tokens = example.main(
        example.parse([*words.split(), "--device", "cpu", "--batches", "1"])
    )
    # The frame, and 8 bytes for action, reward, two ends and whether there is a step.
    assert plain.bytes_per_step == 16 * 24 * 3 + 8
    assert tokens.bytes_per_step < packed.bytes_per_step < plain.bytes_per_step / 5
    assert plain.recall == packed.recall == 1.0
    assert plain.psnr == packed.psnr > 70
    assert 0.0 <= tokens.recall < 1.0 and 2 < tokens.psnr < 40
    for result in (plain, packed, tokens):
        assert result.steps_in > 0 and result.steps_out > 0
    printed = capsys.readouterr().out
    assert "FakeGame, 120 steps of random play, 3 at once" in printed
    assert f"{'uint8':<8}{1160.0:>11}{'1x':>9}{'exact':>9}{'1.000':>8}" in printed


def test_main_without_training(example):
    words = "--game FakeGame --untrained --steps 12 --num-envs 2 --batches 1 --batch-size 2"
    plain, _, tokens = example.main(example.parse(words.split()))
    # No block is closed yet: 64 tokens of 2 bytes.
    assert (plain.bytes_per_step, tokens.bytes_per_step) == (12288 + 8, 128 + 8)


def test_user_errors_are_one_line(monkeypatch, tmp_path):
    words = [str(SCRIPT), "--game", "FakeGame", "--tokenizer", str(tmp_path / "none")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="^error: tokenizer .*: no such folder; train one") as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "\n" not in str(end.value)

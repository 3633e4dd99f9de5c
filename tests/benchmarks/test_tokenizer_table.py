import csv
import math

import numpy as np
import pytest
import tokenizer_table
from PIL import Image
from tokenizer_rows import Row
from tokenizer_table import read_designs

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeInfo,
    ShardWriter,
    write_description,
)
from worldtokens.envs import make_env
from worldtokens.tokenizer import train
from worldtokens.tokenizer.evaluation import probes
from worldtokens.training.command_line import compose

TINY = [
    "budget={max_minutes: null, max_steps: 3}", "batch_size=2", "start_frames=20",
    "heldout_frames=4", "mixed_precision=no", "model.decoder_width=8", "model.encoder_width=8",
    "model.decoder_depth=0", "model.decoder_fine_depth=0",
]  # fmt: skip


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["tokenizer_table.py", *map(str, arguments)])
    tokenizer_table.main()


@pytest.fixture
def data(tmp_path):
    """Episodes of the fake game at 32x32."""
    env = make_env("FakeGame", frame_height=32, frame_width=32)
    shape = (32, 32, 3)
    meanings = tuple(f"A{n}" for n in range(env.action_space.n))
    write_description(tmp_path / "data", DatasetDescription(env.unwrapped.config, meanings, shape))
    writer = ShardWriter(tmp_path / "data" / "shards", "test", shape)
    rng = np.random.default_rng(0)
    for seed in (0, 9):
        seen = [env.reset(seed=seed)]
        actions = rng.integers(len(meanings), size=30)
        for action in actions:
            frame, _, _, _, info = env.step(int(action))
            seen.append((frame, info))
        writer.append(
            Episode(
                EpisodeInfo(f"e{seed}", seed, "reset", 30, 0.0),
                np.stack([frame for frame, _ in seen]),
                actions.astype(np.int64),
                np.zeros(30, np.float32),
                np.zeros(30, bool),
                np.arange(30) == 29,
                np.stack([info["ram"] for _, info in seen]),
                np.zeros(31, np.uint8),
            )
        )
    writer.flush()
    env.close()
    return tmp_path / "data"


def test_a_table_of_two_designs(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr(probes, "STEPS", 3)
    designs = tmp_path / "two.yaml"
    designs.write_text(
        "small: [model.codebook_size=16]\n"
        "gan: [tokenizer_preset=patch_fsq, adversary.weight=0.5, adversary.start=1]\n"
    )
    asked = ["--data", data, "--designs", designs, "--root", tmp_path / "runs", "--out", tmp_path]
    asked += ["--frames", 20, "--probe-frames", 25, "--set", *TINY]
    run(monkeypatch, *asked)
    with open(tmp_path / "two_FakeGame.csv") as file:
        small, gan = csv.DictReader(file)
    assert (small["design"], small["tokens"], small["vocabulary"]) == ("small", "16", "16")
    assert (gan["design"], gan["tokens"], gan["bits"]) == ("gan", "16", str(16 * 9.0))
    assert small["loss"] == "1 L1 + 0.5 hard" and gan["loss"] == "1 L1 + 0.5 hard + 0.5 GAN"
    assert small["lpips"] == small["rfid"] == "weights missing"
    assert small["steps"] == "3" and float(small["train_rate"]) > 0
    for name in ("psnr", "ssim", "recall", "flicker", "perplexity", "encode_rate"):
        assert math.isfinite(float(small[name])), name
    page = (tmp_path / "two_FakeGame.md").read_text()
    assert "| weights missing |" in page and "No design was trained with LPIPS" in page
    assert "20 held-out frames" in page and "25 training frames" in page
    with Image.open(tmp_path / "two_FakeGame.png") as sheet:
        assert sheet.width == 3 * 2 * 32 + 8

    # A second call trains and judges nothing.
    before = (tmp_path / "two_FakeGame.csv").read_text()
    monkeypatch.setattr(train, "main", lambda config: pytest.fail("trained again"))
    run(monkeypatch, *asked)
    assert (tmp_path / "two_FakeGame.csv").read_text() == before
    run(monkeypatch, *asked, "--only", "gan")
    assert len((tmp_path / "two_FakeGame.csv").read_text().splitlines()) == 2


def test_a_table_of_images(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "toys.npy", rng.integers(0, 256, (30, 28, 28), dtype=np.uint8))
    run(
        monkeypatch, "--data", tmp_path / "toys.npy", "--only", "fast", "--root", tmp_path,
        "--out", tmp_path, "--frames", 3, "--set", *TINY, "model.codebook_size=16",
        "model.frame_height=28", "model.frame_width=28",
    )  # fmt: skip
    (row,) = csv.DictReader((tmp_path / "field_toys.csv").read_text().splitlines())
    assert row["tokens"] == "16" and row["recall"] == row["probe_f1"] == ""


def test_cells():
    row = Row("a", "1 L1", psnr=31.256, recall=0.5, lpips=None, train_rate=1234.5)
    cells = dict(zip(Row.headings(), row.cells(), strict=True))
    assert (cells["PSNR, dB"], cells["foreground recall"]) == ("31.26", "0.500")
    assert (cells["LPIPS"], cells["train frames/s"]) == ("weights missing", "1,234")
    assert cells["flicker"] == ""


@pytest.mark.parametrize("path", sorted((tokenizer_table.HERE / "designs").glob("*.yaml")))
def test_designs_are_configs(path):
    for overrides in read_designs(path, None).values():
        compose(train.TrainConfig, "tokenizer", ["env=FakeGame", *overrides])


def test_wrong_designs(tmp_path):
    path = tokenizer_table.HERE / "designs" / "field.yaml"
    with pytest.raises(ValueError, match="has no iris3; it has fast, iris, iris64"):
        read_designs(path, ["iris3"])
    (tmp_path / "bad.yaml").write_text("fast: tokenizer_preset=fast")
    with pytest.raises(ValueError, match="expected names, each with a list of overrides"):
        read_designs(tmp_path / "bad.yaml", None)

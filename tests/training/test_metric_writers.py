import json

import pytest
from PIL import Image

from worldtokens.training.metric_writers import (
    JsonlWriter,
    NullWriter,
    WandbConfig,
    WandbWriter,
    WriterGroup,
    read_metrics,
)


def test_rows_come_back(tmp_path):
    writer = JsonlWriter(tmp_path / "metrics.jsonl", step=0)
    writer.write(1, {"loss": 0.5})
    writer.write(2, {"loss": 0.25, "psnr": 30.0})
    writer.close()
    assert read_metrics(tmp_path / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25, "psnr": 30.0},
    ]


def test_a_resumed_run_writes_each_step_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 1}\n{"step": 2, "loss": 2}\n{"step": 3, "lo')
    writer = JsonlWriter(path, step=1)
    writer.write(2, {"loss": 5})
    writer.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "loss": 1},
        {"step": 2, "loss": 5},
    ]


def test_a_group_passes_everything_on(tmp_path):
    group = WriterGroup([NullWriter(), JsonlWriter(tmp_path / "metrics.jsonl", 0)])
    group.write(3, {"loss": 1.0})
    group.write_picture(3, "grid", tmp_path / "grid.png")
    group.close()
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 3, "loss": 1.0}]


def test_wandb_mode_is_checked():
    with pytest.raises(
        ValueError, match="wandb.mode: expected one of online, offline, disabled, got 'of'"
    ):
        WandbConfig(mode="of", project="worldtokens")


def test_wandb_offline_leaves_its_files_in_the_run_folder(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "grid.png")
    writer = WandbWriter(tmp_path, WandbConfig("offline", "worldtokens"), "tokenizer", {"seed": 0})
    writer.write(1, {"loss": 0.5})
    writer.write_picture(2, "grid", tmp_path / "grid.png")
    writer.close()
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))

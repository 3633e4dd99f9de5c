import json
from zlib import crc32

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
    assert read_metrics(path) == [{"step": 1, "loss": 1}, {"step": 2, "loss": 5}]
    row = '{"step": 2, "loss": 5'
    checksum = crc32(f"{row}}}".encode())
    assert path.read_text().splitlines()[1] == f'{row}, "crc32": "{checksum:08x}"}}'


def test_a_damaged_line_costs_that_line(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path, step=0)
    for step in (1, 2, 3, 4):
        writer.write(step, {"loss": step / 2})
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("1.0", "9.0")
    lines[2] = lines[2][:9]
    path.write_text("\n".join(lines) + "\n")
    assert [row["step"] for row in read_metrics(path)] == [1, 4]
    assert f"{path}: damaged lines are left out: 2, 3" in capsys.readouterr().err
    JsonlWriter(path, step=4)
    assert (tmp_path / "metrics.damaged.jsonl").read_text().splitlines() == lines
    assert [row["step"] for row in read_metrics(path)] == [1, 4]
    assert len(path.read_text().splitlines()) == 2


def test_rows_are_sorted_and_strict_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 5, "a": 1}\n{"step": 3, "a": NaN}\n')
    JsonlWriter(path, step=9)
    assert [row["step"] for row in read_metrics(path)] == [3, 5]
    assert "NaN" not in path.read_text() and json.loads(path.read_text().splitlines()[0])


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


def test_wandb_goes_on_with_the_run_of_the_folder(tmp_path):
    ids = []
    for _ in range(2):
        writer = WandbWriter(tmp_path, WandbConfig("offline", "worldtokens"), "tokenizer", {})
        ids.append((tmp_path / "wandb" / "run_id").read_text().strip())
        writer.close()
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert ids[0] == ids[1] and runs and all(ids[0] in run.name for run in runs)


def test_wandb_that_cannot_start_is_one_line(tmp_path, monkeypatch):
    import wandb

    def no_key(**settings):
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login`")

    monkeypatch.setattr(wandb, "init", no_key)
    with pytest.raises(ValueError, match="wandb.mode: .*No API key.* wandb.mode=offline") as caught:
        WandbWriter(tmp_path, WandbConfig("online", "worldtokens"), "tokenizer", {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_lost_checksum_is_damage_where_other_lines_have_one(tmp_path, number):
    path = tmp_path / "metrics.jsonl"
    writer = JsonlWriter(path, step=0)
    for step in (1, 2, 3):
        writer.write(step, {"loss": step / 2})
    lines = path.read_text().splitlines()
    lines[number] = f'{{"step": {number + 1}, "loss": 7.5}}'
    path.write_text("\n".join(lines) + "\n")
    assert [row["step"] for row in read_metrics(path)] == [n for n in (1, 2, 3) if n != number + 1]

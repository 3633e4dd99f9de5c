import json
from pathlib import Path

import pytest

from worldtokens.collect import DatasetDescription, read_description, write_description
from worldtokens.collect.dataset.description import find_dataset
from worldtokens.envs import EnvConfig
from worldtokens.hub import locations


def test_descriptions_round_trip_and_guard_the_folder(tmp_path):
    description = DatasetDescription(EnvConfig("FakeGame"), ("NOOP", "UP"), (64, 64, 3))
    write_description(tmp_path / "d", description)
    write_description(tmp_path / "d", description)
    assert read_description(tmp_path / "d") == description
    other = DatasetDescription(EnvConfig("FakeGame", frame_skip=2), ("NOOP", "UP"), (64, 64, 3))
    with pytest.raises(
        ValueError, match=r"env_config.frame_skip: 4 there, 2 now.*choose another folder with data="
    ):
        write_description(tmp_path / "d", other)


def test_missing_and_damaged_descriptions(tmp_path):
    (tmp_path / "MontezumaRevenge").mkdir()
    (tmp_path / "MontezumaRevenge" / "dataset.json").write_text("{}")
    with pytest.raises(ValueError, match="datasets beside it: MontezumaRevenge;.* env=GAME data="):
        read_description(tmp_path / "MontezumasRevenge")
    with pytest.raises(ValueError, match="dataset.json cannot be read .*format_version"):
        read_description(tmp_path / "MontezumaRevenge")
    content = {"format_version": 99}
    (tmp_path / "MontezumaRevenge" / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="expected format version 1, got 99"):
        read_description(tmp_path / "MontezumaRevenge")


def test_names_of_shipped_start_frames_are_found(tmp_path, monkeypatch):
    shipped = tmp_path / "pretrained"
    for name, part in (("with_starts", "starts"), ("without", "tokenizer")):
        (shipped / name / part).mkdir(parents=True)
        (shipped / name / "tokenizer").mkdir(exist_ok=True)
        (shipped / name / "tokenizer" / "config.json").write_text("{}")
    monkeypatch.setattr(locations, "SHIPPED", shipped)
    monkeypatch.chdir(tmp_path)
    assert find_dataset("with_starts") == shipped / "with_starts" / "starts"
    for name in ("without", "unknown", "data/with_starts"):
        assert find_dataset(name) == Path(name)
    # A folder of that name comes first.
    (tmp_path / "with_starts").mkdir()
    assert find_dataset("with_starts") == Path("with_starts")

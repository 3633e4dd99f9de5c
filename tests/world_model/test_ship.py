import json

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.hub import locations
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import compose
from worldtokens.world_model import WorldModel, imagine, ship
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.imagine import ImagineConfig
from worldtokens.world_model.ship import ShipConfig


@pytest.fixture
def shipped(trained, dataset, tmp_path, monkeypatch):
    """Runs the script; the folder that it wrote."""
    out = tmp_path / "pretrained"
    monkeypatch.setattr(locations, "SHIPPED", out)
    ship.main(config_of(trained, dataset, out))
    return out / "fake_game"


def config_of(trained, dataset, out, *more):
    options = ["env=FakeGame", f"root={trained}", f"data={dataset}", f"out={out}", "starts=2"]
    options += ["start_steps=9", "limits=[Squares only.]", *more]
    return compose(ShipConfig, "ship", options)


def test_models_load_by_name_and_fit_each_other(shipped, trained):
    tokenizer, model = Tokenizer.from_pretrained("FakeGame"), WorldModel.from_pretrained("FakeGame")
    model.check_tokenizer(tokenizer.fingerprint)
    for loaded, run in ((tokenizer, "tokenizer"), (model, "world_model")):
        before = type(loaded).from_pretrained(trained / "FakeGame" / run).state_dict()
        for name, value in loaded.state_dict().items():
            assert value.dtype == before[name].dtype
            if value.is_floating_point():
                assert torch.equal(value, before[name].half().float())
        card = (shipped / run / "README.md").read_text()
        assert "- Squares only." in card and f"`{loaded.fingerprint}`" in card
        assert "stored as float16" in card


def test_starts_are_excerpts_of_held_out_episodes(shipped, dataset):
    starts = EpisodeDataset(shipped / "starts", "heldout")
    held = EpisodeDataset(dataset, "heldout")
    assert [info.num_steps for info in starts.infos] == [9, 9]
    ids = [info.id for info in held.infos]
    for excerpt in starts.episodes:
        name, _, first = excerpt.id.rpartition("-from-")
        whole, rows = held.episodes[ids.index(name)], slice(int(first), int(first) + 9)
        assert np.array_equal(excerpt.frames, whole.frames[rows.start : rows.stop + 1])
        assert np.array_equal(excerpt.actions, whole.actions[rows])
        assert (excerpt.terminated | excerpt.truncated).tolist() == [False] * 8 + [True]


def test_tokens_of_the_starts_are_there_already(shipped, monkeypatch):
    tokenizer = Tokenizer.from_pretrained("fake_game")
    monkeypatch.setattr(tokenizer, "encode", None)
    tokens = load_tokens(EpisodeDataset(shipped / "starts", "heldout"), tokenizer)
    assert [len(episode.tokens) for episode in tokens.episodes] == [10, 10]


def test_dreams_go_on_from_the_shipped_starts(shipped, tmp_path):
    options = ["env=FakeGame", "world_model=fake_game", "tokenizer=fake_game", "horizon=4"]
    options += ["count=2", f"data={shipped / 'starts'}", f"out={tmp_path / 'dreams'}"]
    imagine.main(compose(ImagineConfig, "imagine", options))
    metadata = json.loads((tmp_path / "dreams" / "dream_01.json").read_text())
    assert metadata["tokenizer"] == Tokenizer.from_pretrained("fake_game").fingerprint
    assert len(metadata["dreams"][0]["actions"]) == 4


def test_too_large_leaves_what_was_there(shipped, trained, dataset):
    before = (shipped / "world_model" / "config.json").read_text()
    message = r"max_megabytes: expected files of at most 0.01 million bytes, got 0\.\d"
    with pytest.raises(ValueError, match=message):
        ship.main(config_of(trained, dataset, shipped.parent, "max_megabytes=0.01", "seed=1"))
    assert (shipped / "world_model" / "config.json").read_text() == before
    assert [path.name for path in shipped.parent.iterdir()] == ["fake_game"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("starts=0", "starts: expected a whole number of at least 1, got 0"),
        ("max_megabytes=0", "max_megabytes: expected a number above 0, got 0"),
        ("start_steps=99", "start_steps: expected at most 12, .* got 99"),
    ],
)
def test_wrong_settings_are_named(trained, dataset, tmp_path, option, message):
    with pytest.raises(ValueError, match=message):
        ship.main(config_of(trained, dataset, tmp_path / "out", option))


@pytest.mark.parametrize("name", ("../data", "/tmp/x", "..", "a/../../b"))
def test_names_stay_inside_of_the_folder(name, tmp_path):
    with pytest.raises(ValueError, match="name: expected a name, such as name=NAME"):
        config_of(tmp_path, tmp_path, tmp_path, f"name='{name}'")


def test_a_folder_that_it_did_not_write_is_left_alone(trained, dataset, tmp_path):
    thesis = tmp_path / "out" / "data" / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(ValueError, match="name: expected a folder that ship.py wrote, or none"):
        ship.main(config_of(trained, dataset, tmp_path / "out", "name=data"))
    assert thesis.read_text() == "years of work"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["data"]


def test_it_replaces_what_it_wrote(shipped, trained, dataset):
    (shipped / "starts" / "old").touch()
    ship.main(config_of(trained, dataset, shipped.parent, "seed=1"))
    assert not (shipped / "starts" / "old").exists()
    assert [path.name for path in shipped.parent.iterdir()] == ["fake_game"]


def test_starts_that_were_shipped_may_stay(shipped, trained, dataset):
    before = [info.id for info in EpisodeDataset(shipped / "starts", "heldout").infos]
    ship.main(config_of(trained, dataset, shipped.parent, "seed=3", "keep_starts=true"))
    starts = EpisodeDataset(shipped / "starts", "heldout")
    ids = [info.id for info in starts.infos]
    assert set(before) < set(ids) and len(ids) == len(set(ids))
    ship.main(config_of(trained, dataset, shipped.parent, "seed=3", "keep_starts=true"))
    assert [info.id for info in EpisodeDataset(shipped / "starts", "heldout").infos] == ids

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
from worldtokens.world_model.ship import Answers, ShipConfig, cut


@pytest.fixture
def shipped(trained, dataset, tmp_path, monkeypatch):
    """Runs the script; the folder that it wrote."""
    out = tmp_path / "pretrained"
    monkeypatch.setattr(locations, "SHIPPED", out)
    ship.main(config_of(trained, dataset, out))
    return out / "fake_game"


def config_of(trained, dataset, out, *more):
    words = ["env=FakeGame", f"root={trained}", f"data={dataset}", f"out={out}", "starts=2"]
    return compose(ShipConfig, "ship", [*words, "start_steps=9", "limits=[Squares only.]", *more])


def test_models_load_by_name_and_fit_each_other(shipped, trained):
    tokenizer, model = Tokenizer.from_pretrained("FakeGame"), WorldModel.from_pretrained("FakeGame")
    model.check_tokenizer(tokenizer.fingerprint)
    for made, run in ((tokenizer, "tokenizer"), (model, "world_model")):
        before = type(made).from_pretrained(trained / "FakeGame" / run).state_dict()
        for name, value in made.state_dict().items():
            assert value.dtype == before[name].dtype
            if value.is_floating_point():
                assert torch.equal(value, before[name].half().float())
        card = (shipped / run / "README.md").read_text()
        assert "- Squares only." in card and f"`{made.fingerprint}`" in card
        assert "stored as float16" in card


def test_starts_are_pieces_of_held_out_episodes(shipped, dataset):
    starts = EpisodeDataset(shipped / "starts", "heldout")
    held = EpisodeDataset(dataset, "heldout")
    assert [info.num_steps for info in starts.infos] == [9, 9]
    ids = [info.id for info in held.infos]
    for piece in starts.episodes:
        name, _, first = piece.id.rpartition("-from-")
        whole, rows = held.episodes[ids.index(name)], slice(int(first), int(first) + 9)
        assert np.array_equal(piece.frames, whole.frames[rows.start : rows.stop + 1])
        assert np.array_equal(piece.actions, whole.actions[rows])
        assert (piece.terminated | piece.truncated).tolist() == [False] * 8 + [True]


def test_pieces_that_are_wanted_come_first(trained, dataset, tmp_path):
    wanted = EpisodeDataset(dataset, "heldout").infos[-1].id
    config = config_of(trained, dataset, tmp_path, f"include=['{wanted}:2']")
    pieces = ship.choose_pieces(EpisodeDataset(dataset, "heldout"), config)
    assert pieces[0].info.id == f"{wanted}-from-000002" and len(pieces) == 2
    other = config_of(trained, dataset, tmp_path, f"include=['{wanted}:9']")
    with pytest.raises(ValueError, match=f"include: expected EPISODE:FRAME .* got '{wanted}:9'"):
        ship.choose_pieces(EpisodeDataset(dataset, "heldout"), other)


def test_tokens_of_the_starts_are_there_already(shipped, monkeypatch):
    tokenizer = Tokenizer.from_pretrained("fake_game")
    monkeypatch.setattr(tokenizer, "encode", None)
    tokens = load_tokens(EpisodeDataset(shipped / "starts", "heldout"), tokenizer)
    assert [len(episode.tokens) for episode in tokens.episodes] == [10, 10]


def test_dreams_from_what_was_shipped(shipped, tmp_path):
    words = ["env=FakeGame", "world_model=fake_game", "tokenizer=fake_game", "horizon=4", "count=2"]
    words += [f"data={shipped / 'starts'}", f"out={tmp_path / 'dreams'}"]
    imagine.main(compose(ImagineConfig, "imagine", words))
    about = json.loads((tmp_path / "dreams" / "dream_01.json").read_text())
    assert about["tokenizer"] == Tokenizer.from_pretrained("fake_game").fingerprint
    assert len(about["dreams"][0]["actions"]) == 4


def test_too_large_leaves_what_was_there(shipped, trained, dataset):
    before = (shipped / "world_model" / "config.json").read_text()
    with pytest.raises(ValueError, match=r"max_megabytes=0.01: the files take 0\.\d million bytes"):
        ship.main(config_of(trained, dataset, shipped.parent, "max_megabytes=0.01", "seed=1"))
    assert (shipped / "world_model" / "config.json").read_text() == before
    assert [path.name for path in shipped.parent.iterdir()] == ["fake_game"]


def test_no_episode_is_long_enough(trained, dataset, tmp_path):
    config = config_of(trained, dataset, tmp_path / "out", "start_steps=99")
    with pytest.raises(ValueError, match="start_steps=99: the longest held-out episode has 12 st"):
        ship.main(config)


def test_a_piece_with_the_end_of_a_game_is_not_truncated(dataset):
    episode = EpisodeDataset(dataset).episodes[0]  # It ends with a reward of 100.
    assert episode.terminated[-1]
    last, first = cut(episode, 9, 3), cut(episode, 0, 3)
    assert last.terminated.tolist() == [False, False, True] and not last.truncated.any()
    assert (last.info.total_reward, first.info.total_reward) == (100.0, 0.0)
    assert first.truncated.tolist() == [False, False, True] and not first.terminated.any()


def test_what_rounding_changed_in_words():
    tokens, frames = torch.zeros(2, 4, dtype=torch.int64), torch.zeros(2, 1, 1, 3).byte()
    before = Answers(tokens, frames, tokens[None])
    other = tokens.clone()
    other[0, 0] = 1
    text = ship.compare(before, Answers(other, frames + 3, tokens[None]))
    assert "On 2 held-out frames 87.500% of the tokens and 100.000% of the likeliest" in text
    assert "at most 3 of 255" in text

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.token_cache import load_tokens


def tiny() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(WorldModelConfig(tokenizer="abc", layers=1, width=32, heads=2)).eval()


def test_a_saved_model_comes_back_as_it_was(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path / "run" / "export")
    for place in (tmp_path / "run", tmp_path / "run" / "export"):
        again = WorldModel.from_pretrained(place)
        assert again.config == model.config and again.fingerprint == model.fingerprint
        tokens, actions = torch.randint(512, (1, 3, 64)), torch.randint(18, (1, 2))
        with torch.no_grad():
            assert torch.equal(model(tokens, actions).tokens, again(tokens, actions).tokens)


def test_another_weight_is_another_fingerprint():
    model = tiny()
    before = model.fingerprint
    with torch.no_grad():
        model.transformer.norm.bias[0] += 1
    assert model.fingerprint != before


def test_damaged_and_foreign_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="no such folder; train one with"):
        WorldModel.from_pretrained(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is neither a run folder nor an export folder"):
        WorldModel.from_pretrained(tmp_path / "empty")
    folder = tmp_path / "export"
    tiny().save_pretrained(folder)
    config = (folder / "config.json").read_text()
    for text, message in (
        ("{", "config.json is not JSON"),
        ("{}", "is not a world model: config.json says model None"),
        (config.replace('"format": 1', '"format": 9'), "expected format 1, got 9"),
        (config.replace('"heads"', '"head"'), "config.json has other keys: head, heads"),
        (config.replace('"layers": 1', '"layers": 2'), "the weights do not fit its config.json"),
    ):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            WorldModel.from_pretrained(folder)
    (folder / "config.json").write_text(config)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        WorldModel.from_pretrained(folder)


class Counting:
    """Counts the frames that a tokenizer encodes."""

    def __init__(self, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
        self.frames = 0
        encode = tokenizer.encode

        def counted(frames):
            self.frames += len(frames)
            return encode(frames)

        monkeypatch.setattr(tokenizer, "encode", counted)


def test_tokens_are_those_of_the_frames_and_are_computed_once(
    dataset, tokenizer_folder, monkeypatch, more_episodes
):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    count = Counting(tokenizer, monkeypatch)
    held = EpisodeDataset(dataset, "heldout")
    tokens = load_tokens(held, tokenizer)
    assert count.frames == 20 * 13  # Both splits at once.
    for index, episode in enumerate(tokens.episodes):
        true = held.episodes[index]
        np.testing.assert_array_equal(episode.tokens, tokenizer.encode(true.frames).numpy())
        np.testing.assert_array_equal(episode.actions, true.actions)
        np.testing.assert_array_equal(episode.terminated, true.terminated)
        np.testing.assert_array_equal(episode.truncated, true.truncated)
        frames = held.read_frames(episode.first_frame, episode.first_frame + 13)
        np.testing.assert_array_equal(frames, true.frames)
    count.frames = 0
    train = load_tokens(EpisodeDataset(dataset, "train"), tokenizer)
    assert count.frames == 0 and len(train.episodes) == 18
    more_episodes(dataset, 20, 5)
    load_tokens(EpisodeDataset(dataset), tokenizer)
    assert count.frames == 20 + 5 * 13  # One frame of each known episode is looked at again.
    files = list((dataset / "tokens" / tokenizer.fingerprint).iterdir())
    assert [file.stem for file in files] == [EpisodeDataset(dataset).fingerprint]


def test_a_damaged_cache_is_made_again(dataset, tokenizer_folder, monkeypatch):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    good = load_tokens(EpisodeDataset(dataset), tokenizer).episodes[3].tokens
    (path,) = (dataset / "tokens" / tokenizer.fingerprint).iterdir()
    path.write_bytes(path.read_bytes()[:500])
    again = load_tokens(EpisodeDataset(dataset), tokenizer).episodes[3].tokens
    np.testing.assert_array_equal(good, again)


def test_an_id_that_came_back_with_other_frames_is_encoded_again(
    dataset, tokenizer_folder, monkeypatch
):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    load_tokens(EpisodeDataset(dataset), tokenizer)
    (path,) = (dataset / "tokens" / tokenizer.fingerprint).iterdir()
    with np.load(path) as file:
        content = dict(file)
    content["tokens"][:13] = 0  # As if the first episode had been another.
    np.savez(path.with_name("older.npz"), **content)
    path.unlink()
    tokens = load_tokens(EpisodeDataset(dataset), tokenizer).episodes[0].tokens
    true = EpisodeDataset(dataset).episodes[0].frames
    np.testing.assert_array_equal(tokens, tokenizer.encode(true).numpy())


def test_frames_of_another_size_are_refused(dataset, tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    tokenizer.frame_shape = (64, 64, 3)
    with pytest.raises(ValueError, match=r"frames of shape \(16, 32, 3\), but the tokenizer"):
        load_tokens(EpisodeDataset(dataset), tokenizer)

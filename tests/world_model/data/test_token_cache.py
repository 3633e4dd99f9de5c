import shutil

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data import token_cache
from worldtokens.world_model.data.token_cache import load_tokens


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


def test_a_dataset_that_may_not_be_written_to_is_cached_elsewhere(
    dataset, trained, monkeypatch, tmp_path, capsys
):
    tokenizer = Tokenizer.from_pretrained(trained / "FakeGame" / "tokenizer")
    shutil.rmtree(dataset / "tokens", ignore_errors=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write, allowed = token_cache._write, [tmp_path / "cache"]

    def refuse(path, tokens):
        if not any(path.is_relative_to(folder) for folder in allowed):
            raise PermissionError(13, "Permission denied", str(path))
        write(path, tokens)

    monkeypatch.setattr(token_cache, "_write", refuse)
    episodes = EpisodeDataset(dataset)
    first = load_tokens(episodes, tokenizer)
    assert not (dataset / "tokens").exists()
    cached = tmp_path / "cache/worldtokens/tokens" / tokenizer.fingerprint
    assert [path.name for path in cached.iterdir()] == [f"{episodes.fingerprint}.npz"]
    again = load_tokens(episodes, tokenizer)
    np.testing.assert_array_equal(first.episodes[0].tokens, again.episodes[0].tokens)
    shutil.rmtree(tmp_path / "cache")
    allowed.clear()
    load_tokens(episodes, tokenizer)
    assert "note: tokens were not cached, since neither" in capsys.readouterr().err


def test_a_cache_that_lacks_an_episode_is_written_anew(dataset, trained):
    tokenizer = Tokenizer.from_pretrained(trained / "FakeGame" / "tokenizer")
    episodes = EpisodeDataset(dataset)
    right = load_tokens(episodes, tokenizer).episodes[0].tokens
    path = dataset / "tokens" / tokenizer.fingerprint / f"{episodes.fingerprint}.npz"
    with np.load(path) as file:
        content = dict(file)
    content["names"] = np.array([f"{name}x" for name in content["names"]])
    np.savez(path, **content)
    np.testing.assert_array_equal(load_tokens(episodes, tokenizer).episodes[0].tokens, right)
    other = path.with_name("notes.npz")
    other.write_bytes(b"mine")
    path.unlink()
    load_tokens(episodes, tokenizer)
    assert other.read_bytes() == b"mine"
    other.unlink()

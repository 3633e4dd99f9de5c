import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.rl.starts import Starts


def test_episodes_and_their_tokens_give_the_same_kind_of_start(dataset, tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    data = EpisodeDataset(dataset)
    episodes = {episode.name: episode for episode in load_tokens(data, tokenizer).episodes}
    for source in (data, load_tokens(data, tokenizer)):
        tokens, actions = Starts(source, tokenizer).draw(4, np.random.default_rng(3))
        assert tokens.shape == (4, 8) and actions.shape == (3,)
        windows = [
            (episode.tokens[t : t + 4].tolist(), episode.actions[t : t + 3].tolist())
            for episode in episodes.values()
            for t in range(len(episode) - 2)
        ]
        assert (tokens.tolist(), actions.tolist()) in windows


def test_frames_are_starts_of_one_frame(tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 32, 3), dtype=np.uint8)
    tokens, actions = Starts(frames, tokenizer).draw(4, np.random.default_rng(0))
    assert tokens.shape == (1, 8) and actions.shape == (0,)
    assert tokens[0].tolist() in tokenizer.encode(frames).tolist()


def test_wrong_starts_are_named(tokenizer_folder):
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    with pytest.raises(ValueError, match="start: expected at least one frame"):
        Starts(np.zeros((0, 16, 32, 3), np.uint8), tokenizer)
    with pytest.raises(ValueError, match=r"start: expected a dataset or frames .* got shape \(16"):
        Starts(np.zeros((16, 32, 3), np.uint8), tokenizer)
    for start in (None, "montezuma_revenge", [1, 2]):
        with pytest.raises(TypeError, match="start: expected an EpisodeDataset, a TokenDataset or"):
            Starts(start, tokenizer)  # pyright: ignore[reportArgumentType]

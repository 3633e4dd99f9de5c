import numpy as np
import pytest
import torch

from worldtokens.world_model import Sampling
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.rl.agents import AgentsInDream


class Counter:
    """Goes through the actions in turn; notes what it saw."""

    def __init__(self):
        self.seen = []
        self.drawn = []

    def begin(self, rng):
        self.drawn.append(int(rng.integers(1000)))

    def act(self, frame):
        self.seen.append(frame)
        return len(self.seen) % 3


@pytest.mark.parametrize("observation", ["frames", "tokens", "embeddings"])
def test_agents_see_what_was_chosen_for_them(loaded, observation):
    tokenizer, episode = loaded.tokenizer, loaded.episodes[0]
    tokens = torch.from_numpy(episode.tokens[None, :3].astype(np.int64)).expand(2, -1, -1)
    first, second = Counter(), Counter()
    agents = AgentsInDream([first, second], tokenizer, seed=5, observation=observation)
    assert first.drawn != second.drawn  # Each has a random stream of its own.
    agents.watch(tokens[:, :-1])
    actions = torch.zeros(2, 2, dtype=torch.int64)
    rollout = loaded.model.imagine(tokens, actions, agents, horizon=4)
    # Two frames watched, then the last known one and three imagined ones.
    assert len(first.seen) == 6
    shown = torch.cat((tokens[1], rollout.tokens[1, :3]))
    expected = {
        "frames": tokenizer.decode, "tokens": lambda all_tokens: all_tokens,
        "embeddings": tokenizer.embed,
    }[observation](shown)  # fmt: skip
    assert np.array_equal(np.stack(second.seen), expected.numpy())


def test_actions_at_watched_frames_are_dropped(loaded):
    episode = loaded.episodes[0]
    agents = AgentsInDream([Counter(), Counter()], loaded.tokenizer, seed=0)
    agents.watch(torch.from_numpy(episode.tokens[None, 4:5].astype(np.int64)).expand(2, 1, -1))
    open_loop = roll_out(
        loaded.model, [(episode, 4)], 2, 5, actions=agents, samples=2, sampling=Sampling(top_k=1)
    )
    assert open_loop.actions.tolist() == [[2, 0, 1, 2, 0]] * 2


def test_wrong_arguments_are_named(loaded):
    agents = AgentsInDream([Counter()], loaded.tokenizer, seed=0)
    with pytest.raises(ValueError, match="agents: expected one per dream, 2, got 1"):
        agents(torch.zeros(2, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match="observation: expected one of"):
        AgentsInDream([Counter()], loaded.tokenizer, seed=0, observation="sound")

import pytest
import torch

from worldtokens.world_model import Sampling
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.imagination.sampling import seeded_generators

GREEDY = Sampling(top_k=1)


def test_the_truth_is_masked_where_the_episode_stops(loaded):
    episode = loaded.episodes[0]
    open_loop = roll_out(loaded.model, [(episode, 9)], 2, 4, sampling=GREEDY)
    # The context is frames 9 and 10 of an episode whose last frame is 12.
    assert open_loop.truth.mask.tolist() == [[True] * 4 + [False] * 2]
    first = episode.first_frame
    assert open_loop.frame_numbers.tolist() == [[first + 9 + t for t in range(4)] + [0, 0]]
    assert open_loop.actions[0].tolist() == [*episode.actions[10:12].tolist(), 0, 0]
    assert open_loop.rollout.tokens.shape == (1, 4, 8)


def test_samples_of_a_start_follow_one_another(loaded):
    starts = [(loaded.episodes[0], 3), (loaded.episodes[1], 5)]
    open_loop = roll_out(loaded.model, starts, 2, 4, samples=3, sampling=GREEDY)
    assert open_loop.samples == 3
    firsts = [loaded.episodes[0].first_frame + 3] * 3 + [loaded.episodes[1].first_frame + 5] * 3
    assert open_loop.frame_numbers[:, 0].tolist() == firsts
    # Greedy dreams of one start are the same.
    assert torch.equal(open_loop.rollout.tokens[0], open_loop.rollout.tokens[2])


def test_a_dream_depends_on_its_own_generator_only(loaded):
    starts = [(loaded.episodes[0], 3)]

    def tokens(samples, generator):
        return roll_out(
            loaded.model, starts, 2, 6, samples=samples, generator=generator
        ).rollout.tokens

    three = tokens(3, seeded_generators(7, 3))
    assert torch.equal(tokens(1, seeded_generators(7, 3)[2:]), three[2:])
    assert not torch.equal(three[0], three[1])
    # One generator may serve all dreams.
    one = [tokens(3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(one[0], one[1]) and not torch.equal(one[0], one[2])


def test_the_actions_of_a_policy_are_kept(loaded):
    calls = []

    def policy(tokens):
        calls.append(tokens)
        return torch.full((len(tokens),), len(calls) % 3)

    starts = [(loaded.episodes[0], 4)]
    open_loop = roll_out(loaded.model, starts, 2, 5, actions=policy, samples=2, sampling=GREEDY)
    assert open_loop.actions.tolist() == [[1, 2, 0, 1, 2]] * 2
    again = roll_out(
        loaded.model, starts, 2, 5, actions=open_loop.actions, samples=2, sampling=GREEDY
    )
    assert torch.equal(again.rollout.tokens, open_loop.rollout.tokens)


def test_actions_and_starts_that_do_not_fit_are_named(loaded):
    start = (loaded.episodes[0], 0)
    with pytest.raises(ValueError, match=r"actions: expected values in \[0, 3\), got 0 to 3"):
        roll_out(loaded.model, [start], 2, 2, actions=torch.tensor([[0, 3]]))
    with pytest.raises(ValueError, match=r"actions: expected int64 \(2, H\), got shape \(1, 2\)"):
        roll_out(loaded.model, [start], 2, 2, actions=torch.tensor([[0, 1]]), samples=2)
    with pytest.raises(ValueError, match="starts: expected at least one"):
        roll_out(loaded.model, [], 2, 4)

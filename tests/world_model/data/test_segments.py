import numpy as np

from worldtokens.world_model.data.segments import (
    TokenDataset,
    TokenEpisode,
    stack_windows,
)


def episode(name, frames):
    steps = frames - 1
    return TokenEpisode(
        name,
        tokens=np.arange(frames * 2).reshape(frames, 2).astype(np.int16),
        actions=np.arange(steps),
        rewards=np.arange(steps, dtype=np.float32),
        terminated=np.arange(steps) == steps - 1,
        truncated=np.zeros(steps, bool),
    )


def test_windows_are_cut_and_padded_behind():
    batch = stack_windows([episode("a", 5), episode("b", 3)], [1, 1], 4)
    assert batch.mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.tokens[0, :, 0].tolist() == [2, 4, 6, 8]
    assert batch.tokens[1, :, 0].tolist() == [2, 4, 0, 0]
    assert batch.actions.tolist() == [[1, 2, 3], [1, 0, 0]]
    assert batch.terminated.tolist() == [[False, False, True], [True, False, False]]


def test_every_step_is_the_start_of_a_window_as_often_as_others():
    dataset = TokenDataset([episode("a", 5), episode("b", 3), episode("empty", 1)])
    assert dataset.num_steps == 6
    batch = dataset.sample(6000, 2, np.random.default_rng(0))
    starts = np.bincount(batch.actions[:, 0], minlength=4)
    np.testing.assert_allclose(starts, [2000, 2000, 1000, 1000], rtol=0.12)
    assert bool(batch.mask.all())


def test_starts_of_rollouts_lie_whole_in_their_episode_and_differ():
    dataset = TokenDataset([episode("a", 9), episode("b", 6)])
    starts = dataset.starts(50, context=2, horizon=4, rng=np.random.default_rng(0))
    assert [(e.name, t) for e, t in starts] == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0)]

import numpy as np

from worldtokens.collect.policies.policy import CallablePolicy, PolicyStopped
from worldtokens.collect.rollout import EpisodeRecorder, Step, rollout
from worldtokens.envs import make_env


def step(number, terminated=False, truncated=False):
    frame = np.full((2, 2, 3), number, np.uint8)
    return Step(number, float(number), terminated, truncated, frame, np.full(128, number), 3)


def record(*steps):
    recorder = EpisodeRecorder(np.zeros((2, 2, 3), np.uint8), np.zeros(128, np.uint8), 3)
    for one in steps:
        recorder.add(one)
    return recorder


def test_an_episode_that_did_not_end_counts_as_truncated():
    recorder = record(step(1), step(2))
    assert not recorder.has_ended and len(recorder) == 2
    episode = recorder.finish("job-0", 5, "restored", "cell")
    assert episode.terminated.tolist() == [False, False]
    assert episode.truncated.tolist() == [False, True]
    assert episode.frames[:, 0, 0, 0].tolist() == [0, 1, 2] == episode.ram[:, 0].tolist()
    assert episode.actions.tolist() == [1, 2] and episode.rewards.tolist() == [1.0, 2.0]
    assert (episode.info.num_steps, episode.info.total_reward) == (2, 3.0)
    assert (episode.seed, episode.start, episode.info.start_cell) == (5, "restored", "cell")


def test_an_episode_that_the_game_ended_is_not_truncated():
    recorder = record(step(1), step(2, terminated=True))
    assert recorder.has_ended
    assert recorder.finish("job-0", 5, "reset").truncated.tolist() == [False, False]
    assert recorder.last_ram(2)[:, 0].tolist() == [1, 2]


def test_a_rollout_ends_with_the_episode_or_the_policy():
    env = make_env("FakeGame", max_episode_steps=5)
    frame, _ = env.reset(seed=0)
    steps = list(rollout(env, CallablePolicy(lambda frame: 0), frame))
    assert [one.truncated for one in steps] == [False] * 4 + [True]

    actions = iter([1, 1])

    def stop_after_two(frame):
        action = next(actions, None)
        if action is None:
            raise PolicyStopped
        return action

    frame, _ = env.reset(seed=0)
    steps = list(rollout(env, CallablePolicy(stop_after_two), frame))
    assert [one.action for one in steps] == [1, 1]

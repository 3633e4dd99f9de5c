"""Tries whether an environment goes on from a restored state as it did the first time."""

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.pictures import PictureRule, take

_SEEDS = (1, 2)
_BEFORE, _AFTER = 8, 16
_COPY_STEPS = 12
Seen = tuple[bytes, float, bool, bool]


def restoring_problem(first: FrameEnv, second: FrameEnv) -> str:
    """Returns why states cannot be restored, "" where they can.

    Plays random actions from a few seeds, saves a state on the way, gives the generator another
    seed and plays on; then restores the state in the other environment and plays the same. Frames,
    rewards and ends must be the same, bit by bit.

    Args:
        first: Saves the states.
        second: Another environment of the same settings, which restores them.
    """
    for seed in _SEEDS:
        rng = np.random.default_rng(seed)
        actions = rng.integers(len(first.action_meanings), size=_BEFORE + _AFTER).tolist()
        try:
            first.reset(seed=seed)
            before = 0
            while before < _BEFORE:
                saved = first.get_state()
                _, _, terminated, truncated, _ = first.step(actions[before])
                before += 1
                if terminated or truncated:
                    break
            else:
                saved = first.get_state()
            for env in (first, second):
                env.restore_state(saved)
                env.reseed(seed)
            now, then = _play(first, actions[_BEFORE:]), _play(second, actions[_BEFORE:])
        except Exception as error:  # of any type, by what the environment does
            reason = " ".join(str(error).split()) or type(error).__name__
            return f"a state cannot be restored ({reason:.200})"
        if now != then:
            step = next(
                (n for n, (a, b) in enumerate(zip(now, then, strict=False)) if a != b),
                min(len(now), len(then)),
            )
            return f"a restored state goes on differently, {step + 1} steps later"
    return ""


def copies_repeat(
    inner: gymnasium.Env, to_inner: Callable[[int], Any], num_actions: int, rule: PictureRule
) -> bool:
    """Tells whether deep copies play on alike, and leave the original as it was."""

    def play(env: gymnasium.Env) -> list[Any]:
        seen = []
        for step in range(_COPY_STEPS):
            observation, reward, terminated, truncated, _ = env.step(to_inner(step % num_actions))
            picture = take(rule, observation, env.render).tobytes()
            seen.append((picture, float(reward), terminated, truncated))
            if terminated or truncated:
                break
        return seen

    try:
        # The third copy is made after the others played: they must not have moved the original.
        results = [play(copy.deepcopy(inner)) for _ in range(3)]
    except Exception:  # of any type: surfaces and sockets cannot be copied
        return False
    return results[0] == results[1] == results[2]


def _play(env: FrameEnv, actions: list[int]) -> list[Seen]:
    seen = []
    for action in actions:
        frame, reward, terminated, truncated, _ = env.step(action)
        seen.append((frame.tobytes(), reward, terminated, truncated))
        if terminated or truncated:
            break
    return seen

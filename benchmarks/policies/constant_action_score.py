"""Prints the score of one action that is held all the time, beside that of random play.

    python benchmarks/policies/constant_action_score.py --game Freeway --action UP

The settings and seeds of the episodes are those of examples/imagination_actor_critic.py, so that
its agents can be compared: on Freeway, walking up all the time crosses the road often.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np

from worldtokens import make_env
from worldtokens.common.checks import check_at_least
from worldtokens.envs import FrameEnv
from worldtokens.world_model.video.action_scripts import action_index


def play(env: FrameEnv, seeds: Sequence[int], act: Callable[[], int]) -> np.ndarray:
    """Plays an episode per seed; returns the unclipped scores, float64 (episodes,)."""
    scores = np.zeros(len(seeds))
    for index, seed in enumerate(seeds):
        env.reset(seed=seed)
        ended = False
        while not ended:
            _, reward, terminated, truncated, _ = env.step(act())
            scores[index] += reward
            ended = terminated or truncated
    return scores


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--game", default="Freeway", help="its usual name")
    parser.add_argument("--action", default="UP", help="the action to hold, by its name")
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--episode-steps", type=int, default=2048, help="longest episode")
    parser.add_argument("--frame-skip", type=int, default=8, help="emulated frames per step")
    parser.add_argument("--seed", type=int, default=0, help="seed of the example's run")
    return parser.parse_args(arguments)


def main() -> None:
    """Plays and prints both scores."""
    options = parse(sys.argv[1:])
    check_at_least(1, **{"--episodes": options.episodes})
    env = make_env(
        options.game,
        frame_skip=options.frame_skip,
        max_episode_steps=options.episode_steps,
        noop_max=30,
    )
    held = action_index(options.action, env.action_meanings)
    first = 1_000_000 + 1000 * options.seed
    seeds = range(first, first + options.episodes)
    rng = np.random.default_rng(options.seed)
    players: dict[str, Callable[[], int]] = {
        f"{options.action.upper()} held": lambda: held,
        "random play": lambda: int(rng.integers(len(env.action_meanings))),
    }
    for name, act in players.items():
        scores = play(env, seeds, act)
        print(f"{name:<16}{scores.mean():8.2f} +- {scores.std():.2f} ({len(scores)} episodes)")
    env.close()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

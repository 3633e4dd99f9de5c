"""Random play beside the known ways to the first key, and models of that room alone.

    python collect/run.py env=MontezumaRevenge num_steps=200000
    python examples/montezuma_practice.py
    python tokenizer/train.py env=MontezumaRevenge run=practice_tokenizer data=data/practice
    python world_model/train.py env=MontezumaRevenge run=practice_world_model data=data/practice \
        tokenizer=runs/MontezumaRevenge/practice_tokenizer
    python examples/montezuma_key.py --practice data/practice \
        --tokenizer runs/MontezumaRevenge/practice_tokenizer \
        --world-model runs/MontezumaRevenge/practice_world_model

An exploration records what lies on its ways; a policy that learns in dreams leaves them at once.
This plays held random actions, with sticky actions, from states all along the known ways, for a
fixed number of steps each, and writes a dataset. A dictionary of the patches of one room holds
nearly all of them, and a world model of one room learns faster. With --agent a policy of
montezuma_key.py plays instead: what it tries all the time, random play hardly ever does.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from montezuma_agent import agent_for, collect_from, player_of, steps_of

from worldtokens import EpisodeDataset, Tokenizer
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.common.checks import check_at_least
from worldtokens.envs import make_env_from_config


def states_along(data: Path, reward: float, scene: int, most: int, every: int) -> Iterator[bytes]:
    """Plays known ways again and yields the state before every so many steps.

    Args:
        data: Dataset with archives of explorations.
        reward: What the ways lead to.
        scene: The room in which it is paid.
        most: Ways, at most.
        every: Steps between two states.

    Raises:
        ValueError: No way is known.
    """
    dataset = EpisodeDataset(data)
    env = make_env_from_config(dataset.env_config)
    for way in known_ways(data, dataset.game, reward, scene, most):
        for step in steps_of(way, env):
            if step % every == 0:
                yield env.get_state().to_bytes()


def main(words: list[str]) -> EpisodeDataset:
    """Plays and writes the dataset."""
    args = parse(words)
    policy = ["policy=held_random", f"policy.mean_hold={args.mean_hold}"]
    if args.agent:
        agent_for(args.agent, Tokenizer.from_pretrained(args.tokenizer))
        policy = player_of(args.agent.resolve(), args.tokenizer)
    states = [*states_along(args.data, args.reward, args.scene, args.ways, args.every)]
    print(f"{len(states):,} states along the known ways", flush=True)
    dataset = EpisodeDataset(args.data)
    collect_from(
        args.out, dataset.game, dataset.env_config, states, args.scene, args.steps,
        f"num_steps={args.num_steps}", f"seed={args.seed}", *policy,
        f"env_config.repeat_action_probability={args.sticky}",
    )  # fmt: skip
    return EpisodeDataset(args.out)


def parse(words: list[str]) -> argparse.Namespace:
    """Reads and checks the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    data, out = Path("data/MontezumaRevenge"), Path("data/practice")
    add("--data", type=Path, default=data, help="dataset with archives of explorations")
    add("--out", type=Path, default=out, help="the dataset that is written, or added to")
    add("--num-steps", type=int, default=400_000, help="real steps, about")
    add("--steps", type=int, default=50, help="of an episode")
    add("--every", type=int, default=5, help="steps of a way between two states to begin at")
    add("--ways", type=int, default=400, help="known ways, at most, evenly over the explorations")
    add("--reward", type=float, default=100.0, help="what the key pays")
    add("--scene", type=int, default=1, help="room in which it lies")
    add("--mean-hold", type=float, default=6.0, help="steps for which a random action is held")
    add("--sticky", type=float, default=0.25, help="probability that the game repeats an action")
    add("--agent", type=Path, help="a policy's file, agents/round_<n>.safetensors of a run")
    add("--tokenizer", default="montezuma_revenge", help="the one that the policy reads")
    add("--seed", type=int, default=0, help="of the play")
    args = parser.parse_args(words)
    numbers = {"--num-steps": args.num_steps, "--steps": args.steps, "--every": args.every}
    check_at_least(1, **numbers, **{"--ways": args.ways})
    return args


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")

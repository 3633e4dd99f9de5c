"""Random play beside the known ways to the first key, and models of that room alone.

    python collect/run.py env=MontezumaRevenge num_steps=200000
    python examples/montezuma_practice.py
    python examples/montezuma_practice.py --follow --steps 60 --num-steps 200000 --seed 1
    python tokenizer/train.py env=MontezumaRevenge run=practice_tokenizer data=data/practice
    python world_model/train.py env=MontezumaRevenge run=practice_world_model data=data/practice \
        tokenizer=runs/MontezumaRevenge/practice_tokenizer
    python examples/montezuma_key.py --practice data/practice \
        --tokenizer runs/MontezumaRevenge/practice_tokenizer \
        --world-model runs/MontezumaRevenge/practice_world_model

An exploration records what lies on its ways; a policy that learns in dreams leaves them at once.
This plays held random actions, with sticky actions, from states all along the known ways, for a
fixed number of steps each, and writes a dataset. A dictionary of the patches of one room holds
nearly all of them, and a world model of one room learns faster.

What random play hardly ever does, a model does not learn: it never gets past the skull, and so no
jump over it succeeded in dreams. With --follow episodes go on as the known way did from there, with
a slip now and then; with --agent a policy of montezuma_key.py plays: what it tries all the time.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from montezuma_agent import agent_for, collect_from, player_of, steps_of

from worldtokens import EpisodeDataset, Tokenizer
from worldtokens.collect.go_explore.demonstrations import known_ways
from worldtokens.collect.policies import HeldRandomPolicy
from worldtokens.common.atomic import replacing
from worldtokens.common.checks import check_at_least, check_probability
from worldtokens.envs import make_env_from_config


@dataclass(frozen=True)
class Start:
    """A moment of a known way."""

    state: bytes
    frame: bytes  # its digest
    actions: bytes  # of the way from here on


def starts_along(data: Path, reward: float, scene: int, most: int, every: int) -> Iterator[Start]:
    """Plays known ways again and yields the moment before every so many steps.

    Args:
        data: Dataset with archives of explorations.
        reward: What the ways lead to.
        scene: The room in which it is paid.
        most: Ways, at most.
        every: Steps between two moments.

    Raises:
        ValueError: No way is known.
    """
    dataset = EpisodeDataset(data)
    env = make_env_from_config(dataset.env_config)
    for way in known_ways(data, dataset.game, reward, scene, most):
        for step in steps_of(way, env):
            if step % every == 0:
                yield Start(env.get_state().to_bytes(), digest(env.frame), way.actions[step:])


class Follower:
    """Plays on as the known way that an episode begins on, as a policy of collect/run.py.

    With probability `slip` a step begins a random action that is held for `HELD` steps on average;
    meanwhile the way's actions pass. After its last action all are random.
    """

    HELD = 4.0

    def __init__(self, ways: str, slip: float, num_actions: int):
        """Reads what `save_ways` wrote."""
        with np.load(ways) as file:
            ends = np.cumsum(file["lengths"])[:-1]
            actions = np.split(file["actions"], ends)
            self._ways = dict(zip(map(bytes, file["frames"]), actions, strict=True))
        self._slip, self._random = slip, HeldRandomPolicy(num_actions, self.HELD)

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""
        self._rng, self._way, self._step, self._slipping = rng, None, 0, 0
        self._random.begin(rng)

    def act(self, frame: np.ndarray) -> int:
        """See `Policy.act`."""
        if self._way is None:
            self._way = self._ways.get(digest(frame), np.zeros(0, np.uint8))
        step, self._step = self._step, self._step + 1
        if self._slipping == 0 and self._rng.random() < self._slip:
            self._slipping = int(self._rng.geometric(1 / self.HELD))
        if self._slipping == 0 and step < len(self._way):
            return int(self._way[step])
        self._slipping = max(0, self._slipping - 1)
        return self._random.act(frame)


def save_ways(path: Path, starts: Sequence[Start]) -> None:
    """Writes how the ways go on from each start, by its frame."""
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(
            file,
            frames=np.stack([np.frombuffer(s.frame, np.uint8) for s in starts]),
            lengths=np.array([len(s.actions) for s in starts]),
            actions=np.frombuffer(b"".join(s.actions for s in starts), np.uint8),
        )


def digest(frame: np.ndarray) -> bytes:
    """Returns what names a frame."""
    return blake2b(frame.tobytes(), digest_size=16).digest()


def main(words: list[str]) -> EpisodeDataset:
    """Plays and writes the dataset."""
    args = parse(words)
    policy = ["policy=held_random", f"policy.mean_hold={args.mean_hold}"]
    if args.agent:
        agent_for(args.agent, Tokenizer.from_pretrained(args.tokenizer))
        policy = player_of(args.agent.resolve(), args.tokenizer)
    starts = [*starts_along(args.data, args.reward, args.scene, args.ways, args.every)]
    print(f"{len(starts):,} states along the known ways", flush=True)
    if args.follow:
        args.out.mkdir(parents=True, exist_ok=True)
        ways = args.out.resolve() / "ways.npz"
        save_ways(ways, starts)
        policy = [
            "policy=random", "policy._target_=montezuma_practice.Follower", f"+policy.ways={ways}",
            f"+policy.slip={args.slip}",
        ]  # fmt: skip
    states = [each.state for each in starts]
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
    add("--follow", action="store_true", help="go on as the known ways did, with slips")
    add("--slip", type=float, default=0.03, help="probability that a step begins a random action")
    add("--agent", type=Path, help="a policy's file, agents/round_<n>.safetensors of a run")
    add("--tokenizer", default="montezuma_revenge", help="the one that the policy reads")
    add("--seed", type=int, default=0, help="of the play")
    args = parser.parse_args(words)
    numbers = {"--num-steps": args.num_steps, "--steps": args.steps, "--every": args.every}
    check_at_least(1, **numbers, **{"--ways": args.ways})
    check_probability(**{"--slip": args.slip})
    if args.follow and args.agent:
        raise ValueError("--follow: expected no --agent beside it; make two calls")
    return args


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")

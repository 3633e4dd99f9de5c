"""Prints how many steps agents take in dreams of trained weights, and what takes the time.

    python benchmarks/dream_environment_speed.py
    python benchmarks/dream_environment_speed.py --profile
    python benchmarks/dream_environment_speed.py --models FOLDER montezuma_revenge --dreams 1 64 256

Steps of `ImaginedVectorEnv` with tokens as observations, all dreams together: drawn frames, rewards
and ends, no decoding. Actions are random and change every five steps on average. Each folder of
--models holds a world model and its tokenizer; several are measured in turn, so that a busy machine
meets all of them alike. How many tokens change from frame to frame decides the speed, so it stands
beside it.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from timing import synchronize
from torch.profiler import ProfilerActivity, profile

from worldtokens import EpisodeDataset, ImaginedVectorEnv, Tokenizer, WorldModel
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device

HOLD_STEPS = 5.0
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Row:
    """Dreams of a model.

    Attributes:
        model: Its folder or name.
        dreams: Dreams at once.
        rate: Steps per second of all dreams together.
        changing: Share of the tokens that differ from the frame before.
    """

    model: str
    dreams: int
    rate: float
    changing: float


class RandomActions:
    """Random actions of some dreams, each held for `HOLD_STEPS` steps on average."""

    def __init__(self, rng: Generator, num_actions: int, dreams: int):
        """Begins with random actions."""
        self._rng, self._count = rng, num_actions
        self._held = rng.integers(num_actions, size=dreams)

    def __call__(self) -> np.ndarray:
        """Returns the next actions, int64 (dreams,)."""
        renewed = self._rng.random(len(self._held)) < 1 / HOLD_STEPS
        self._held[renewed] = self._rng.integers(self._count, size=int(renewed.sum()))
        return self._held.copy()


class Dreams:
    """Dreams of a model, which go on from one measurement to the next."""

    def __init__(self, model: str, starts: str | None, dreams: int, steps: int, device: str):
        """Loads the model, and begins dreams at random frames of `starts`."""
        self._name, self.device = model, device
        world_model = WorldModel.from_pretrained(model).to(device)
        tokenizer = Tokenizer.from_pretrained(model).to(device)
        # Without a dataset: the frames that are shipped beside the weights.
        dataset = EpisodeDataset(starts or model)
        self._env = ImaginedVectorEnv(
            world_model, tokenizer, dataset, dreams, steps, observation="tokens", with_entropy=False
        )
        self._actions = RandomActions(
            np.random.default_rng(0), world_model.config.num_actions, dreams
        )
        self._tokens, _ = self._env.reset(seed=0)
        self._changes: list[float] = []
        self.run(WARM_UP_STEPS)

    def run(self, steps: int) -> float:
        """Takes steps; returns their seconds."""
        synchronize()
        started = time.perf_counter()
        self._changes.clear()
        for _ in range(steps):
            tokens = self._env.step(self._actions())[0]
            self._changes.append(float((tokens != self._tokens).mean()))
            self._tokens = tokens
        synchronize()
        return time.perf_counter() - started

    def measure(self, steps: int) -> Row:
        """Takes steps and counts."""
        dreams = self._env.num_envs
        rate = dreams * steps / self.run(steps)
        return Row(self._name, dreams, rate, statistics.mean(self._changes))


def measure_in_turn(every: Sequence[Dreams], steps: int, repeats: int) -> list[Row]:
    """Measures each `repeats` times, one after the other; returns the medians."""
    measured = [[dreams.measure(steps) for dreams in every] for _ in range(repeats)]
    return [
        Row(
            rows[0].model,
            rows[0].dreams,
            statistics.median(row.rate for row in rows),
            statistics.mean(row.changing for row in rows),
        )
        for rows in zip(*measured, strict=True)
    ]


def shares(dreams: Dreams, steps: int, most: int) -> Iterator[tuple[str, float, int]]:
    """Yields (operation, share of the time, calls) of the costliest operations of some steps."""
    # On a GPU its own time counts, in microseconds, without that of the operations called.
    on_gpu = dreams.device.startswith("cuda")
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    with profile(activities=[activity]) as profiler:
        dreams.run(steps)
    events = [(each.key, getattr(each, name), each.count) for each in profiler.key_averages()]
    total = sum(time for _, time, _ in events)
    for operation, time_, count in sorted(events, key=lambda event: -event[1])[:most]:
        yield operation, time_ / total, count


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", nargs="+", default=["montezuma_revenge"], help="run or name")
    parser.add_argument("--starts", help="a dataset; by default the frames of each model's folder")
    parser.add_argument("--dreams", type=int, nargs="+", default=[256], help="dreams at once")
    parser.add_argument("--steps", type=int, default=12, help="steps of a measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements; the median counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--profile", action="store_true", help="print the costliest operations")
    parser.add_argument("--device", default=choose_device().type)
    return parser.parse_args(arguments)


def main() -> None:
    """Measures and prints a row for each model and number of dreams."""
    options = parse(sys.argv[1:])
    for name in ("steps", "repeats", "threads"):
        check_at_least(1, **{f"--{name}": getattr(options, name)})
    for dreams in options.dreams:
        check_at_least(1, **{"--dreams": dreams})
    torch.set_num_threads(options.threads)
    # Dreams never end within what is measured: a reset would be measured with them.
    longest = WARM_UP_STEPS + options.steps * (options.repeats + 1) + 1
    print("| model | dreams | steps/s | changing tokens |\n|---|---:|---:|---:|")
    for count in options.dreams:
        every = [
            Dreams(model, options.starts, count, longest, options.device)
            for model in options.models
        ]
        for row in measure_in_turn(every, options.steps, options.repeats):
            print(
                f"| {row.model} | {row.dreams} | {row.rate:,.0f} | {row.changing:.1%} |", flush=True
            )
        if options.profile:
            for dreams in every:
                print_profile(dreams, options.steps)


def print_profile(dreams: Dreams, steps: int) -> None:
    """Prints the costliest operations as a table."""
    print("\n| operation | share of the time | calls per step |\n|---|---:|---:|")
    for name, share, count in shares(dreams, steps, most=10):
        print(f"| {name} | {share:.0%} | {count / steps:.0f} |")
    print(flush=True)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

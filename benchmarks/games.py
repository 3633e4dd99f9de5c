r"""Takes each of the 26 games of Atari 100k from collecting to a dream and writes a table.

    python benchmarks/games.py --root runs/games
    python benchmarks/games.py --root runs/games --games Pong MsPacman --designs default vqgan \
        --seeds 0 1
    python benchmarks/games.py --root runs/games --tokenizer-minutes 2 --world-model-minutes 5
    python benchmarks/games.py --root runs/games --tokenizer-only --designs default vqvae

Every stage is one of the commands that users run, as a process of its own on one core: collect,
train-tokenizer, evaluate-tokenizer, train-world-model, evaluate-world-model, imagine. The same
command goes on where it was stopped, in the middle of a stage too, and measures no row twice. A
game that fails costs no other one. Budgets are in steps, which give the same models on a busy core;
those in minutes are minutes of the clock, for a core that does nothing else.

A row is a game, a design and a seed. Writes OUT/games.csv with the command of each row, games.md
and games.png, after each row; rows that were there before stay, unless they are measured again.
Designs are named overrides of configs/tokenizer.yaml, see benchmarks/designs/games.yaml.
"""

import argparse
import os
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from atari100k.rows import Row, measure_row, read_row, row_key
from atari100k.stages import Budget, Job, run_stages
from atari100k.table import merge_rows, read_rows, write_tables

from worldtokens.envs import usual_name

HERE = Path(__file__).parent
# The games of Kaiser et al. 2019, "Model-Based Reinforcement Learning for Atari".
ATARI_100K = (
    "Alien", "Amidar", "Assault", "Asterix", "BankHeist", "BattleZone", "Boxing", "Breakout",
    "ChopperCommand", "CrazyClimber", "DemonAttack", "Freeway", "Frostbite", "Gopher", "Hero",
    "Jamesbond", "Kangaroo", "Krull", "KungFuMaster", "MsPacman", "Pong", "PrivateEye", "Qbert",
    "RoadRunner", "Seaquest", "UpNDown",
)  # fmt: skip


def main() -> None:
    """Measures the rows that are missing and writes the table after each."""
    options = parse(sys.argv[1:])
    torch.set_num_threads(1)
    designs = read_designs(options.designs_file, options.designs)
    budget = Budget(
        collect_steps=options.collect_steps,
        explore_steps=options.explore_steps,
        tokenizer_minutes=options.tokenizer_minutes,
        tokenizer_steps=None if options.tokenizer_minutes else options.tokenizer_steps,
        world_model_minutes=options.world_model_minutes,
        world_model_steps=None if options.world_model_minutes else options.world_model_steps,
        world_model_batch=options.world_model_batch,
        heldout_frames=options.frames,
        probe_frames=options.probe_frames,
        starts=options.starts,
        events=options.events,
        extra=tuple(options.set),
        tokenizer_only=options.tokenizer_only,
    )
    jobs = [
        Job(usual_name(game), design, seed, tuple(designs[design]), budget, options.root)
        for seed in options.seeds
        for design in designs
        for game in options.games
    ]
    failed = run_jobs(jobs, options.jobs, options.out)
    if failed:
        sys.exit(f"error: {len(failed)} of {len(jobs)} rows failed: {'; '.join(failed)}")


def run_jobs(jobs: Sequence[Job], workers: int, out: Path) -> list[str]:
    """Measures rows, several at a time, each on one core.

    Args:
        jobs: In this order.
        workers: How many at a time.
        out: Folder of the table.

    Returns:
        A sentence for each row that failed.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    failed: list[str] = []
    lock = threading.Lock()

    def work(core: int | None) -> None:
        if core is not None:
            # Of this thread only, and of the processes that it starts.
            os.sched_setaffinity(0, {core})
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                row = row_of(job)
            except (ValueError, OSError, FloatingPointError) as error:
                print(f"{job.name}: failed: {error}", flush=True)
                failed.append(f"{job.name}: {error}")
                continue
            with lock:
                write_tables(out, merge_rows(read_rows(out), [row]), job.root)

    threads = [threading.Thread(target=work, args=(core,)) for core in cores(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def row_of(job: Job) -> Row:
    """Returns a row: that of an earlier call with the same settings, or a new one."""
    known = read_row(job)
    if known is not None:
        print(f"{job.name}: measured before", flush=True)
        return known
    print(f"{job.name}: begins", flush=True)
    run_stages(job)
    row = measure_row(job)
    print(f"{job.name}: {row.sentence()}", flush=True)
    assert row_key(row) == (job.game, job.design, job.seed)
    return row


def cores(workers: int) -> list[int | None]:
    """Returns the core of each worker; None where they cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return [None] * workers
    usable = sorted(os.sched_getaffinity(0))
    if workers > len(usable):
        raise ValueError(
            f"--jobs: expected at most {len(usable)}, one for each core, got {workers}"
        )
    return [*usable[:workers]]


def read_designs(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Reads the overrides of each design.

    Raises:
        ValueError: The file has no design of such a name.
    """
    tree = yaml.safe_load(path.read_text())
    if unknown := sorted(set(names) - tree.keys()):
        raise ValueError(f"--designs: expected some of {', '.join(tree)}, got {', '.join(unknown)}")
    return {name: tree[name] for name in names}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", type=Path, default=Path("runs/games"), help="data and runs")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the table")
    parser.add_argument("--games", nargs="+", default=ATARI_100K)
    parser.add_argument("--designs", nargs="+", default=["default"], help="names of the file")
    parser.add_argument("--designs-file", type=Path, default=HERE / "designs" / "games.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time, each on one core")
    parser.add_argument("--collect-steps", type=int, default=20_000)
    parser.add_argument("--explore-steps", type=int, default=100_000)
    parser.add_argument("--tokenizer-steps", type=int, default=3000)
    parser.add_argument("--tokenizer-minutes", type=float, help="in place of steps")
    parser.add_argument("--world-model-steps", type=int, default=1000)
    parser.add_argument("--world-model-minutes", type=float, help="in place of steps")
    parser.add_argument("--world-model-batch", type=int, default=4, help="segments of a step")
    parser.add_argument("--frames", type=int, default=1000, help="held-out frames to evaluate")
    parser.add_argument("--probe-frames", type=int, default=1500, help="0 for no probes")
    parser.add_argument("--starts", type=int, default=64, help="held-out windows to dream from")
    parser.add_argument("--events", type=int, default=64, help="windows of each kind of event")
    parser.add_argument("--tokenizer-only", action="store_true", help="no world models")
    parser.add_argument("--set", nargs="+", default=[], help="overrides of both trainings")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

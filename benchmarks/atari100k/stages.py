"""The stages of one row of benchmarks/games.py, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from worldtokens.common.atomic import write_text

HORIZONS = (1, 8, 20)
# The dream that the sheet of pictures shows.
DREAM_HORIZON = 60


@dataclass(frozen=True)
class Budget:
    """What a row may take.

    Attributes:
        collect_steps: Recorded steps.
        explore_steps: Steps of exploration before.
        tokenizer_minutes: Of training; None for `tokenizer_steps`.
        tokenizer_steps: Likewise.
        world_model_minutes: Of training; None for `world_model_steps`.
        world_model_steps: Likewise.
        world_model_batch: Segments of a step. Within a few minutes of one core more steps of fewer
            segments teach it more.
        heldout_frames: Frames that the tokenizer is evaluated on.
        probe_frames: Training frames of its probes; 0 for none.
        starts: Windows that the world model dreams from.
        events: Windows of each kind of event.
        extra: Overrides of both trainings.
        tokenizer_only: Whether the row ends with the tokenizer, without a world model.
    """

    collect_steps: int
    explore_steps: int
    tokenizer_minutes: float | None
    tokenizer_steps: int | None
    world_model_minutes: float | None
    world_model_steps: int | None
    world_model_batch: int
    heldout_frames: int
    probe_frames: int
    starts: int
    events: int
    extra: tuple[str, ...] = ()
    tokenizer_only: bool = False


@dataclass(frozen=True)
class Job:
    """A row that is to be measured.

    Attributes:
        game: The game's usual name.
        design: Name of the tokenizer's design.
        seed: Of collecting and of both trainings.
        overrides: The design, as overrides of configs/tokenizer.yaml.
        budget: What it may take.
        root: Folder of all data and runs.
    """

    game: str
    design: str
    seed: int
    overrides: tuple[str, ...]
    budget: Budget
    root: Path

    @property
    def name(self) -> str:
        """Names the row, and its files."""
        return f"{self.game}_{self.design}_{self.seed}"

    @property
    def data(self) -> Path:
        """The dataset, which all designs share."""
        return self.root / "data" / f"{self.game}_{self.seed}"

    @property
    def tokenizer(self) -> Path:
        """The run folder of the tokenizer."""
        return self.root / "runs" / self.game / self._run("tokenizer")

    @property
    def world_model(self) -> Path:
        """The run folder of the world model."""
        return self.root / "runs" / self.game / self._run("world_model")

    @property
    def settings(self) -> dict[str, object]:
        """Decides whether a row that lies there is this one."""
        budget = asdict(self.budget)
        if not self.budget.tokenizer_only:
            # Rows of before this could be chosen stay what they are.
            del budget["tokenizer_only"]
        return json.loads(json.dumps({"overrides": self.overrides, "budget": budget}))

    def _run(self, stage: str) -> str:
        return f"{stage}_{self.design}_{self.seed}"

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Yields (module below worldtokens, overrides) of each stage, in their order."""
        budget = self.budget
        common = [f"env={self.game}", f"data={self.data}"]
        runs = [*common, f"root={self.root / 'runs'}"]
        training = [f"seed={self.seed}", "wandb.mode=disabled", "evaluations=1", *budget.extra]
        tokenizer, world_model = f"run={self._run('tokenizer')}", f"run={self._run('world_model')}"
        yield "collect.run", [
            *common, f"num_steps={budget.collect_steps}", f"seed={self.seed}", "num_workers=1",
            f"policy.explore_steps={budget.explore_steps}", "policy.num_explorations=1",
        ]  # fmt: skip
        yield "tokenizer.train", [
            *runs, tokenizer, *self.overrides, *training,
            *_budget(budget.tokenizer_minutes, budget.tokenizer_steps),
        ]  # fmt: skip
        yield "tokenizer.evaluate", [
            *runs, tokenizer, f"frames={budget.heldout_frames}",
            f"probe_frames={budget.probe_frames}",
        ]  # fmt: skip
        if budget.tokenizer_only:
            return
        its_tokenizer = f"tokenizer={self.tokenizer}"
        yield "world_model.train", [
            *runs, world_model, its_tokenizer, f"batch_size={budget.world_model_batch}", *training,
            *_budget(budget.world_model_minutes, budget.world_model_steps),
        ]  # fmt: skip
        yield "world_model.evaluate", [
            *runs, world_model, its_tokenizer, f"starts={budget.starts}",
            f"events={budget.events}", "lost_lives=0", "counterfactuals=0", "strange_tokens=0",
            "payments=0",
        ]  # fmt: skip
        yield "world_model.imagine", [
            *runs, world_model, its_tokenizer, "count=1", f"horizon={DREAM_HORIZON}",
            f"out={self.world_model / 'dreams'}",
        ]  # fmt: skip


def _budget(minutes: float | None, steps: int | None) -> list[str]:
    """Returns the overrides of a training's budget; the other limit is switched off."""
    limits = {"minutes": minutes, "steps": steps}
    return [f"budget.max_{n}={'null' if v is None else v}" for n, v in limits.items()]


def run_stages(job: Job) -> None:
    """Runs the stages that are not done, each on the one core of this thread.

    How long each took is kept in ROOT/rows/NAME.times.json: seconds of the clock and of the core,
    added up over interrupted calls.

    Raises:
        ValueError: A stage failed; the message is the last line that it wrote.
    """
    path = times_path(job)
    times = json.loads(path.read_text()) if path.is_file() else {}
    if times.get("settings") != job.settings:
        times = {"settings": job.settings, "done": [], "seconds": {}, "core_seconds": {}}
    log = job.root / "logs" / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    for module, overrides in job.commands():
        if module in times["done"]:
            continue
        seconds, core_seconds, code = _run(module, overrides, log)
        for name, value in (("seconds", seconds), ("core_seconds", core_seconds)):
            times[name][module] = times[name].get(module, 0.0) + value
        if code == 0:
            times["done"].append(module)
        write_text(path, json.dumps(times, indent=2) + "\n")
        if code != 0:
            lines = log.read_text().strip().splitlines()
            raise ValueError(f"{module}: {lines[-1] if lines else f'exit code {code}'} ({log})")


def times_path(job: Job) -> Path:
    """Returns the file with the times of a row's stages."""
    return job.root / "rows" / f"{job.name}.times.json"


def _run(module: str, overrides: list[str], log: Path) -> tuple[float, float, int]:
    """Runs a stage; returns its seconds of the clock and of the core, and its exit code."""
    started = time.perf_counter()
    command = [sys.executable, "-m", f"worldtokens.{module}", *overrides]
    with open(log, "a") as file:
        file.write(f"\n$ worldtokens.{module} {' '.join(overrides)}\n")
        file.flush()
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        try:
            # With the times of the processes that it waited for itself: workers that collect.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    core_seconds = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - started, core_seconds, process.returncode

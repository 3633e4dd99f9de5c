"""What surrounds the steps of a training run: folder, clock, metrics, progress bar, saved state."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from tqdm import tqdm

from worldtokens.common.atomic import replace_folder
from worldtokens.common.checks import check_at_least, check_names, check_number, check_seed
from worldtokens.common.commands import typed_command
from worldtokens.training.accelerator import describe_hardware
from worldtokens.training.budget import BudgetConfig, Clock, Progress, ScheduleConfig
from worldtokens.training.checkpoint import find_nonfinite, load_checkpoint, save_checkpoint
from worldtokens.training.curves import draw_curves
from worldtokens.training.metric_writers import (
    JsonlWriter,
    MetricWriter,
    NullWriter,
    WandbConfig,
    WandbWriter,
    WriterGroup,
)
from worldtokens.training.random_streams import seed_torch, step_rng
from worldtokens.training.run_folder import RunFolder
from worldtokens.training.run_lock import lock_folder, unlock_folder

# What may change between two calls of a run: how long it goes on and how fast it learns, too.
FREE_KEYS = (
    "wandb", "overwrite", "log_every", "checkpoint_every_minutes", "evaluations", "budget",
    "schedule", "learning_rate", "max_gradient_norm", "mixed_precision", "adversary.learning_rate",
)  # fmt: skip


@dataclass
class SessionConfig:
    """The keys that every training config has.

    Attributes:
        env: The game's usual name; names the folders.
        root: Folder of all runs.
        run: Name of this run's folder in root/env/.
        overwrite: Delete an earlier run of that name.
        seed: Of the weights and the batches.
        budget: When to stop.
        schedule: How the learning rate follows the budget.
        log_every: Steps between lines in metrics.jsonl.
        evaluations: Evaluations over the budget, evenly spaced.
        checkpoint_every_minutes: Wall-clock minutes between checkpoints.
        wandb: What Weights & Biases gets.
    """

    env: str
    root: str
    run: str
    overwrite: bool
    seed: int
    budget: BudgetConfig
    schedule: ScheduleConfig
    log_every: int
    evaluations: int
    checkpoint_every_minutes: float
    wandb: WandbConfig

    def __post_init__(self) -> None:
        """Checks the names and numbers."""
        check_names(env=self.env, run=self.run)
        check_seed(seed=self.seed)
        check_at_least(1, log_every=self.log_every)
        check_at_least(0, evaluations=self.evaluations)
        check_number(0, checkpoint_every_minutes=self.checkpoint_every_minutes)


class Session:
    """A training run between its start, or resumption, and its end.

    `steps` yields what a step needs; `log` and `is_evaluation_due` come after each step. The model
    and its training step stay with the script.
    """

    def __init__(self, accelerator: Accelerator, config: SessionConfig):
        """Checks the run's folder and reads the checkpoint in it; `begin` writes the first file.

        Raises:
            ValueError: The folder holds a run of another config, a damaged checkpoint, or another
                process trains in it.
        """
        self.accelerator = accelerator
        self.config = config
        self.folder = RunFolder((Path(config.root) / config.env / config.run).absolute())
        if accelerator.is_main_process:
            self.folder.check(config, FREE_KEYS, config.overwrite)
            if self.folder.config.exists():
                lock_folder(self.folder.path)
        self._seen = _identity(self.folder.checkpoint)
        self.saved: dict[str, Any] | None = None
        if not config.overwrite:
            self.saved = load_checkpoint(self.folder.checkpoint)
        if self.saved is not None and (name := find_nonfinite(_weights(self.saved["parts"]))):
            raise ValueError(
                f"checkpoint {self.folder.checkpoint}: expected finite weights, got NaN or "
                f"infinity in {name}; start afresh with overwrite=true, or choose run=NAME"
            )

    def begin(self, models: Mapping[str, Any], unit: str, data: str = "") -> None:
        """Restores what the checkpoint holds, and opens the clock, the writers and the bar.

        Args:
            models: Everything with a state_dict that a resumption needs, by name: the prepared
                optimizers, the unwrapped models.
            unit: What the bar counts per second.
            data: What the run trains on, in words, for the model's card.
        """
        self._data = data
        self._parts = dict(models)
        if self.accelerator.is_main_process:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            lock_folder(self.folder.path)
            if _identity(self.folder.checkpoint) != self._seen:
                raise ValueError(
                    f"run folder {self.folder.path}: expected no other process that trains in it, "
                    "got one that saved since this one began; run the command again"
                )
            self.folder.begin(self.config, self.config.overwrite)
        self.accelerator.wait_for_everyone()
        if self.accelerator.scaler is not None:
            self._parts["scaler"] = self.accelerator.scaler
        step, seconds = 0, 0.0
        self._metrics: dict[str, float] = {}
        if self.saved is not None:
            step, seconds = self.saved["step"], self.saved["seconds"]
            self._compare_processes(self.saved.get("num_processes"))
            # "figures" in checkpoints of earlier versions.
            self._metrics = self.saved.get("metrics", self.saved.get("figures", {}))
            for name, part in self._parts.items():
                part.load_state_dict(self.saved["parts"][name])
            self.saved = None
        self.clock = Clock(self.config.budget, step, seconds)
        self.writer = self._make_writer(step)
        self._unit = unit
        self._bar = tqdm(
            total=100.0,
            initial=100.0 * self.clock.share(),
            desc=self.config.run,
            disable=not self.accelerator.is_main_process,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}",
        )
        self._checkpointed = time.monotonic()
        self._shares = (0.0, self.clock.share())

    def steps(self) -> Iterator[tuple[Progress, np.random.Generator]]:
        """Yields where the run stands and the generator of the step's batch.

        Torch's generators are seeded again for each step; see training/random_streams.py.
        """
        rank = self.accelerator.process_index
        for progress in self.clock.steps():
            seed_torch(self.config.seed, rank, progress.step)
            yield progress, step_rng(self.config.seed, rank, progress.step)

    def log(self, metrics: Mapping[str, float], shown: str, units: int) -> None:
        """Marks the end of a step; writes its metrics when they are due.

        Args:
            metrics: The step's metrics by name.
            shown: Name of the metric that the bar shows.
            units: Units (frames) that one step of one process handled.
        """
        before = self.clock.share()
        progress = self._synchronized(self.clock.stepped())
        self._shares = (before, progress.share)
        if progress.step % self.config.log_every and progress.share < 1.0:
            return
        speed = progress.step * units * self.accelerator.num_processes / progress.seconds
        self.writer.write(
            progress.step, {f"train/{name}": value for name, value in metrics.items()}
        )
        self._bar.n = 100.0 * progress.share
        self._bar.set_postfix_str(
            f"{shown.replace('_', ' ')} {metrics[shown]:.4g}, {speed:.0f} {self._unit}/s"
        )

    @property
    def is_evaluation_due(self) -> bool:
        """Whether the last step passed one of the evenly spaced evaluations; first rank only."""
        before, after = (int(share * self.config.evaluations) for share in self._shares)
        return self.accelerator.is_main_process and after > before

    def write_evaluation(self, metrics: Mapping[str, float], name: str, picture: Path) -> None:
        """Records held-out metrics and a picture of this step, and draws the curves again."""
        self._metrics = {name: float(value) for name, value in metrics.items()}
        self.writer.write(
            self.clock.step, {f"heldout/{key}": value for key, value in metrics.items()}
        )
        self.writer.write_picture(self.clock.step, name, picture)
        draw_curves(self.folder.metrics, self.folder.curves)

    def sample_path(self) -> Path:
        """Returns where a picture of this step goes."""
        return self.folder.samples / f"step_{self.clock.step:07d}.png"

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether the first rank should save now."""
        waited = time.monotonic() - self._checkpointed
        return (
            self.accelerator.is_main_process and waited > 60 * self.config.checkpoint_every_minutes
        )

    def save(self, model: Any, extra: Mapping[str, Any] | None = None) -> None:
        """Writes the checkpoint, then the export; the first rank calls it.

        Args:
            model: Has `save_pretrained(folder)`, and `record_training` for its card.
            extra: Stored beside the state; found in `saved` after a restart.
        """
        parts = {name: part.state_dict() for name, part in self._parts.items()}
        state = {
            "parts": parts, "step": self.clock.step, "seconds": self.clock.seconds,
            "metrics": self._metrics, "num_processes": self.accelerator.num_processes,
        }  # fmt: skip
        if name := find_nonfinite(_weights(parts)):
            raise FloatingPointError(
                f"step {self.clock.step}: expected finite weights, got NaN or infinity in {name}; "
                "they were not saved: lower learning_rate or use mixed_precision=no, then run the "
                "command again, it goes on from the last checkpoint"
            )
        save_checkpoint(self.folder.checkpoint, {**(extra or {}), **state})
        self._export(model)
        self._checkpointed = time.monotonic()

    def _export(self, model: Any) -> None:
        partial = self.folder.path / ".export"
        shutil.rmtree(partial, ignore_errors=True)
        steps, seconds = self.clock.step, self.clock.seconds
        model.record_training(
            game=self.config.env, data=self._data, command=typed_command(),
            training=f"{steps:,} steps in {seconds:,.0f} s ({describe_hardware(self.accelerator)})",
            metrics=self._metrics,
        )  # fmt: skip
        model.save_pretrained(partial)
        replace_folder(partial, self.folder.export, keep_others=True)

    def end(
        self,
        model: Any,
        extra: Mapping[str, Any] | None = None,
        finish: Callable[[], None] | None = None,
    ) -> None:
        """Saves, draws the curves, closes the writers and says where the model is.

        Args:
            model: See `save`, as the next.
            extra: Stored beside the state.
            finish: Changes the model before its last export; the checkpoint, from which a larger
                budget goes on, stays without.
        """
        self._bar.close()
        if self.accelerator.is_main_process:
            self.save(model, extra)
            if finish is not None:
                finish()
                self._export(model)
            self.writer.close()
            draw_curves(self.folder.metrics, self.folder.curves)
            steps, seconds = self.clock.step, self.clock.seconds
            export = Path(self.config.root) / self.config.env / self.config.run / "export"
            print(f"{self.config.run}: {export} after {steps} steps, {seconds:.0f} s")
            unlock_folder(self.folder.path)
        self.accelerator.end_training()

    def _synchronized(self, progress: Progress) -> Progress:
        """Gives all ranks the time of the first, so that all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return progress
        clock = self.clock
        seconds = torch.tensor([clock.seconds], dtype=torch.float64, device=self.accelerator.device)
        clock.seconds = float(broadcast(seconds))  # pyright: ignore[reportArgumentType]
        return Progress(clock.step, clock.seconds, clock.share())

    def _compare_processes(self, before: int | None) -> None:
        now = self.accelerator.num_processes
        if before is not None and before != now and self.accelerator.is_main_process:
            print(
                f"note: this run trained with {before} process{'es' * (before > 1)} and goes on "
                f"with {now}: the effective batch is {now / before:g} times as large; change "
                "batch_size and learning_rate if it should stay the same",
                file=sys.stderr,
            )

    def _make_writer(self, step: int) -> MetricWriter:
        """Returns the writers of metrics; for all ranks but the first, one that does nothing."""
        if not self.accelerator.is_main_process:
            return NullWriter()
        writers: list[MetricWriter] = [JsonlWriter(self.folder.metrics, step)]
        wandb, name = self.config.wandb, f"{self.config.env}-{self.config.run}"
        if wandb.mode != "disabled":
            run_config = {"seed": self.config.seed}
            writers.append(WandbWriter(self.folder.path, wandb, name, run_config))
        return WriterGroup(writers)


def _weights(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts of a checkpoint that must be finite: all but what windows remember."""
    return {name: part for name, part in parts.items() if name != "windows"}


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Returns what changes when a file is replaced; None where there is none."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns

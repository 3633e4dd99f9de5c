"""Draws frames from a trained prior and writes them as grids.

    python world_model/sample.py env=MontezumaRevenge
    python world_model/sample.py env=MontezumaRevenge 'classes=[room 1,room 13]' count=12
    python world_model/sample.py env=MontezumaRevenge run=next_frame top_p=0.95
    python world_model/sample.py env=MontezumaRevenge larger=[16,16]

Writes to runs/<env>/samples/<run>/, as the prior was trained: samples.png, a row of frames for
each class; or conditioned.png, a row for each held-out frame with what was given of it. Then
completion.png, the lower half of held-out frames drawn anew, and larger.png, frames of more tokens
than the prior was trained on, where `larger` gives their size; samples.json holds the settings.
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from worldtokens.common.atomic import write_text
from worldtokens.common.checks import check_at_least
from worldtokens.common.devices import choose_device
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import launch
from worldtokens.training.run_folder import read_config
from worldtokens.world_model.evaluation.plots import save_clip_grid
from worldtokens.world_model.imagination.sampling import SamplingConfig, seeded_generators
from worldtokens.world_model.prior.data import PriorBatch, PriorDataConfig, load_prior_frames
from worldtokens.world_model.prior.larger_frames import (
    check_decodes_larger,
    decode_larger,
    show_known,
    split_known,
)
from worldtokens.world_model.prior.model import FramePrior


@dataclass
class SampleConfig(SamplingConfig):
    """The keys of configs/sample.yaml.

    Attributes:
        env: The game's usual name, or the name of the images.
        data: Of the held-out frames; null for what the prior was trained on.
        root: Folder of all runs.
        run: Name of the prior's run in root/env/.
        tokenizer: The tokenizer that the prior was trained on.
        out: Where the pictures go.
        count: Frames in a row.
        rows: Held-out frames to complete, or to give other images of.
        classes: Names of classes, a row each; [] for all, after a row of any class.
        keep: Share of a frame's rows that completion knows, from the top; 0 completes nothing.
        larger: Rows and columns of tokens of larger frames; [] for none.
        seed: Of the frames that are drawn.
        scale: Screen pixels per pixel.
    """

    env: str
    data: str | None
    root: str
    run: str
    tokenizer: str
    out: str
    count: int
    rows: int
    classes: list[str]
    keep: float
    larger: list[int]
    seed: int
    scale: int

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        check_at_least(1, count=self.count, rows=self.rows, scale=self.scale)
        if not 0 <= self.keep < 1:
            raise ValueError(f"keep: expected a share in [0, 1), got {self.keep}")
        if len(self.larger) not in (0, 2):
            raise ValueError(f"larger: expected [rows, columns] or [], got {self.larger}")
        _ = self.sampling  # Checks its numbers.


def main(config: SampleConfig) -> None:
    """Draws and writes the pictures."""
    run = Path(config.root) / config.env / config.run
    prior = FramePrior.from_pretrained(run).to(choose_device())
    tokenizer = Tokenizer.from_pretrained(config.tokenizer).to(choose_device())
    prior.check_tokenizer(tokenizer.fingerprint)
    grids = SampleGrids(prior, tokenizer, config)
    # First, since not every prior and tokenizer can do it.
    larger = [grids.larger()] if config.larger else []
    written = []
    if prior.config.conditioned or config.keep:
        trained_on: PriorDataConfig = read_config(run, PriorDataConfig)
        source = dataclasses.replace(trained_on, data=config.data or trained_on.data)
        heldout = load_prior_frames(source, tokenizer, "heldout")
        truth = heldout.pick(heldout.spread(config.rows)).to(prior.device)
        if prior.config.conditioned:
            written.append(grids.conditioned(truth))
        if config.keep:
            written.append(grids.completions(truth))
    if not prior.config.conditioned:
        written.insert(0, grids.classes())
    metadata = {
        "prior": prior.fingerprint,
        "tokenizer": tokenizer.fingerprint,
        "classes": prior.config.classes,
        "condition": prior.config.condition,
        "settings": dataclasses.asdict(config),
    }
    write_text(Path(config.out) / "samples.json", json.dumps(metadata, indent=2) + "\n")
    print("\n".join(map(str, written + larger)))


class SampleGrids:
    """Draws frames from a prior and writes them as grids."""

    def __init__(self, prior: FramePrior, tokenizer: Tokenizer, config: SampleConfig):
        """Keeps the models and the settings."""
        self._prior = prior
        self._tokenizer = tokenizer
        self._config = config

    def classes(self) -> Path:
        """Writes a row of frames for each class."""
        requested: list[str | None] = list(self._config.classes)
        requested = requested or [None, *self._prior.config.classes]
        rows = []
        for number, name in enumerate(requested):
            classes = self._prior.class_numbers([name] * self._config.count)
            rows.append(self._decode(self._draw(number, classes)))
        return self._save("samples", rows, [name or "any" for name in requested])

    def conditioned(self, truth: PriorBatch) -> Path:
        """Writes a row for each held-out frame: the other image, the frame, frames drawn for it."""
        assert truth.condition is not None
        return self._rows_of("conditioned", truth, self._decode(truth.condition), None, "given")

    def completions(self, truth: PriorBatch) -> Path:
        """Writes a row for each held-out frame: its known part, the frame, frames that begin so."""
        grid, keep = self._prior.config.grid, self._config.keep
        known = split_known(truth.tokens, grid, keep)
        given = show_known(self._decode(truth.tokens), keep, grid[0])
        return self._rows_of("completion", truth, given, known, "known")

    def larger(self) -> Path:
        """Writes a row of frames of more tokens than the prior was trained on."""
        if self._prior.config.conditioned:
            raise ValueError(
                f"larger: expected a prior without another image, got run={self._config.run} with "
                f"condition={self._prior.config.condition}; give the other image to "
                "FramePrior.sample_larger in Python, or train with condition=none"
            )
        check_decodes_larger(self._tokenizer)
        rows, columns = self._config.larger
        names = [*self._config.classes, None] * self._config.count
        classes = self._prior.class_numbers(names[: self._config.count])
        generator = seeded_generators(self._config.seed, self._config.count)
        tokens = self._prior.sample_larger(
            rows, columns, classes, temperature=self._config.temperature,
            top_k=self._config.top_k, top_p=self._config.top_p, generator=generator,
        )  # fmt: skip
        return self._save("larger", [decode_larger(self._tokenizer, tokens)], [""])

    def _rows_of(
        self, name: str, truth: PriorBatch, given: np.ndarray, known: Tensor | None, label: str
    ) -> Path:
        """Writes a row per frame: what was given of it, the frame, and frames drawn from that."""
        count, frames, rows = self._config.count, self._decode(truth.tokens), []
        for row in range(len(truth.tokens)):

            def repeat(tokens: Tensor | None, row: int = row) -> Tensor | None:
                return None if tokens is None else tokens[row : row + 1].expand(count, -1)

            classes = truth.classes[row].expand(count)
            drawn = self._draw(row, classes, repeat(truth.condition), repeat(known))
            rows.append(np.stack([given[row], frames[row], *self._decode(drawn)]))
        names = ["any", *self._prior.config.classes]
        labels = [label, "held out", *["drawn"] * count]
        return self._save(name, rows, [names[number] for number in truth.classes], labels)

    def _draw(
        self,
        row: int,
        classes: Tensor,
        condition: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        generator = seeded_generators(self._config.seed + row, len(classes))
        return self._prior.sample(
            classes, condition, known, self._config.temperature, self._config.top_k,
            self._config.top_p, generator,
        )  # fmt: skip

    def _decode(self, tokens: Tensor) -> np.ndarray:
        return self._tokenizer.decode(tokens).cpu().numpy()

    def _save(
        self, name: str, rows: list[np.ndarray], names: list[str], labels: list[str] | None = None
    ) -> Path:
        path = Path(self._config.out) / f"{name}.png"
        save_clip_grid(path, rows, names, labels or [""] * len(rows[0]), self._config.scale)
        return path


def cli() -> None:
    """Runs the command line."""
    launch(main, SampleConfig, "sample")


if __name__ == "__main__":
    cli()

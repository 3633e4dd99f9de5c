r"""Trains tokenizers of several designs for equal minutes and prints their metrics as a table.

    python benchmarks/tokenizer_table.py --data data/MontezumaRevenge --minutes 10
    python benchmarks/tokenizer_table.py --data data/MontezumaRevenge --minutes 5 \
        --designs benchmarks/designs/search.yaml
    python benchmarks/tokenizer_table.py --data toys.npy --minutes 1 --probe-frames 0 \
        --only fast vqvae --set batch_size=8

A file of designs maps names to overrides of configs/tokenizer.yaml. Each design is a run of
tokenizer/train.py in ROOT/<game>/<name>/, evaluated by tokenizer/evaluate.py. The same command
continues where it was stopped and repeats neither a training nor an evaluation. Writes
OUT/<file>_<game>.csv, .md and .png (reconstructions side by side).
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml
from accelerate.state import AcceleratorState
from tokenizer_rows import Row, machine, probe_baselines, read_row, write_rows

from worldtokens.collect import EpisodeDataset
from worldtokens.common.atomic import replacing, write_text
from worldtokens.tokenizer import Tokenizer, evaluate, train
from worldtokens.tokenizer.data.heldout import HeldoutFrames, load_heldout
from worldtokens.tokenizer.data.images import is_image_data
from worldtokens.tokenizer.data.sources import open_sources
from worldtokens.tokenizer.evaluation.plots import save_comparison
from worldtokens.tokenizer.evaluation.reconstruction import one_per_scene
from worldtokens.training.command_line import compose

HERE = Path(__file__).parent
ROW_FILE = "table_row.json"


@dataclass(frozen=True)
class Table:
    """What a table compares, and by which frames.

    Attributes:
        designs: Overrides of configs/tokenizer.yaml by name.
        data: Episodes or images.
        game: The game, or the name of the images; names the folder of the runs.
        common: Overrides for all designs.
        root: Folder of all runs.
        frames: Held-out frames.
        probe_frames: Training frames for the probes; 0 for no probes.
    """

    designs: Mapping[str, Sequence[str]]
    data: str
    game: str
    common: Sequence[str]
    root: Path
    frames: int
    probe_frames: int

    def folder(self, design: str) -> Path:
        """Returns the run folder of a design."""
        return self.root / self.game / design

    def keys(self, design: str) -> list[str]:
        """Returns the overrides that name a run, for every entry script."""
        return [f"env={self.game}", f"data={self.data}", f"root={self.root}", f"run={design}"]


def main() -> None:
    """Trains and evaluates what is not there yet; writes the table after each design."""
    options = parse(sys.argv[1:])
    designs = read_designs(options.designs, options.only)
    is_images = is_image_data(options.data)
    dataset = None if is_images else EpisodeDataset(options.data)
    common = [f"budget={{max_minutes: {options.minutes}, max_steps: null}}", *options.set]
    if dataset is not None:
        height, width, _ = dataset.frame_shape
        common = [f"model.frame_height={height}", f"model.frame_width={width}", *common]
    table = Table(
        designs,
        options.data,
        Path(options.data).stem if dataset is None else dataset.game,
        common,
        options.root,
        options.frames,
        0 if is_images else options.probe_frames,
    )
    rows = []
    out = options.out / f"{options.designs.stem}_{table.game}"
    for design in designs:
        print(f"{design}: {' '.join(designs[design])}", flush=True)
        rows.append(row_of(table, design))
        write_rows(out, rows, notes(table, options.minutes))
    write_picture(out.with_suffix(".png"), table)
    print(f"{out}.csv, .md, .png")


def row_of(table: Table, design: str) -> Row:
    """Trains and evaluates a design, or reads the row of an earlier call."""
    overrides = [*table.keys(design), *table.designs[design], *table.common]
    path = table.folder(design) / ROW_FILE
    settings = {"overrides": overrides, "frames": table.frames, "probe_frames": table.probe_frames}
    if path.is_file():
        stored = json.loads(path.read_text())
        # Files of earlier versions call the settings "asked".
        if stored.get("settings", stored.get("asked")) == settings:
            return Row(**stored["row"])
    # Evaluations take a slow design longer than its training.
    quiet = ["wandb.mode=disabled", "evaluations=0", "checkpoint_every_minutes=5"]
    config = compose(train.TrainConfig, "tokenizer", [*overrides, *quiet])
    # Accelerate keeps the first precision of a process.
    AcceleratorState._reset_state()
    train.main(config)
    evaluate.main(
        compose(
            evaluate.EvaluateConfig,
            "tokenizer_evaluate",
            [
                *table.keys(design),
                f"frames={table.frames}",
                f"probe_frames={table.probe_frames}",
                f"image_aspect={config.image_aspect}",
            ],
        )
    )
    row = read_row(table.folder(design), config)
    write_text(path, json.dumps({"settings": settings, "row": asdict(row)}, indent=2) + "\n")
    return row


def notes(table: Table, minutes: float) -> list[str]:
    """Says in sentences how the metrics were measured."""
    sentences = [
        f"{table.game}: {minutes:g} minutes of training each, k-means of the codes included; "
        f"{table.frames:,} held-out frames; {machine()}."
    ]
    if table.probe_frames:
        first = table.folder(next(iter(table.designs)))
        sentences.append(
            f"Probe F1: mean over RAM labels, {table.probe_frames:,} training frames; "
            f"{probe_baselines(first)}."
        )
    return sentences


def write_picture(path: Path, table: Table, rows: int = 12) -> None:
    """Writes a PNG of true frames beside the reconstruction of each design."""
    tokenizers = {name: Tokenizer.from_pretrained(table.folder(name)) for name in table.designs}
    shape = next(iter(tokenizers.values())).frame_shape
    sources = open_sources(table.data, shape, "crop", in_memory=False)
    heldout = load_heldout(sources.heldout, sources.backgrounds, table.frames)
    chosen = one_per_scene(heldout, rows)
    shown = HeldoutFrames(
        heldout.frames[chosen], None, heldout.scenes[chosen], heldout.foreground[chosen]
    )
    reconstructions = {
        name: tokenizer.decode(tokenizer.encode(shown.frames)).numpy()
        for name, tokenizer in tokenizers.items()
    }
    with replacing(path) as partial:
        save_comparison(partial, shown, reconstructions, np.arange(len(chosen)))


def read_designs(path: Path, only: Sequence[str] | None) -> dict[str, list[str]]:
    """Reads the overrides of each design.

    Raises:
        ValueError: The file maps no names to lists, or lacks a name of `only`.
    """
    tree = yaml.safe_load(path.read_text())
    if not isinstance(tree, dict) or not all(isinstance(value, list) for value in tree.values()):
        raise ValueError(f"--designs: expected names, each with a list of overrides, in {path}")
    if unknown := sorted(set(only or ()) - tree.keys()):
        raise ValueError(f"--only: expected some of {', '.join(tree)}, got {', '.join(unknown)}")
    return {name: tree[name] for name in only or tree}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="a dataset, a folder of images or a .npy")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, per design")
    parser.add_argument("--designs", type=Path, default=HERE / "designs" / "field.yaml")
    parser.add_argument("--only", nargs="+", help="names of that file")
    parser.add_argument("--set", nargs="+", default=[], help="overrides for all designs")
    parser.add_argument("--frames", type=int, default=1000, help="held-out frames to evaluate")
    parser.add_argument("--probe-frames", type=int, default=5000, help="0 for no probes")
    parser.add_argument("--root", type=Path, default=Path("runs/table"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")

"""Prints how fast every part runs, beside its limit and, on request, beside IRIS's networks.

    python benchmarks/speed.py
    python benchmarks/speed.py --iris ../iris --json benchmarks/results/speed_cpu.json

Each row of ours is measured between IRIS in float32, as it ships, and IRIS under bf16 autocast, so
that a machine whose speed drifts changes the ratios little. `share` is the share of the FLOP/s of a
large matrix product in the same precision; for collecting, of the raw emulator loop.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from collect_speed import collect_rows
from tokenizer_speed import tokenizer_works
from work import Measured, Work
from world_model_speed import world_model_works

from worldtokens.common.atomic import write_text
from worldtokens.common.devices import choose_device

PEER_SCRIPT = Path(__file__).with_name("iris_peer.py")


@dataclass
class Row:
    """One line of the table; None where a value does not apply.

    Attributes:
        name: The work.
        rate: Our rate.
        unit: Of `rate` and of IRIS's rates.
        share: Share of the limit, in [0, 1].
        iris_fp32: IRIS's rate at the same work, as it ships.
        iris_bf16: The same under bf16 autocast.
    """

    name: str
    rate: float
    unit: str
    share: float | None = None
    iris_fp32: float | None = None
    iris_bf16: float | None = None

    def cells(self) -> list[str]:
        """Returns the row as text."""
        return [
            self.name,
            f"{self.rate:,.0f} {self.unit}" if self.rate >= 10 else f"{self.rate:.2f} {self.unit}",
            "" if self.share is None else f"{self.share:.0%}",
            *_beside(self.rate, self.iris_fp32),
            *_beside(self.rate, self.iris_bf16),
        ]


def _beside(rate: float, peer: float | None) -> list[str]:
    if peer is None:
        return ["", ""]
    return [f"{peer:,.1f}", f"{rate / peer:,.1f} x"]


class IrisPeer:
    """Measures IRIS at the same works, each in a process of its own."""

    def __init__(self, path: Path, device: str, seconds: float):
        """Prepares the measurements of a local clone of IRIS."""
        self._path, self._device, self._seconds = path, device, seconds

    def rate(self, work: str, batch: int, precision: str) -> float:
        """Returns the frames per second of one work.

        Raises:
            ValueError: IRIS does not run here; the message ends with the last line that it printed.
        """
        command = [
            sys.executable,
            str(PEER_SCRIPT),
            "--iris",
            str(self._path),
            "--work",
            work,
            "--batch",
            str(batch),
            "--precision",
            precision,
            "--device",
            self._device,
            "--seconds",
            str(self._seconds),
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["nothing"]
            raise ValueError(
                f"--iris: expected a clone of IRIS that runs here, got {self._path}, which failed "
                f"at {work}: {lines[-1]}"
            )
        return json.loads(done.stdout.strip().splitlines()[-1])["frames_per_second"]


def measure(work: Work, iris: IrisPeer | None, limit: float, seconds: float) -> Row:
    """Measures one row: IRIS in float32, ours, IRIS in bf16, one after another."""
    peer = iris if work.peer is not None else None
    fp32 = peer.rate(work.peer.work, work.peer.batch, "fp32") if peer and work.peer else None
    measured: Measured = work.measure(seconds)
    bf16 = peer.rate(work.peer.work, work.peer.batch, "bf16") if peer and work.peer else None
    share = None if measured.flops is None else measured.flops * measured.rate / limit
    return Row(work.name, measured.rate, "frames/s", share, fp32, bf16)


def print_table(rows: Iterable[Row]) -> None:
    """Prints the rows as a Markdown table."""
    head = ["work", "rate", "share", "IRIS fp32", "ratio", "IRIS bf16", "ratio"]
    lines = [head, ["---"] * len(head), *(row.cells() for row in rows)]
    for cells in lines:
        print("| " + " | ".join(cells) + " |")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--iris", type=Path, help="a local clone of IRIS to measure in turn")
    parser.add_argument("--device", default=choose_device().type)
    parser.add_argument("--seconds", type=float, default=8.0, help="about what each rate takes")
    parser.add_argument("--skip-collect", action="store_true", help="measure the networks only")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures all rows and prints them."""
    options = parse(sys.argv[1:])
    iris = IrisPeer(options.iris, options.device, options.seconds) if options.iris else None
    rows: list[Row] = []
    if not options.skip_collect:
        rows += [Row(r.name, r.value, r.unit, r.ratio) for r in collect_rows(options.seconds)]
    makers: list[Callable[[str], list[Work]]] = [tokenizer_works, world_model_works]
    for work in (work for make in makers for work in make(options.device)):
        rows.append(measure(work, iris, work.limit(), options.seconds))
        print(f"  {rows[-1].name}: {rows[-1].rate:,.1f} frames/s", file=sys.stderr)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    if options.device == "cuda":
        machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    print(f"\nmachine: {machine}\n")
    print_table(rows)
    if options.json:
        content = {"machine": machine, "rows": [asdict(row) for row in rows]}
        write_text(options.json, json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

"""Attacks the project at random, counts what happens, and prints a table.

    python tests/robustness/attack.py                    # about a minute, as in CI
    python tests/robustness/attack.py --scale 25         # 1,000 of each kind
    python tests/robustness/attack.py --seed 7 --only mutations

Signals kill trainings and imports, limits on file sizes stand in for full disks, bytes of files are
changed, command lines and calls are drawn. The seed is printed: with it the same attack runs again.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from calls import Calls
from children import clear, command, random_bytes_changed, run
from command_lines import CommandLines
from victims import (
    Victim,
    _checkpoint,
    _dataset,
    import_words,
    is_foreign,
    make_images,
    make_victims,
    must,
    train_words,
)

from worldtokens.collect import import_episodes
from worldtokens.tokenizer import train

KINDS = ("signals", "fills", "mutations", "command lines", "calls")
COUNTS = {"signals": 40, "fills": 12, "mutations": 200, "command lines": 40, "calls": 400}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
READINGS = {10: "read as before", 11: "silently wrong", 12: "refused"}
BAD = ("lost", "silently wrong", "traceback", "hang", "left over")


class Attack:
    """Counts outcomes by kind; describes the bad ones."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work = work
        self.rng = random.Random(seed)
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.bad: list[str] = []
        self.victims = make_victims(work)

    def note(self, kind: str, outcome: str, what: str = "") -> None:
        """Counts an outcome."""
        self.counts[kind][outcome] += 1
        if outcome in BAD:
            self.bad.append(f"{kind}: {outcome}: {what}")

    def signals(self, count: int) -> None:
        """Kills trainings and imports until they end by themselves; the results are as ever."""
        images = make_images(self.work / "small", 24)
        jobs = [
            (train.cli, "train", lambda to: train_words(images, to, "t"), _trained),
            (import_episodes.cli, "import", lambda to: import_words(images, to), _dataset),
        ]
        expected, seconds = {}, {}
        for cli, name, words, read in jobs:
            to = self.work / f"whole_{name}"
            whole = run(command(cli, name, *words(to)))
            must(whole)
            expected[name], seconds[name] = read(to), whole.seconds
        sent = 0
        while sent < count:
            cli, name, words, read = self.rng.choice(jobs)
            to = self.work / f"killed_{name}"
            clear(to)
            for _ in range(12):
                which = self.rng.choice(
                    [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
                )
                after = self.rng.uniform(0, 1.1 * seconds[name])
                outcome = run(command(cli, name, *words(to)), send=which, after=after)
                sent += 1
                self._judge_end(name, outcome, which)
                if outcome.code == 0:
                    break
            last = run(command(cli, name, *words(to)))
            if last.code != 0 or read(to) != expected[name]:
                self.note("signals", "lost", f"{name}: {last.output[-300:]}")
            if left := _leftovers(to):
                self.note("signals", "left over", f"{name}: {left}")

    def _judge_end(self, name, outcome, which) -> None:
        if outcome.hangs:
            self.note("signals", "hang", name)
        elif outcome.has_traceback and which == signal.SIGINT:
            self.note("signals", "traceback", f"{name}: {outcome.output[-600:]}")
        else:
            self.note("signals", "ended" if outcome.code else "was done")

    def fills(self, count: int) -> None:
        """Limits the size of files: one line, nothing half-written, and the rest goes on."""
        images = self.work / "small"
        make_images(images, 24)
        for _ in range(count):
            to = self.work / "filled"
            clear(to)
            limit = int(10 ** self.rng.uniform(1, 5))
            words = train_words(images, to, "t")
            outcome = run(command(train.cli, "train", *words), largest_file=limit)
            if outcome.hangs or outcome.has_traceback:
                what = "hang" if outcome.hangs else "traceback"
                self.note("fills", what, f"{limit} bytes: {outcome.output[-600:]}")
            else:
                self.note("fills", "one line" if outcome.is_one_line else "was done")
            last = run(command(train.cli, "train", *words))
            if last.code != 0:
                self.note("fills", "lost", f"{limit} bytes: {last.output[-300:]}")
            if left := _leftovers(to):
                self.note("fills", "left over", f"{limit} bytes: {left}")

    def mutations(self, count: int) -> None:
        """Changes bytes of files: refused in words, or read as before."""
        right = {victim.path: victim.read() for victim in self.victims}
        for _ in range(count):
            victim = self.rng.choice(self.victims)
            content = victim.path.read_bytes()
            changed = random_bytes_changed(content, self.rng)
            victim.path.write_bytes(changed)
            outcome = run(lambda victim=victim: _read_again(victim, right[victim.path]), hang=60)
            words = READINGS.get(outcome.code, "traceback")
            if outcome.hangs:
                words = "hang"
            elif words == "silently wrong" and is_foreign(victim.path):
                words = "read, has no digest"
            self.note("mutations", words, f"{victim.path.name}: {outcome.output[-300:]}")
            victim.path.parent.mkdir(exist_ok=True)
            victim.path.write_bytes(content)

    def command_lines(self, count: int) -> None:
        """Draws command lines: they work, or end in one line."""
        lines = CommandLines(self.work)
        home = Path.cwd()
        for _ in range(count):
            function, words = lines.draw(self.rng)
            scratch = self.work / "scratch"
            scratch.mkdir(exist_ok=True)
            os.chdir(scratch)
            outcome = run(function, hang=240)
            os.chdir(home)
            if outcome.hangs:
                self.note("command lines", "hang", words)
            elif outcome.code == 0:
                self.note("command lines", "works")
            elif outcome.is_one_line:
                self.note("command lines", "one line")
            else:
                self.note("command lines", "traceback", f"{words}\n{outcome.output[-700:]}")
            shutil.rmtree(scratch, ignore_errors=True)
            clear(self.work / "fuzzed")

    def calls(self, count: int) -> None:
        """Draws calls: they work, or a ValueError or TypeError names an argument."""
        calls = Calls(self.work)
        for _ in range(count):
            call, shown, names = calls.draw(self.rng)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call()
                self.note("calls", "works")
            except (ValueError, TypeError) as error:
                is_named = any(name in str(error) for name in names)
                outcome = "named" if is_named else "traceback"
                self.note("calls", outcome, f"{shown}: {error!r}")
            except BaseException as error:
                self.note("calls", "traceback", f"{shown}: {error!r:.300}")


def _read_again(victim: Victim, right: bytes) -> None:
    """Ends the process with a code of READINGS."""
    try:
        sys.exit(10 if victim.read() == right else 11)
    except (ValueError, OSError) as error:
        print(repr(error))
        sys.exit(12 if "\n" not in str(error) and len(str(error)) > 10 else 1)


def _leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(".*") if path.name != ".lock"]


def _trained(root: Path) -> bytes:
    folder = root / "FakeGame" / "t"
    state = _checkpoint(folder / "checkpoint.pt")
    # Seconds differ from run to run.
    import json

    tree = json.loads(state)
    return json.dumps([tree["parts"], tree["step"]], sort_keys=True).encode()


def print_table(attack: Attack) -> None:
    """Prints a row for each kind."""
    print(f"\n| {'attack':14} | {'count':>6} | " + " | ".join(BAD) + " | other outcomes |")
    print("|---" * (len(BAD) + 3) + "|")
    for kind, counts in attack.counts.items():
        total = sum(counts.values()) - counts["left over"]
        bad = " | ".join(str(counts[name]) for name in BAD)
        rest = ", ".join(f"{n} {name}" for name, n in counts.most_common() if name not in BAD)
        print(f"| {kind:14} | {total:>6} | {bad} | {rest} |")


def main() -> int:
    """Runs the attack; the exit code says whether anything bad happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=KINDS, action="append")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(Path(folder), options.seed)
        for kind in options.only or KINDS:
            method: Callable[[int], None] = getattr(attack, kind.replace(" ", "_"))
            method(max(1, round(COUNTS[kind] * options.scale)))
        print_table(attack)
    for line in attack.bad[:40]:
        print(f"- {line}")
    return 1 if attack.bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Attacks the project at random, counts what happens, and prints a table.

    python tests/robustness/attack.py                    # about a minute, as in CI
    python tests/robustness/attack.py --count 1000       # 1,000 of each kind
    python tests/robustness/attack.py --seed 7 --only mutations --only calls

Signals kill trainings and imports, limits on file sizes stand in for full disks, bytes of files are
changed, command lines and calls are drawn. The seed is printed: with it the same attack runs again.
"""

import argparse
import contextlib
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
from children import Outcome, clear, random_bytes_changed, run
from command_lines import CommandLines
from jobs import Job, make_jobs
from victims import Victim, make_models, make_victims, must

KINDS = ("signals", "fills", "mutations", "command lines", "calls")
COUNTS = {"signals": 40, "fills": 12, "mutations": 200, "command lines": 40, "calls": 400}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
READINGS = {10: "read as before", 11: "silently wrong", 12: "refused"}
BAD = ("lost", "silently wrong", "traceback", "hang", "left over")
# A job that is killed so often without an end is let go on.
MOST_KILLS = 12


class Attack:
    """Counts outcomes by kind; describes the bad ones."""

    def __init__(self, work: Path, seed: int) -> None:
        """Makes what is attacked below a folder."""
        self.work = work
        self.rng = random.Random(seed)
        self.counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.bad: list[str] = []
        make_models(work)
        self.victims = make_victims(work)
        self.jobs = make_jobs(work)

    def note(self, kind: str, outcome: str, what: str = "") -> None:
        """Counts an outcome, and says now and then how far the attack is."""
        self.counts[kind][outcome] += 1
        if outcome in BAD:
            self.bad.append(f"{kind}: {outcome}: {what}")
        done = sum(self.counts[kind].values())
        if done % 100 == 0:
            print(f"{kind}: {done}", file=sys.stderr, flush=True)

    def signals(self, count: int) -> None:
        """Kills trainings and imports until they end by themselves; the results are as ever."""
        expected, seconds = {}, {}
        for job in self.jobs:
            to = self.work / "whole" / job.name
            whole = run(job.start(to))
            must(whole)
            expected[job.name], seconds[job.name] = job.read(to), whole.seconds
        sent = 0
        while sent < count:
            job = self.rng.choice(self.jobs)
            to = self.work / "killed" / job.name
            clear(to)
            for _ in range(MOST_KILLS):
                which = self.rng.choice(SIGNALS)
                after = self.rng.uniform(0, 1.1 * seconds[job.name])
                outcome = run(job.start(to), send=which, after=after)
                sent += 1
                self._count_killed(job, outcome, which)
                if outcome.code == 0:
                    break
            last = run(job.start(to))
            if last.code != 0 or job.read(to) != expected[job.name]:
                self.note("signals", "lost", f"{job.name}: {last.output[-300:]}")
            self._count_leftovers("signals", job, to)

    def _count_killed(self, job: Job, outcome: Outcome, which: int) -> None:
        if outcome.hangs:
            self.note("signals", "hang", job.name)
        elif outcome.has_traceback:
            text = outcome.output[-600:]
            self.note("signals", "traceback", f"{job.name}, {signal.Signals(which).name}: {text}")
        else:
            self.note("signals", "ended" if outcome.code else "had finished")

    def _count_leftovers(self, kind: str, job: Job, to: Path) -> None:
        """Counts hidden files that a finished job left, of itself or of killed ones."""
        left = [str(path) for path in to.rglob(".*") if path.name != ".lock"]
        if left:
            self.note(kind, "left over", f"{job.name}: {left}")

    def fills(self, count: int) -> None:
        """Limits the size of files: one line, nothing half-written, and the rest goes on."""
        for _ in range(count):
            job = self.rng.choice(self.jobs)
            to = self.work / "filled" / job.name
            clear(to)
            limit = int(10 ** self.rng.uniform(1, 5))
            outcome = run(job.start(to), largest_file=limit)
            if (
                outcome.hangs
                or outcome.has_traceback
                or not (outcome.code == 0 or outcome.is_one_line)
            ):
                kind = "hang" if outcome.hangs else "traceback"
                self.note("fills", kind, f"{job.name}, {limit} bytes: {outcome.output[-600:]}")
            else:
                self.note("fills", "one line" if outcome.code else "had room enough")
            last = run(job.start(to))
            if last.code != 0:
                self.note("fills", "lost", f"{job.name}, {limit} bytes: {last.output[-300:]}")
            self._count_leftovers("fills", job, to)

    def mutations(self, count: int) -> None:
        """Changes bytes of files: refused in words, or read as before."""
        right = {victim.path: victim.read() for victim in self.victims}
        for _ in range(count):
            victim = self.rng.choice(self.victims)
            content = victim.path.read_bytes()
            victim.path.write_bytes(random_bytes_changed(content, self.rng))
            outcome = run(lambda victim=victim: read_again(victim, right[victim.path]), hang=60)
            words = "hang" if outcome.hangs else READINGS.get(outcome.code, "traceback")
            if words == "silently wrong" and not victim.has_digest:
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
            call = calls.draw(self.rng)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call.run()
                self.note("calls", "works")
            except (ValueError, TypeError) as error:
                outcome = "named" if call.is_named_in(str(error)) else "traceback"
                self.note("calls", outcome, f"{call.shown}: {error!r}")
            except BaseException as error:
                self.note("calls", "traceback", f"{call.shown}: {error!r:.300}")


def read_again(victim: Victim, right: bytes) -> None:
    """Ends the process with a code of READINGS."""
    try:
        sys.exit(10 if victim.read() == right else 11)
    except (ValueError, OSError) as error:
        print(repr(error))
        sys.exit(12 if "\n" not in str(error) and len(str(error)) > 10 else 1)


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
    parser.add_argument("--count", type=int, help="attacks of each kind")
    parser.add_argument("--only", choices=KINDS, action="append")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # Ignored in what a shell starts in the background; it ends an attack early, with its table.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(Path(folder), options.seed)
        with contextlib.suppress(KeyboardInterrupt):
            for kind in options.only or KINDS:
                method: Callable[[int], None] = getattr(attack, kind.replace(" ", "_"))
                method(options.count or COUNTS[kind])
        print_table(attack)
    for line in attack.bad[:40]:
        print(f"- {line}")
    return 1 if attack.bad else 0


if __name__ == "__main__":
    sys.exit(main())

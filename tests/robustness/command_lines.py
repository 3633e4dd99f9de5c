"""Random command lines of the real entry scripts."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

from children import command
from victims import PRIOR, TINY, WORLD

from worldtokens.common.commands import find_stage
from worldtokens.training.stage_config import StageConfig

VALUES = (
    "", "0", "-1", "1", "2.5", "nan", "inf", "-inf", "1e400", "99999999999999999999", "true",
    "null", "[]", "[1,2]", "{}", "{a: 1}", "a,b", "x", "ü=#(['&~", "~/x", "../../x", "/", ".",
    "..", "'", '"', "${env}", "${nothing}", "\\", "a\nb", "%s", "\0", "日本", "-", "1_000", "0x10",
    "range(3)", "???",
)  # fmt: skip
WORDS = (
    "", "x", "--fast", "-m", "--cfg", "+a=1", "~env", "~nothing", "=", "a.b.c=1", "--help", "é=1",
)  # fmt: skip


@dataclass(frozen=True)
class StageLine:
    """A stage with a small right command line.

    Attributes:
        name: As in `worldtokens NAME`.
        run: Its entry script's `cli`.
        keys: All keys that it knows.
        words: The command line.
        weight: How often it is drawn: stages that take seconds are drawn seldom.
    """

    name: str
    run: Callable[[], None]
    keys: list[str]
    words: list[str]
    weight: float


class CommandLines:
    """Draws command lines: a small right one, and one to three words that may be wrong."""

    def __init__(self, work: Path) -> None:
        """Loads the entry scripts.

        Args:
            work: Where `make_victims` has worked.
        """
        self._stages = []
        for name, (weight, words) in _right_words(work).items():
            stage = find_stage(name)
            module = import_module(stage.module)
            keys = StageConfig(get_type_hints(module.main)["config"], stage.config).keys()
            self._stages.append(StageLine(name, module.cli, keys, words, weight))

    def draw(self, rng: random.Random) -> tuple[Callable[[], None], str]:
        """Returns a command to run, and its words."""
        (stage,) = rng.choices(self._stages, [stage.weight for stage in self._stages])
        words = list(stage.words)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.12:
                words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS))
                continue
            key = rng.choice(stage.keys)
            if rng.random() < 0.1:
                key = key[:-1] + rng.choice("xyz")
            value = rng.choice(VALUES)
            words.append(f"{rng.choice(['', '', '', '', '+', '++'])}{key}={value}")
        line = " ".join(map(repr, [stage.name, *words]))
        return command(stage.run, f"{stage.name}.py", *words), line


def _right_words(work: Path) -> dict[str, tuple[float, list[str]]]:
    """Returns the weight and the words of each stage, by its name.

    Without `play`, which serves until it is ended, and `build-page`, which asks npm for files.
    """
    data, runs, out = f"data={work / 'data'}", f"root={work / 'fuzzed'}", work / "fuzzed" / "out"
    tokenizer = f"tokenizer={work / 'runs' / 'FakeGame' / 't'}"
    models = ["env=FakeGame", data, runs, tokenizer, f"world_model={work / 'world_model'}"]
    game = ["env=FakeGame", data, f"root={work / 'runs'}", tokenizer]
    return {
        "collect": (0.1, [
            "env=FakeGame", "policy=random", "num_steps=8", "num_workers=1",
            "env_config.max_episode_steps=4", f"data={work / 'fuzzed' / 'collected'}"]),
        "report": (1.0, [data]),
        "import-episodes": (1.0, [
            "env=FakeGame", "format=images", f"source={work / 'images' / 'e00'}",
            f"data={work / 'fuzzed' / 'data'}"]),
        "export-episodes": (1.0, [data, "format=images", f"to={out}"]),
        "train-tokenizer": (1.0, [*TINY, "budget.max_steps=1", data, runs]),
        "evaluate-tokenizer": (1.0, [
            "env=FakeGame", data, f"root={work / 'runs'}", "run=t", "frames=4"]),
        "guide": (0.5, [
            *game, f"out={out}", "target=[room 0]", "frames=8", "probe_steps=2", "count=1",
            "ascent.steps=1"]),
        "import-iris-tokenizer": (1.0, [
            "env=FakeGame", f"weights={work / 'peer' / '0.pt'}", runs, "frame_size=16"]),
        "export-tokenizer-onnx": (0.05, [
            "env=FakeGame", f"root={work / 'runs'}", "run=t", f"out={out}", "frames=2"]),
        "train-world-model": (1.0, [*WORLD, data, runs, tokenizer]),
        "evaluate-world-model": (0.2, [
            *game, "run=w", "starts=1", "context=2", "horizons=[1,2]", "events=1", "lost_lives=1",
            "counterfactuals=1", "strange_tokens=1", "payments=0"]),
        "imagine": (1.0, [*models, f"out={out}", "count=1", "context=2", "horizon=2"]),
        "export-world-model-onnx": (0.03, [
            *models, f"out={out}", "starts=1", "context=2", "check_starts=1", "check_steps=2"]),
        "train-prior": (1.0, [*PRIOR, data, runs, tokenizer]),
        "sample": (0.5, [*game, f"out={out}", "count=1", "rows=1"]),
        "ship": (1.0, [*game, "run=w", f"out={out}", "starts=1", "start_steps=3"]),
    }  # fmt: skip

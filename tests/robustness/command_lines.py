"""Random command lines of the real entry scripts."""

import random
from collections.abc import Callable
from pathlib import Path

from children import command
from victims import TINY

from worldtokens.collect import export_episodes, import_episodes, report
from worldtokens.collect import run as collect
from worldtokens.tokenizer import evaluate, train
from worldtokens.training.stage_config import StageConfig
from worldtokens.world_model import train as world_model_train
from worldtokens.world_model.training.config import TrainConfig as WorldModelTrainConfig

VALUES = (
    "", "0", "-1", "1", "2.5", "nan", "inf", "-inf", "1e400", "99999999999999999999", "true",
    "null", "[]", "[1,2]", "{}", "{a: 1}", "a,b", "x", "ü=#(['&~", "~/x", "../../x", "/", ".",
    "..", "'", '"', "${env}", "${nothing}", "\\", "a\nb", "%s", "\0", "日本", "-", "1_000", "0x10",
    "range(3)", "???",
)  # fmt: skip
WORDS = (
    "", "x", "--fast", "-m", "--cfg", "+a=1", "~env", "~nothing", "=", "a.b.c=1", "--help", "é=1",
)  # fmt: skip
WORLD = (
    "env=FakeGame", "budget.max_steps=1", "budget.max_minutes=null", "batch_size=1",
    "evaluations=0", "heldout_segments=1", "segment=3", "model.context=2", "model.copies=1",
    "model.history=1", "model.layers=1", "model.heads=2", "model.width=16", "mixed_precision=no",
    "wandb.mode=disabled",
)  # fmt: skip


class CommandLines:
    """Draws command lines: a small right one, and one to three words that may be wrong."""

    def __init__(self, work: Path) -> None:
        """Knows the stages by their small right command lines."""
        data, runs = f"data={work / 'data'}", f"root={work / 'fuzzed'}"
        tiny = [word for word in TINY if not word.startswith("budget.max_steps")]
        self._stages: list[tuple[Callable[[], None], str, StageConfig, list[str]]] = [
            (report.cli, "report", StageConfig(report.ReportConfig, "report"), [data]),
            (
                export_episodes.cli, "export",
                StageConfig(export_episodes.ExportConfig, "export_episodes"),
                [data, "format=images", f"to={work / 'fuzzed' / 'export'}"],
            ),
            (
                import_episodes.cli, "import",
                StageConfig(import_episodes.ImportConfig, "import_episodes"),
                ["env=FakeGame", "format=images", f"source={work / 'images' / 'e00'}",
                 f"data={work / 'fuzzed' / 'data'}"],
            ),
            (
                train.cli, "train-tokenizer", StageConfig(train.TrainConfig, "tokenizer"),
                [*tiny, "budget.max_steps=1", data, runs],
            ),
            (
                evaluate.cli, "evaluate",
                StageConfig(evaluate.EvaluateConfig, "tokenizer_evaluate"),
                ["env=FakeGame", data, f"root={work / 'runs'}", "run=t", "frames=4"],
            ),
            (
                world_model_train.cli, "train-world-model",
                StageConfig(WorldModelTrainConfig, "world_model"),
                [*WORLD, data, runs, f"tokenizer={work / 'runs' / 'FakeGame' / 't'}"],
            ),
            (
                collect.cli, "collect", StageConfig(collect.CollectConfig, "collect"),
                ["env=FakeGame", "policy=random", "num_steps=8", "num_workers=1",
                 "env_config.max_episode_steps=4", f"data={work / 'fuzzed' / 'collected'}"],
            ),
        ]  # fmt: skip
        self._keys = {name: stage.keys() for _, name, stage, _ in self._stages}

    def draw(self, rng: random.Random) -> tuple[Callable[[], None], str]:
        """Returns a command to run, and its words."""
        # Collecting starts processes, which load for seconds.
        weights = [1.0] * (len(self._stages) - 1) + [0.1]
        ((cli, name, _, right),) = rng.choices(self._stages, weights)
        words = list(right)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.12:
                words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS))
                continue
            key = rng.choice(self._keys[name])
            if rng.random() < 0.1:
                key = key[:-1] + rng.choice("xyz")
            value = rng.choice(VALUES)
            words.append(f"{rng.choice(['', '', '', '', '+', '++'])}{key}={value}")
        return command(cli, f"{name}.py", *words), " ".join(map(repr, [name, *words]))

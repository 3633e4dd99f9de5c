"""Several jobs of one command (`-m`): a folder for each, and a bad one costs no other."""

import re
import sys
from dataclasses import dataclass, field

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from worldtokens.training.error_lines import print_line
from worldtokens.training.typed_words import swept_keys


@dataclass
class Jobs:
    """What is known of the jobs of this process.

    Attributes:
        words: The words of the command line.
        count: Jobs begun.
        failures: A line for each job that failed.
    """

    words: list[str]
    count: int = 0
    failures: list[str] = field(default_factory=list)

    def begin(self, config: DictConfig) -> None:
        """Counts a job; where `run` is the same for all, it gets a name of its own.

        Args:
            config: Of the job; changed in place.
        """
        self.count += 1
        swept = swept_keys(self.words)
        given = [word.partition("=")[0] for word in self.words]
        if is_one_of_several() and "run" in config and "run" not in given and "overwrite" in config:
            values = dict(word.split("=", 1) for word in HydraConfig.get().overrides.task)
            parts = [f"{key.rsplit('.', 1)[-1]}_{values.get(key, '')}" for key in swept]
            name = "-".join([str(config.run), *parts])
            config.run = re.sub(r"[^\w.-]+", "_", name)

    def fail(self, line: str) -> None:
        """Notes that the present job failed, and says so."""
        words = " ".join(HydraConfig.get().overrides.task)
        self.failures.append(f"{words}: {line}")
        print_line(f"error: {line}; the next job goes on")

    def end(self) -> None:
        """Ends the process with exit code 1, after a line for each job that failed, if any."""
        if not self.failures:
            return
        for line in self.failures:
            print(f"error: {line}", file=sys.stderr)
        print(f"error: {len(self.failures)} of {self.count} jobs failed", file=sys.stderr)
        sys.exit(1)


def is_one_of_several() -> bool:
    """Tells whether Hydra runs several jobs one after another in this process."""
    if not HydraConfig.initialized():
        return False
    hydra = HydraConfig.get()
    is_basic = str(hydra.launcher.get("_target_", "")).endswith("BasicLauncher")
    return hydra.mode == RunMode.MULTIRUN and is_basic

"""The config of an evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worldtokens.common.checks import check_at_least
from worldtokens.world_model.imagination.sampling import SamplingConfig

SPLITS = ("heldout", "all")
# Keys that are the sizes of the parts.
PARTS = (
    "events", "lost_lives", "counterfactuals", "strange_tokens", "payments", "long_dreams",
)  # fmt: skip


@dataclass
class EvaluateConfig(SamplingConfig):
    """The keys of configs/world_model_evaluate.yaml.

    Attributes:
        env: The game's usual name.
        data: The dataset: a folder, or the name of one that comes with the project.
        split: heldout, its held-out episodes; or all of them, for data that no model has seen.
        training_data: The dataset that the model was trained on: what is strange is decided by its
            training episodes, and what reads positions and lives learns from them.
        root: Folder of all runs.
        run: Name of the world model's run in root/env/.
        tokenizer: The tokenizer that the world model was trained on.
        starts: Held-out windows to dream on from.
        samples: Dreams of each start; they differ unless top_k is 1.
        context: Known frames before a dream.
        horizons: Steps after the last known frame that the table shows; the files have these and
            every one from 1 to 20.
        seed: Of the starts and of the dreams.
        compare: Other runs in root/env/, evaluated before, to stand beside this one.
        drawn_samples: Drawn dreams of each window of the parts below.
        events: Windows of each kind of event, at most; 0 turns this part off.
        lost_lives: Lost lives to dream past, at most; 0 turns this part off.
        counterfactuals: Saved states to dream on from under scripts; 0 turns this part off.
        strange_tokens: Starts whose dreams are searched for strange tokens; 0 turns this part off.
        payments: Equal starts to play from in the game and in the dream; 0 turns this part off.
        payment_steps: Steps of each.
        policy: Who plays them, as in collect/run.py.
        long_dreams: Starts of long dreams; 0 turns this part off.
        long_dream_steps: Steps of each.
    """

    env: str
    data: str
    split: str
    training_data: str
    root: str
    run: str
    tokenizer: str
    starts: int
    samples: int
    context: int
    horizons: list[int]
    seed: int
    compare: list[str]
    drawn_samples: int
    events: int
    lost_lives: int
    counterfactuals: int
    strange_tokens: int
    payments: int
    payment_steps: int
    policy: dict[str, Any]
    long_dreams: int
    long_dream_steps: int

    def __post_init__(self) -> None:
        """Checks the numbers that are not checked elsewhere."""
        check_at_least(1, starts=self.starts, samples=self.samples, context=self.context)
        check_at_least(1, drawn_samples=self.drawn_samples, payment_steps=self.payment_steps)
        check_at_least(1, long_dream_steps=self.long_dream_steps)
        check_at_least(0, **{part: getattr(self, part) for part in PARTS})
        if self.split not in SPLITS:
            raise ValueError(f"split: expected {' or '.join(SPLITS)}, got {self.split!r}")
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"horizons: expected numbers of at least 1, got {self.horizons}")
        if self.samples > 1 and self.sampling.greedy:
            raise ValueError(
                f"samples: expected 1 with top_k=1, where all dreams of a start are the same, got "
                f"{self.samples}; give top_k=null to draw different ones"
            )
        if "_target_" not in self.policy:
            raise ValueError(
                "policy: expected random, held_random, stable_baselines3 or a policy._target_ of "
                f"your own, got {self.policy.get('name')}, which plays in no dream"
            )

    @property
    def run_folder(self) -> Path:
        """Folder of the run, root/env/run."""
        return Path(self.root) / self.env / self.run

"""Random calls of the public API with arguments of all kinds."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from victims import public_config

from worldtokens import (
    EnvConfig,
    EpisodeDataset,
    ImaginedVectorEnv,
    Sampling,
    Tokenizer,
    TokenizerConfig,
    TokenObservation,
    VectorTokenObservation,
    WorldModel,
    WorldModelConfig,
    make_env,
)

ANYTHING: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: -1, lambda: 0, lambda: 2.9, lambda: float("nan"), lambda: float("inf"),
    lambda: "", lambda: "x", lambda: b"x", lambda: True, lambda: [], lambda: {}, lambda: object(),
    lambda: 10**30, lambda: np.zeros((2, 16, 16, 3), np.uint8), lambda: np.zeros((0, 16, 16, 3)),
    lambda: np.zeros((2, 16, 16, 3), np.float32), lambda: torch.zeros(2, 16),
    lambda: torch.zeros(1, 4, dtype=torch.int64), lambda: np.full((1, 4), 99), lambda: [1, 2, 3],
    lambda: np.array(["a"]), lambda: (1, 2), lambda: "tokens", lambda: 3,
)  # fmt: skip


class Calls:
    """Draws a public callable and changes one or two of its arguments."""

    def __init__(self, work: Path) -> None:
        """Makes the objects whose methods are called."""
        self._dataset = EpisodeDataset(work / "data")
        self._tokenizer = Tokenizer(public_config()).eval()
        tokenizer = self._tokenizer
        self._model = WorldModel(
            WorldModelConfig(
                tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=tokenizer.vocab_size,
                grid=tokenizer.grid, num_actions=6, context=4, layers=1, heads=2, width=16,
                merge=1, codes=False,
            )
        ).eval()  # fmt: skip
        self._env = make_env("FakeGame", frame_height=16, frame_width=16)
        self._env.reset(seed=0)
        frames = np.zeros((3, 16, 16, 3), np.uint8)
        tokens = tokenizer.encode(frames)
        dream = {
            "world_model": self._model, "tokenizer": tokenizer, "start": frames, "num_envs": 2,
            "horizon": 3, "context": 2, "observation": "tokens", "sampling": Sampling(),
            "with_entropy": True,
        }  # fmt: skip
        imagined = ImaginedVectorEnv(**dream)
        imagined.reset(seed=0)
        rng = np.random.default_rng(0)
        self._targets: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
            ("encode", tokenizer.encode, {"frames": frames}),
            ("decode", tokenizer.decode, {"tokens": tokens}),
            ("embed", tokenizer.embed, {"tokens": tokens}),
            ("from_pretrained", Tokenizer.from_pretrained, {"path": work / "runs/FakeGame/t"}),
            ("EpisodeDataset", EpisodeDataset, {"path": work / "data", "split": "train"}),
            ("sample_segments", self._dataset.sample_segments, {"batch": 2, "length": 3,
                                                                "rng": rng}),
            ("segments_at", self._dataset.segments_at, {"starts": np.array([0, 1]), "length": 2}),
            ("gather_frames", self._dataset.gather_frames, {"indices": np.array([0, 3])}),
            ("read", self._dataset.read, {"name": "frames", "start": 0, "stop": 2}),
            ("choose_frames", self._dataset.choose_frames, {"limit": 3}),
            ("make_env", make_env, {"name": "FakeGame", "frame_skip": 4, "frame_height": 16}),
            ("EnvConfig", EnvConfig, {"name": "Pong", "noop_max": 0, "terminate_on_life_loss": True,
                                      "repeat_action_probability": 0.25}),
            ("step", self._step, {"action": 1}),
            ("Sampling", Sampling, {"temperature": 1.0, "top_k": 3, "top_p": 0.5}),
            ("TokenizerConfig", TokenizerConfig, {"frame_height": 16, "patch_size": 8,
                                                  "codebook_size": 8, "codebook_decay": 0.9}),
            ("TokenObservation", TokenObservation, {"env": self._env, "tokenizer": tokenizer,
                                                    "observation": "tokens"}),
            ("VectorTokenObservation", VectorTokenObservation, {"env": imagined,
                                                                "tokenizer": tokenizer}),
            ("ImaginedVectorEnv", ImaginedVectorEnv, dream),
            ("imagined step", imagined.step, {"actions": np.array([0, 1])}),
            ("imagined reset", imagined.reset, {"seed": 0, "options": None}),
            ("imagine", self._model.imagine, {
                "context_tokens": tokens[None], "context_actions": torch.zeros(1, 2).long(),
                "actions": torch.zeros(1, 2).long(), "temperature": 1.0}),
        ]  # fmt: skip

    def draw(self, rng: random.Random) -> tuple[Callable[[], Any], str, list[str]]:
        """Returns a call, its description, and the names of its arguments."""
        name, function, arguments = rng.choice(self._targets)
        changed = dict(arguments)
        for key in rng.sample(list(arguments), k=min(len(arguments), rng.randint(1, 2))):
            changed[key] = rng.choice(ANYTHING)()
        shown = ", ".join(f"{k}={v!r:.60}" for k, v in changed.items() if v is not arguments[k])
        # An error names an argument, or the value that came.
        named = [*arguments, *(str(v) for k, v in changed.items() if v is not arguments[k])]
        return lambda: function(**changed), f"{name}({shown})", [text for text in named if text]

    def _step(self, action: Any) -> Any:
        self._env.reset(seed=0)
        return self._env.step(action)

"""Random calls of the public API with arguments of all kinds."""

import copy
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldtokens import (
    EnvConfig,
    EpisodeDataset,
    FramePrior,
    FramePriorConfig,
    ImaginedVectorEnv,
    Sampling,
    Tokenizer,
    TokenizerConfig,
    TokenObservation,
    VectorTokenObservation,
    WorldModel,
    WorldModelConfig,
    make_env,
    save_video,
    show,
)

ANYTHING: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: -1, lambda: 0, lambda: 2.9, lambda: float("nan"), lambda: float("inf"),
    lambda: "", lambda: "x", lambda: b"x", lambda: True, lambda: [], lambda: {}, lambda: object(),
    lambda: 10**30, lambda: np.zeros((2, 16, 16, 3), np.uint8), lambda: np.zeros((0, 16, 16, 3)),
    lambda: np.zeros((2, 16, 16, 3), np.float32), lambda: torch.zeros(2, 16),
    lambda: torch.zeros(1, 4, dtype=torch.int64), lambda: np.full((1, 4), 99), lambda: [1, 2, 3],
    lambda: np.array(["a"]), lambda: (1, 2), lambda: "tokens", lambda: 3,
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A public callable.

    Attributes:
        name: In words.
        function: What is called.
        arguments: With which it works.
        subject: What an error may name instead: the object that the method belongs to.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    subject: str = ""


@dataclass(frozen=True)
class Call:
    """A call that may be wrong.

    Attributes:
        run: Makes the call.
        shown: The call in words, with the arguments that were changed.
        changed: The arguments that were changed, by name.
        subject: See `Target`.
    """

    run: Callable[[], Any]
    shown: str
    changed: dict[str, Any]
    subject: str

    def is_named_in(self, message: str) -> bool:
        """Tells whether an error names one of these arguments, or the path that one gives."""
        return (self.subject != "" and message.startswith(f"{self.subject}:")) or any(
            re.search(rf"\b{re.escape(name)}\b", message) is not None
            or (isinstance(value, str) and value != "" and name == "path" and value in message)
            for name, value in self.changed.items()
        )


class Calls:
    """Draws a public callable and changes one or two of its arguments."""

    def __init__(self, work: Path) -> None:
        """Makes the objects whose methods are called.

        Args:
            work: Where `make_victims` has worked.
        """
        tokenizer = Tokenizer(public_config()).eval()
        model = WorldModel(
            WorldModelConfig(
                tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=tokenizer.vocab_size,
                grid=tokenizer.grid, num_actions=6, context=4, layers=1, heads=2, width=16,
                merge=1, codes=False,
            )
        ).eval()  # fmt: skip
        self._env = make_env("FakeGame", frame_height=16, frame_width=16)
        self._env.reset(seed=0)
        frames = np.zeros((3, 16, 16, 3), np.uint8)
        self._targets = [
            *_of_datasets(work),
            *self._of_environments(),
            *_of_tokenizers(work, tokenizer, frames),
            *_of_world_models(work, model, tokenizer, frames),
            *_of_dreams(model, tokenizer, frames),
            *_of_priors(work, tokenizer, frames),
            Target("show", show, {"frames": frames, "fps": 15, "scale": 1}),
            Target("save_video", save_video,
                   {"frames": frames, "path": work / "clip.gif", "fps": 15, "scale": 1}),
            Target("TokenObservation", TokenObservation,
                   {"env": self._env, "tokenizer": tokenizer, "observation": "tokens"}),
        ]  # fmt: skip

    def draw(self, rng: random.Random) -> Call:
        """Returns a call; about one of ten is right."""
        target = rng.choice(self._targets)
        count = min(len(target.arguments), rng.randint(1, 2))
        changed = {key: rng.choice(ANYTHING)() for key in rng.sample(list(target.arguments), count)}
        arguments = {**target.arguments, **changed}
        shown = ", ".join(f"{key}={value!r:.60}" for key, value in changed.items())
        return Call(
            run=lambda: target.function(**arguments),
            shown=f"{target.name}({shown})".replace("\n", " "),
            changed=changed,
            subject=target.subject,
        )

    def _of_environments(self) -> list[Target]:
        return [
            Target("make_env", make_env, {"name": "FakeGame", "frame_skip": 4, "frame_height": 16}),
            Target("EnvConfig", EnvConfig, {
                "name": "Pong", "noop_max": 0, "terminate_on_life_loss": True,
                "repeat_action_probability": 0.25, "full_action_space": False, "frame_width": 16,
                "max_episode_steps": 9}),
            Target("step", self._step, {"action": 1}),
            Target("reset", self._env.reset, {"seed": 0, "options": None}),
        ]  # fmt: skip

    def _step(self, action: Any) -> Any:
        self._env.reset(seed=0)
        return self._env.step(action)


def _of_datasets(work: Path) -> list[Target]:
    dataset = EpisodeDataset(work / "data")
    rng = np.random.default_rng(0)
    return [
        Target("EpisodeDataset", EpisodeDataset, {"path": work / "data", "split": "train"}),
        Target("sample_segments", dataset.sample_segments, {"batch": 2, "length": 3, "rng": rng}),
        Target("segments_at", dataset.segments_at, {"starts": np.array([0, 1]), "length": 2}),
        Target("gather_frames", dataset.gather_frames, {"indices": np.array([0, 3])}),
        Target("read", dataset.read, {"name": "frames", "start": 0, "stop": 2}),
        Target("read_frames", dataset.read_frames, {"start": 0, "stop": 2}),
        Target("choose_frames", dataset.choose_frames, {"limit": 3}),
        Target("sample_starts", dataset.sample_starts, {"count": 2, "rng": rng}),
    ]


def _of_tokenizers(work: Path, tokenizer: Tokenizer, frames: np.ndarray) -> list[Target]:
    tokens = tokenizer.encode(frames)
    targets = [
        Target("from_pretrained", Tokenizer.from_pretrained, {"path": work / "runs/FakeGame/t"}),
        Target("Tokenizer", Tokenizer, {"config": public_config()}),
        Target("TokenizerConfig", TokenizerConfig, {
            "frame_height": 16, "patch_size": 8, "codebook_size": 8, "codebook_decay": 0.9,
            "network": "patch", "quantizer": "vq", "fsq_levels": [4, 4], "cosine_codes": True}),
        Target("save_pretrained", tokenizer.save_pretrained, {"save_directory": work / "saved"}),
    ]  # fmt: skip
    for name, model, subject in (
        ("", tokenizer, ""),
        ("half ", copy.deepcopy(tokenizer).half(), "tokenizer"),
        ("double ", copy.deepcopy(tokenizer).double(), "tokenizer"),
    ):
        targets += [
            Target(f"{name}encode", model.encode, {"frames": frames}, subject),
            Target(f"{name}decode", model.decode, {"tokens": tokens}, subject),
            Target(f"{name}embed", model.embed, {"tokens": tokens}, subject),
        ]
    return targets


def _of_world_models(
    work: Path, model: WorldModel, tokenizer: Tokenizer, frames: np.ndarray
) -> list[Target]:
    imagine = {
        "context_tokens": tokenizer.encode(frames)[None],
        "context_actions": torch.zeros(1, 2).long(), "actions": torch.zeros(1, 2).long(),
        "temperature": 1.0, "top_k": 1, "top_p": 0.5, "generator": None,
    }  # fmt: skip
    return [
        Target("WorldModel", WorldModel, {"config": model.config}),
        Target("WorldModelConfig", WorldModelConfig, {
            "vocab_size": 16, "grid": (2, 2), "num_actions": 6, "reward_values": [0.0, 1.0],
            "context": 4, "layers": 1, "heads": 2, "width": 16, "merge": 1, "copies": 2,
            "dropout": 0.1, "prediction": "parallel", "stay_gate": True}),
        Target("WorldModel.from_pretrained", WorldModel.from_pretrained,
               {"path": work / "world_model"}),
        Target("Sampling", Sampling, {"temperature": 1.0, "top_k": 3, "top_p": 0.5}),
        Target("imagine", model.imagine, imagine),
        Target("half imagine", copy.deepcopy(model).half().imagine, imagine, "world_model"),
    ]  # fmt: skip


def _of_dreams(model: WorldModel, tokenizer: Tokenizer, frames: np.ndarray) -> list[Target]:
    arguments = {
        "world_model": model, "tokenizer": tokenizer, "start": frames, "num_envs": 2, "horizon": 3,
        "context": 2, "observation": "tokens", "sampling": Sampling(), "with_entropy": True,
    }  # fmt: skip
    dream = ImaginedVectorEnv(**arguments)
    dream.reset(seed=0)
    frames_dream = ImaginedVectorEnv(**{**arguments, "observation": "frames"})
    return [
        Target("ImaginedVectorEnv", ImaginedVectorEnv, arguments),
        Target("ImaginedVectorEnv.step", dream.step, {"actions": np.array([0, 1])}),
        Target("ImaginedVectorEnv.reset", dream.reset, {"seed": 0, "options": None}),
        Target("VectorTokenObservation", VectorTokenObservation,
               {"env": frames_dream, "tokenizer": tokenizer, "observation": "tokens"}),
    ]  # fmt: skip


def _of_priors(work: Path, tokenizer: Tokenizer, frames: np.ndarray) -> list[Target]:
    config = {
        "vocab_size": tokenizer.vocab_size, "grid": tokenizer.grid, "classes": ["room 1"],
        "condition": "previous", "low_resolution": 2, "layers": 1, "heads": 2, "width": 16,
    }  # fmt: skip
    prior = FramePrior(FramePriorConfig(**config)).eval()
    tokens = tokenizer.encode(frames)
    classes = torch.zeros(3, dtype=torch.int64)
    return [
        Target("FramePriorConfig", FramePriorConfig, config),
        Target("FramePrior", FramePrior, {"config": prior.config}),
        Target("class_numbers", prior.class_numbers, {"names": ["room 1", None]}),
        Target("sample", prior.sample, {
            "classes": classes, "condition": tokens, "known": tokens[:, :1], "temperature": 1.0,
            "top_k": 1, "top_p": 0.5, "generator": None}),
        Target("FramePrior.from_pretrained", FramePrior.from_pretrained, {"path": work / "none"}),
    ]  # fmt: skip


def public_config() -> TokenizerConfig:
    """Returns the config of a small tokenizer."""
    return TokenizerConfig(
        16, 16, "patch", quantizer="fsq", fsq_levels=[4, 4], encoder_width=8, encoder_depth=1,
        decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
    )  # fmt: skip

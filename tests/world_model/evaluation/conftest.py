from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from worldtokens.collect import (
    DatasetDescription,
    Episode,
    EpisodeDataset,
    ShardWriter,
    write_description,
)
from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.cells import is_heldout_cell, make_cells
from worldtokens.collect.rollout import EpisodeRecorder, rollout
from worldtokens.envs import AtariEnv, EnvConfig, EnvState, make_env_from_config
from worldtokens.envs.fake_game import RAM_LABELS
from worldtokens.tokenizer.data.backgrounds import fit_backgrounds
from worldtokens.world_model import WorldModel, WorldModelConfig
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.setup import Setup

CONFIG = EnvConfig("FakeGame", frame_height=32, frame_width=32)
NOOP, FIRE, UP, RIGHT, LEFT, DOWN = range(6)
K, V = 8, 64
# In the second room, to the left of the key, which six steps to the right reach.
BEFORE_KEY = dict(room=1, player_x=72, player_y=150, lives=3, guard_y=40)
# The guard comes down to where the player stands, who dies some steps later.
BEFORE_GUARD = {**BEFORE_KEY, "guard_y": 126, "guard_direction": 1}


def state(**ram: int) -> EnvState:
    """A state of the game from labelled bytes."""
    memory = np.zeros(128, np.uint8)
    for label, value in ram.items():
        memory[RAM_LABELS[label]] = value
    env = make_env_from_config(CONFIG)
    frame, _ = env.reset(seed=0)
    generator = dict(np.random.default_rng(0).bit_generator.state)
    return EnvState(memory.tobytes(), frame, 0, ram["lives"], 0, generator)


class Script:
    """Plays given actions."""

    def __init__(self, actions: list[int]):
        self._actions = iter(actions)

    def begin(self, rng: np.random.Generator) -> None:
        """Needs nothing."""

    def act(self, frame: np.ndarray) -> int:
        """The next action."""
        return next(self._actions)


def record(env: AtariEnv, seed: int, start: EnvState, actions: list[int]) -> Episode:
    """Plays the actions from a state; its frame is that of the first step, repeated."""
    frame, info = env.restore_state(start)
    env.step(NOOP)
    frame, info = env.frame, env.restore_state(start)[1]
    recorder = EpisodeRecorder(frame, info["ram"], info["lives"])
    for step in rollout(env, Script(actions), frame):
        recorder.add(step)
        if len(recorder) == len(actions):
            break
    return recorder.finish(f"played-{seed:04d}", seed, "restored")


@pytest.fixture
def game(tmp_path) -> Path:
    """Six episodes of 20 steps; held out: one takes the key at step 5, one stops before it, and in
    one the player dies.

    Its archive has two held-out cells and a training cell, all of them in front of the key.
    """
    folder = tmp_path / "game"
    env = make_env_from_config(CONFIG)
    write_description(folder, DatasetDescription(CONFIG, env.action_meanings, (32, 32, 3)))
    writer = ShardWriter(folder / "shards", "played", (32, 32, 3))
    takes_key = [RIGHT] * 6 + [NOOP] * 14
    stops_before = [RIGHT] * 5 + [NOOP] * 15
    for seed, start, actions in (
        (0, BEFORE_KEY, takes_key), (1, BEFORE_GUARD, [NOOP] * 5 + [RIGHT] * 15),
        (2, {**BEFORE_KEY, "lives": 2}, stops_before), (9, BEFORE_KEY, takes_key),
        (19, BEFORE_KEY, stops_before), (29, BEFORE_GUARD, [NOOP] * 5 + [RIGHT] * 15),
    ):  # fmt: skip
        writer.append(record(env, seed, state(**start), actions))
    writer.flush()
    archive = Archive(make_cells("FakeGame", "auto"))
    names = [f"010009{number:02x}" for number in range(64)]
    heldout = [name for name in names if is_heldout_cell(name)]
    training = [name for name in names if not is_heldout_cell(name)]
    for key in (*heldout[:2], training[0]):
        archive.add(Route(key, 1, 0.0, 3, 0, state(**BEFORE_KEY).to_bytes()))
    archive.save(folder / "archives" / "one.npz")
    return folder


class ExactTokenizer:
    """Gives every frame tokens of its own, from which it is decoded exactly; others are black."""

    tokens_per_frame, vocab_size, frame_shape = K, V, (32, 32, 3)
    fingerprint, device = "exact", torch.device("cpu")

    def __init__(self):
        self._numbers: dict[bytes, int] = {}
        self._frames: list[np.ndarray] = []

    def encode(self, frames: np.ndarray) -> torch.Tensor:
        """The frame's number, in base 64."""
        flat = np.asarray(frames).reshape(-1, *self.frame_shape)
        for frame in flat:
            if frame.tobytes() not in self._numbers:
                self._numbers[frame.tobytes()] = len(self._frames)
                self._frames.append(frame.copy())
        numbers = np.array([self._numbers[frame.tobytes()] for frame in flat])
        digits = numbers[:, None] // V ** np.arange(K) % V
        return torch.from_numpy(digits.reshape(*frames.shape[:-3], K))

    def decode(self, tokens) -> torch.Tensor:
        """The frame of a number."""
        tokens = np.asarray(tokens)
        numbers = (tokens.reshape(-1, K) * V ** np.arange(K)).sum(axis=1)
        black = np.zeros(self.frame_shape, np.uint8)
        known = [self._frames[n] if n < len(self._frames) else black for n in numbers.tolist()]
        return torch.from_numpy(np.stack(known).reshape(*tokens.shape[:-1], *self.frame_shape))


@pytest.fixture
def new_setup(game) -> Callable[..., Setup]:
    """Makes the setup of an evaluation with an untrained model, whose dreams stand still."""

    def make(**changes) -> Setup:
        tokenizer = ExactTokenizer()
        torch.manual_seed(0)
        config = WorldModelConfig(
            **{
                **dict(tokenizer="exact", game="FakeGame", vocab_size=V, grid=(2, 4)),
                **dict(num_actions=6, reward_values=[0.0, 100.0], context=4, layers=1, heads=2),
                **dict(width=32, copies=1, history=2, stay_gate=False),
                **changes,
            }
        )
        heldout, training = EpisodeDataset(game, "heldout"), EpisodeDataset(game, "train")
        return Setup(
            model=WorldModel(config).eval(),
            tokenizer=tokenizer,  # pyright: ignore[reportArgumentType]
            heldout=heldout,
            tokens=load_tokens(heldout, tokenizer),  # pyright: ignore[reportArgumentType]
            training=training,
            training_tokens=load_tokens(training, tokenizer),  # pyright: ignore
            backgrounds=fit_backgrounds(EpisodeDataset(game)),
            probes={},
            context=4,
            seed=0,
        )

    return make


@pytest.fixture
def setup(new_setup) -> Setup:
    return new_setup()

"""A replay buffer that keeps tokens instead of frames, and decodes them when it is sampled.

    python examples/replay_compressor.py --game MontezumaRevenge
    python examples/replay_compressor.py --game FakeGame --untrained --steps 2000

Frames become tokens, and the tokens of 32 frames at a time are compressed without loss by zlib,
since most tokens stay as they were from one frame to the next. Plays the game at random in several
environments, fills a buffer of this kind, one of plain uint8 frames and one of frames under zlib
alone, and prints the size, the speed and the quality of each. The tokenizer is the one of
runs/<game>/tokenizer unless --tokenizer names another; --untrained takes fresh weights, which
decode to noise.
"""

import argparse
import sys
import time
import zlib
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.vector import VectorEnv

from worldtokens import Tokenizer, TokenizerConfig
from worldtokens.common.devices import choose_device
from worldtokens.envs import ram_labels, usual_name
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, score_rows
from worldtokens.tokenizer.evaluation.metrics import foreground_recall, psnr_per_frame

MEAN_HOLD = 10  # steps for which random play holds an action on average
COMPARED_FRAMES = 1000
BLOCK = 32  # frames of one environment that are compressed together


class FrameStore(Protocol):
    """Stores a frame per row (point in time) and environment; rows are written in order."""

    @property
    def bytes_per_frame(self) -> float:
        """Mean size of a frame in memory, over those that were written."""
        ...

    def write(self, row: int, frames: np.ndarray) -> None:
        """Stores the frames of all environments, uint8 (num_envs, height, width, 3)."""
        ...

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """Returns frames (n, height, width, 3) by rows (n,) and environments (n,)."""
        ...


class PlainFrames:
    """Frames as they are."""

    def __init__(self, num_rows: int, num_envs: int, frame_shape: tuple[int, int, int]):
        """Allocates the memory."""
        self._frames = np.zeros((num_rows, num_envs, *frame_shape), np.uint8)

    @property
    def bytes_per_frame(self) -> float:
        """See FrameStore.bytes_per_frame."""
        return self._frames[0, 0].nbytes

    def write(self, row: int, frames: np.ndarray) -> None:
        """See FrameStore.write."""
        self._frames[row] = frames

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """See FrameStore.read."""
        return self._frames[rows, envs]


class ZlibFrames:
    """Frames, or anything else of one shape and type, in compressed blocks of consecutive rows.

    The block that is being written stays uncompressed. When a full buffer reaches a block again, it
    is decompressed first, so that its old rows stay until each is overwritten.
    """

    def __init__(self, num_rows: int, num_envs: int, shape: tuple[int, ...], dtype: np.dtype):
        """Prepares empty blocks."""
        self._open = np.zeros((num_envs, BLOCK, *shape), dtype)
        self._number = 0
        empty = zlib.compress(self._open[0].tobytes())
        self._blocks = [[empty] * num_envs for _ in range(-(-num_rows // BLOCK))]
        self._closed: set[int] = set()

    @property
    def bytes_per_frame(self) -> float:
        """See FrameStore.bytes_per_frame; includes Python's own 41 bytes for each block."""
        sizes = [
            sys.getsizeof(data) + 8 for number in self._closed for data in self._blocks[number]
        ]
        return float(np.mean(sizes)) / BLOCK if sizes else self._open[0, 0].nbytes

    def write(self, row: int, frames: np.ndarray) -> None:
        """See FrameStore.write."""
        number, index = divmod(row, BLOCK)
        if number != self._number:
            self._blocks[self._number] = [zlib.compress(items.tobytes()) for items in self._open]
            self._closed.add(self._number)
            for env in range(len(self._open)):
                self._open[env] = self._load(number, env)
            self._number = number
        self._open[:, index] = frames

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """See FrameStore.read."""
        blocks: dict[tuple[int, int], np.ndarray] = {}
        frames = np.empty((len(rows), *self._open.shape[2:]), self._open.dtype)
        for to, (row, env) in enumerate(zip(rows.tolist(), envs.tolist(), strict=True)):
            number, index = divmod(row, BLOCK)
            if (number, env) not in blocks:
                blocks[number, env] = self._load(number, env)
            frames[to] = blocks[number, env][index]
        return frames

    def _load(self, number: int, env: int) -> np.ndarray:
        if number == self._number:
            return self._open[env]
        data = zlib.decompress(self._blocks[number][env])
        return np.frombuffer(data, self._open.dtype).reshape(self._open.shape[1:])


class TokenFrames:
    """Frames as tokens, in compressed blocks."""

    def __init__(self, num_rows: int, num_envs: int, tokenizer: Tokenizer):
        """Prepares empty blocks of the smallest type that holds the vocabulary."""
        self._tokenizer = tokenizer
        dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
        self._tokens = ZlibFrames(num_rows, num_envs, (tokenizer.tokens_per_frame,), dtype)

    @property
    def bytes_per_frame(self) -> float:
        """See FrameStore.bytes_per_frame."""
        return self._tokens.bytes_per_frame

    def write(self, row: int, frames: np.ndarray) -> None:
        """See FrameStore.write; the frames are encoded in one batch."""
        self._tokens.write(row, self._tokenizer.encode(frames).cpu().numpy())

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """See FrameStore.read; the frames are decoded in one batch."""
        return self._tokenizer.decode(self.read_tokens(rows, envs)).cpu().numpy()

    def read_tokens(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """Returns the tokens, int64 (n, K), for agents that need no frames."""
        return self._tokens.read(rows, envs).astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """Transitions."""

    frames: np.ndarray  # uint8 (n, height, width, 3)
    actions: np.ndarray  # uint8 (n,)
    rewards: np.ndarray  # float32 (n,)
    terminated: np.ndarray  # bool (n,), the game ended with this step
    truncated: np.ndarray  # bool (n,), the episode was cut after this step
    next_frames: np.ndarray  # uint8 (n, height, width, 3), after the actions


class ReplayBuffer:
    """A ring buffer of the steps of a vector environment, one row per step of all environments.

    A frame is stored once, although it is the next frame of one step and the frame of the one
    after. The environments reset themselves in the step after an episode's end (gymnasium's
    default), so the row after an end holds the last frame and no step.
    """

    def __init__(self, frames: FrameStore, num_rows: int, num_envs: int):
        """Allocates `num_rows` rows; `frames` has as many."""
        if num_rows < 3:
            raise ValueError(f"num_rows: expected at least 3, got {num_rows}; raise the capacity")
        self.frames = frames
        self._actions = np.zeros((num_rows, num_envs), np.uint8)
        self._rewards = np.zeros((num_rows, num_envs), np.float32)
        self._terminated = np.zeros((num_rows, num_envs), np.bool_)
        self._truncated = np.zeros((num_rows, num_envs), np.bool_)
        self._is_step = np.zeros((num_rows, num_envs), np.bool_)
        self._ended = np.zeros(num_envs, np.bool_)
        self._added = 0

    @property
    def bytes_per_step(self) -> float:
        """Size of one step of one environment in memory."""
        steps = (self._actions, self._rewards, self._terminated, self._truncated, self._is_step)
        return self.frames.bytes_per_frame + sum(array.itemsize for array in steps)

    def add(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Adds one step of every environment.

        Args:
            frames: uint8 (num_envs, height, width, 3), before the actions.
            actions: Integers (num_envs,) in [0, 256).
            rewards: Floats (num_envs,).
            terminated: bool (num_envs,).
            truncated: bool (num_envs,).
        """
        row = self._added % len(self._actions)
        self.frames.write(row, frames)
        self._actions[row], self._rewards[row] = actions, rewards
        self._terminated[row], self._truncated[row] = terminated, truncated
        self._is_step[row] = ~self._ended
        self._ended = terminated | truncated
        self._added += 1

    def sample(self, size: int, rng: np.random.Generator) -> Batch:
        """Draws transitions uniformly, with replacement.

        Raises:
            ValueError: Fewer than three rows were added.
        """
        if self._added < 3:
            raise ValueError(f"sample: expected at least 3 rows in the buffer, got {self._added}")
        rows, envs = self._draw(size, rng)
        while not (good := self._is_step[rows, envs]).all():
            rows[~good], envs[~good] = self._draw(int((~good).sum()), rng)
        next_rows = (rows + 1) % len(self._actions)
        both = self.frames.read(np.concatenate([rows, next_rows]), np.tile(envs, 2))
        return Batch(
            frames=both[:size],
            actions=self._actions[rows, envs],
            rewards=self._rewards[rows, envs],
            terminated=self._terminated[rows, envs],
            truncated=self._truncated[rows, envs],
            next_frames=both[size:],
        )

    def _draw(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws rows whose next row is known, and environments."""
        num_rows, num_envs = self._actions.shape
        ages = rng.integers(1, min(self._added, num_rows), size)
        return (self._added - 1 - ages) % num_rows, rng.integers(num_envs, size=size)


def option(default: Any, help: str) -> Any:
    """Declares a field of Arguments that is an option of the command line."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    game: str = option("MontezumaRevenge", "the game's usual name")
    tokenizer: str = option("runs/<game>/tokenizer", "folder, name or Hub repo id")
    untrained: bool = option(False, "take fresh weights")
    steps: int = option(8000, "steps to play, and the capacity")
    num_envs: int = option(16, "environments at once")
    batch_size: int = option(64, "steps per sample")
    batches: int = option(20, "samples to time")
    seed: int = option(0, "seed of everything random")
    device: str = option(choose_device().type, "cpu, cuda ...")


@dataclass
class Result:
    """Size, quality and speed of a buffer."""

    name: str
    bytes_per_step: float  # frame, action, reward and ends together
    psnr: float  # mean over frames, dB
    recall: float  # foreground recall; see tokenizer/evaluation/metrics.py
    steps_in: float  # steps per second that are added
    steps_out: float  # steps per second that are sampled, two frames each


def main(arguments: Arguments) -> list[Result]:
    """Fills the buffers; prints and returns their results."""
    game = usual_name(arguments.game)
    tokenizer = load_tokenizer(game, arguments)
    shape, num_envs = tokenizer.frame_shape, arguments.num_envs
    size: dict[str, Any] = {"frame_height": shape[0], "frame_width": shape[1]}
    env = gymnasium.make_vec(f"worldtokens.envs:worldtokens/{game}", num_envs, "sync", **size)
    num_rows = -(-arguments.steps // num_envs)
    stores = {
        "uint8": PlainFrames(num_rows, num_envs, shape),
        "zlib": ZlibFrames(num_rows, num_envs, shape, np.dtype(np.uint8)),
        "tokens": TokenFrames(num_rows, num_envs, tokenizer),
    }
    buffers = {name: ReplayBuffer(store, num_rows, num_envs) for name, store in stores.items()}
    scenes, seconds = fill(env, game, buffers, num_rows, arguments.seed)
    env.close()
    results = []
    for name, buffer in buffers.items():
        quality = compare(stores["uint8"], stores[name], scenes, game)
        speeds = num_rows * num_envs / seconds[name], sampling_speed(buffer, arguments)
        results.append(Result(name, buffer.bytes_per_step, *quality, *speeds))
    print(f"{game}, {num_rows * num_envs} steps of random play, {num_envs} at once")
    print(table(results))
    return results


def load_tokenizer(game: str, arguments: Arguments) -> Tokenizer:
    """Loads the trained tokenizer, or makes a fresh one, on the device."""
    torch.manual_seed(arguments.seed)
    if arguments.untrained:
        tokenizer = Tokenizer(TokenizerConfig())
    else:
        tokenizer = Tokenizer.from_pretrained(arguments.tokenizer.replace("<game>", game))
    return tokenizer.to(arguments.device).eval()


def fill(
    env: VectorEnv, game: str, buffers: dict[str, ReplayBuffer], num_rows: int, seed: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Plays at random and adds every step to every buffer.

    Returns:
        The scene (room) of each frame, int64 (num_rows, num_envs), and the seconds that each buffer
        took to add.
    """
    rng = np.random.default_rng(seed)
    room = ram_labels(game).get("room")
    num_actions = int(env.single_action_space.n)  # pyright: ignore[reportAttributeAccessIssue]
    # Seeds that end in 9 are never trained on; see collect.is_heldout_seed.
    frames, infos = env.reset(seed=[10 * (seed + i) + 9 for i in range(env.num_envs)])  # pyright: ignore[reportArgumentType]
    actions = rng.integers(num_actions, size=env.num_envs)
    scenes = np.zeros((num_rows, env.num_envs), np.int64)
    seconds = dict.fromkeys(buffers, 0.0)
    for row in range(num_rows):
        scenes[row] = infos["ram"][:, room] if room is not None else 0
        changes = rng.random(env.num_envs) < 1 / MEAN_HOLD
        actions = np.where(changes, rng.integers(num_actions, size=env.num_envs), actions)
        next_frames, rewards, terminated, truncated, infos = env.step(actions)
        for name, buffer in buffers.items():
            start = time.perf_counter()
            buffer.add(frames, actions, rewards, terminated, truncated)
            seconds[name] += time.perf_counter() - start
        frames = next_frames
    return scenes, seconds


def compare(
    original: FrameStore, store: FrameStore, scenes: np.ndarray, game: str
) -> tuple[float, float]:
    """Returns PSNR and foreground recall of a store's frames, over evenly spaced ones."""
    chosen = np.linspace(0, scenes.size - 1, min(scenes.size, COMPARED_FRAMES)).astype(np.int64)
    rows, envs = np.unravel_index(chosen, scenes.shape)
    true, stored, scene = original.read(rows, envs), store.read(rows, envs), scenes[rows, envs]
    score = score_rows(game, true.shape[1])
    mask = SceneBackgrounds.fit(true, scene, score).foreground(true, scene)
    recall = foreground_recall(true, stored, mask, scene).overall
    return float(psnr_per_frame(true, stored).mean()), recall


def sampling_speed(buffer: ReplayBuffer, arguments: Arguments) -> float:
    """Times sampling; returns steps per second."""
    rng = np.random.default_rng(arguments.seed)
    buffer.sample(arguments.batch_size, rng)
    start = time.perf_counter()
    for _ in range(arguments.batches):
        buffer.sample(arguments.batch_size, rng)
    return arguments.batches * arguments.batch_size / (time.perf_counter() - start)


def table(results: list[Result]) -> str:
    """Formats the results as text, a row per buffer."""
    largest = max(result.bytes_per_step for result in results)
    lines = [
        f"{'buffer':<8}{'bytes/step':>11}{'smaller':>9}{'PSNR':>9}{'recall':>8}"
        f"{'steps/s in':>12}{'steps/s out':>13}"
    ]
    for result in results:
        psnr = f"{result.psnr:.1f} dB" if result.name == "tokens" else "exact"
        lines.append(
            f"{result.name:<8}{result.bytes_per_step:>11.1f}"
            f"{largest / result.bytes_per_step:>8.0f}x{psnr:>9}"
            f"{result.recall:>8.3f}{result.steps_in:>12.0f}{result.steps_out:>13.0f}"
        )
    return "\n".join(lines)


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for each in fields(Arguments):
        kind = {"action": "store_true"} if each.type is bool else {"type": each.type}
        name = f"--{each.name.replace('_', '-')}"
        parser.add_argument(name, default=each.default, **kind, **each.metadata)
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

"""A replay buffer that keeps tokens instead of frames, and decodes them when it is sampled.

    python examples/replay_compressor.py --game MontezumaRevenge
    python examples/replay_compressor.py --game FakeGame --untrained --steps 2000

Frames become tokens, and runs of 32 frames' tokens are compressed without loss by zlib, since most
tokens stay as they were from one frame to the next. Plays the game at random in several
environments, fills a buffer of this kind, one of plain uint8 frames and one of frames under zlib
alone, and prints what each costs and gives back. The tokenizer is the one of runs/<game>/tokenizer
unless --tokenizer names another; --untrained takes fresh weights, which return noise.
"""

import argparse
import sys
import time
import zlib
from dataclasses import dataclass
from typing import Protocol

import gymnasium
import numpy as np
import torch

from worldtokens.envs import ram_labels, usual_name
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, score_rows
from worldtokens.tokenizer.evaluation.metrics import foreground_recall, psnr_per_frame

MEAN_HOLD = 10  # steps for which random play holds an action on average
COMPARED_FRAMES = 1000
BLOCK = 32  # frames of one environment that are compressed together


class FrameStore(Protocol):
    """Keeps a frame for each row (moment) and environment; rows are written one after another."""

    @property
    def bytes_per_frame(self) -> float:
        """What a frame takes, on average over those that were written."""
        ...

    def write(self, row: int, frames: np.ndarray) -> None:
        """Keeps the frames of all environments, uint8 (num_envs, height, width, 3)."""
        ...

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """Gives back frames (n, height, width, 3) by rows (n,) and environments (n,)."""
        ...


class PlainFrames:
    """Frames as they are."""

    def __init__(self, num_rows: int, num_envs: int, frame_shape: tuple[int, int, int]):
        """Reserves the memory."""
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

    The block that is being written lies open. A block that is reached again after a turn of the
    ring is opened first, so that its old rows stay until each is overwritten.
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
        """See FrameStore.bytes_per_frame; Python's own 41 bytes for each block are in it."""
        sizes = [
            sys.getsizeof(data) + 8 for number in self._closed for data in self._blocks[number]
        ]
        return float(np.mean(sizes)) / BLOCK if sizes else self._open[0, 0].nbytes

    def write(self, row: int, frames: np.ndarray) -> None:
        """See FrameStore.write."""
        number, place = divmod(row, BLOCK)
        if number != self._number:
            self._blocks[self._number] = [zlib.compress(items.tobytes()) for items in self._open]
            self._closed.add(self._number)
            for env in range(len(self._open)):
                self._open[env] = self._load(number, env)
            self._number = number
        self._open[:, place] = frames

    def read(self, rows: np.ndarray, envs: np.ndarray) -> np.ndarray:
        """See FrameStore.read."""
        loaded: dict[tuple[int, int], np.ndarray] = {}
        found = np.empty((len(rows), *self._open.shape[2:]), self._open.dtype)
        for index, (row, env) in enumerate(zip(rows.tolist(), envs.tolist(), strict=True)):
            number, place = divmod(row, BLOCK)
            if (number, env) not in loaded:
                loaded[number, env] = self._load(number, env)
            found[index] = loaded[number, env][place]
        return found

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
        """The tokens, int64 (n, K): all that an agent over tokens needs."""
        return self._tokens.read(rows, envs).astype(np.int64)


@dataclass(frozen=True)
class Batch:
    """Transitions.

    Attributes:
        frames: uint8 (n, height, width, 3).
        actions: uint8 (n,).
        rewards: float32 (n,).
        terminated: bool (n,), the game ended with this step.
        truncated: bool (n,), the episode was cut after this step.
        next_frames: The frames after the actions.
    """

    frames: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_frames: np.ndarray


class ReplayBuffer:
    """A ring of what a vector environment went through, one row per step of all environments.

    A frame is kept once, though it is the next frame of one step and the frame of the one after.
    The environments reset themselves in the step after an episode's end (gymnasium's default), so
    the row after an end holds the last frame and no step.
    """

    def __init__(self, frames: FrameStore, num_rows: int, num_envs: int):
        """Reserves the memory for `num_rows` rows; `frames` has as many."""
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
        """What one step of one environment takes."""
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
            frames: uint8 (num_envs, height, width, 3), what the agents saw.
            actions: Integers (num_envs,) in [0, 256), what they did.
            rewards: Floats (num_envs,), what it gave.
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
            raise ValueError(f"the buffer has {self._added} rows; add at least 3 before sampling")
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
        """Rows whose next row is known, and environments."""
        num_rows, num_envs = self._actions.shape
        ages = rng.integers(1, min(self._added, num_rows), size)
        return (self._added - 1 - ages) % num_rows, rng.integers(num_envs, size=size)


@dataclass(frozen=True)
class Arguments:
    """The command line; see `parse`."""

    game: str
    tokenizer: str
    untrained: bool
    steps: int
    num_envs: int
    batch_size: int
    batches: int
    seed: int
    device: str


@dataclass
class Figures:
    """What a buffer costs and gives back.

    Attributes:
        name: The buffer's.
        bytes_per_step: Frame, action, reward, ends.
        psnr: Mean over frames, dB.
        recall: Foreground recall; see tokenizer/metrics.py.
        steps_in: Steps per second that it takes in.
        steps_out: Steps per second that it samples, two frames each.
    """

    name: str
    bytes_per_step: float
    psnr: float
    recall: float
    steps_in: float
    steps_out: float


def main(arguments: Arguments) -> list[Figures]:
    """Fills the buffers, prints and returns the figures."""
    game = usual_name(arguments.game)
    tokenizer = load_tokenizer(game, arguments)
    shape, num_envs = tokenizer.frame_shape, arguments.num_envs
    env = gymnasium.make_vec(
        f"worldtokens/{game}",
        num_envs=num_envs,
        vectorization_mode="sync",
        frame_height=shape[0],
        frame_width=shape[1],
    )
    num_rows = -(-arguments.steps // num_envs)
    stores = {
        "uint8": PlainFrames(num_rows, num_envs, shape),
        "zlib": ZlibFrames(num_rows, num_envs, shape, np.dtype(np.uint8)),
        "tokens": TokenFrames(num_rows, num_envs, tokenizer),
    }
    buffers = {name: ReplayBuffer(store, num_rows, num_envs) for name, store in stores.items()}
    scenes, seconds = fill(env, game, buffers, num_rows, arguments.seed)
    env.close()
    figures = []
    for name, buffer in buffers.items():
        psnr, recall = compare(stores["uint8"], stores[name], scenes, game)
        figures.append(
            Figures(
                name=name,
                bytes_per_step=buffer.bytes_per_step,
                psnr=psnr,
                recall=recall,
                steps_in=num_rows * num_envs / seconds[name],
                steps_out=sampling_speed(buffer, arguments),
            )
        )
    print(f"{game}, {num_rows * num_envs} steps of random play, {num_envs} at once")
    print(table(figures))
    return figures


def load_tokenizer(game: str, arguments: Arguments) -> Tokenizer:
    """The trained tokenizer, or a fresh one, on the device."""
    torch.manual_seed(arguments.seed)
    if arguments.untrained:
        tokenizer = Tokenizer(TokenizerConfig())
    else:
        place = arguments.tokenizer or f"runs/{game}/tokenizer"
        tokenizer = Tokenizer.from_pretrained(place)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return tokenizer.to(arguments.device or device).eval()


def fill(
    env: gymnasium.vector.VectorEnv,
    game: str,
    buffers: dict[str, ReplayBuffer],
    num_rows: int,
    seed: int,
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
    """PSNR and foreground recall of what a store gives back, over evenly spaced frames."""
    chosen = np.linspace(0, scenes.size - 1, min(scenes.size, COMPARED_FRAMES)).astype(np.int64)
    rows, envs = np.unravel_index(chosen, scenes.shape)
    true, made, scene = original.read(rows, envs), store.read(rows, envs), scenes[rows, envs]
    score = score_rows(game, true.shape[1])
    mask = SceneBackgrounds.fit(true, scene, score).foreground(true, scene)
    recall = foreground_recall(true, made, mask, scene).overall
    return float(psnr_per_frame(true, made).mean()), recall


def sampling_speed(buffer: ReplayBuffer, arguments: Arguments) -> float:
    """Steps per second."""
    rng = np.random.default_rng(arguments.seed)
    buffer.sample(arguments.batch_size, rng)
    start = time.perf_counter()
    for _ in range(arguments.batches):
        buffer.sample(arguments.batch_size, rng)
    return arguments.batches * arguments.batch_size / (time.perf_counter() - start)


def table(figures: list[Figures]) -> str:
    """The figures as text, a row per buffer."""
    largest = max(figure.bytes_per_step for figure in figures)
    lines = [
        f"{'buffer':<8}{'bytes/step':>11}{'smaller':>9}{'PSNR':>9}{'recall':>8}"
        f"{'steps/s in':>12}{'steps/s out':>13}"
    ]
    for f in figures:
        psnr = f"{f.psnr:.1f} dB" if f.name == "tokens" else "exact"
        lines.append(
            f"{f.name:<8}{f.bytes_per_step:>11.1f}{largest / f.bytes_per_step:>8.0f}x{psnr:>9}"
            f"{f.recall:>8.3f}{f.steps_in:>12.0f}{f.steps_out:>13.0f}"
        )
    return "\n".join(lines)


def parse(words: list[str]) -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="A replay buffer of tokens beside one of frames.")
    parser.add_argument("--game", default="MontezumaRevenge", help="its usual name")
    parser.add_argument("--tokenizer", default="", help="folder, name or Hub repo id")
    parser.add_argument("--untrained", action="store_true", help="take fresh weights")
    parser.add_argument("--steps", type=int, default=8000, help="steps to play, and capacity")
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=64, help="steps per sample")
    parser.add_argument("--batches", type=int, default=20, help="samples to time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="", help="cpu, cuda ...; by default cuda if present")
    return Arguments(**vars(parser.parse_args(words)))


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")

"""Where the player is, read from decoded frames."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldtokens.collect import EpisodeSource
from worldtokens.envs import ram_labels
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model.data.segments import TokenDataset, TokenEpisode

BIN = 4  # RAM units; Atari's screen is 160 of them wide.
BINS = 256 // BIN
COLUMNS = 8
FRAMES = 6000
STEPS = 300
PASSES = 40
BATCH = 256
WIDTH = 96
PEAK = 2


class PositionProbe:
    """Reads a coordinate of the player, x or y, from what differs from the room's background.

    A frame is cut into cells, eight of them side by side. A small network looks at each cell that
    holds foreground, with half a cell around it, and says how sure it is that the player is there
    and at which x (or y); where none has half of what all cells say, the player is not seen. Since
    all that stands still is left out, few frames are enough to tell the player from enemies and
    doors.
    """

    def __init__(self, frame_shape: tuple[int, int, int], backgrounds: SceneBackgrounds):
        """Creates an untrained probe."""
        self._backgrounds = backgrounds
        self._cell = -(-frame_shape[1] // COLUMNS)
        self._rows = -(-frame_shape[0] // self._cell)
        self._locator = _Locator(self._rows * COLUMNS, (2 * self._cell) ** 2 * 4)

    @classmethod
    def fit(
        cls,
        frames: np.ndarray,
        scenes: np.ndarray,
        player: np.ndarray,
        backgrounds: SceneBackgrounds,
    ) -> "PositionProbe":
        """Trains a probe; the same frames give the same probe.

        Args:
            frames: uint8 (n, height, width, 3).
            scenes: int64 (n,).
            player: uint8 (n,), the RAM byte of the coordinate.
            backgrounds: Of the scenes.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            probe = cls(frames.shape[1:], backgrounds)
        cells = probe._cut(frames, scenes)
        first = np.searchsorted(cells.frame, np.arange(len(frames) + 1)).tolist()
        bins = torch.from_numpy(player.astype(np.int64) // BIN)
        rng = np.random.default_rng(0)
        weights = list(probe._locator.parameters())
        optimizer = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.05)
        # A few frames are soon memorised.
        steps = min(STEPS, -(-PASSES * len(frames) // BATCH))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
        for _ in range(steps):
            drawn = rng.integers(len(frames), size=BATCH)
            rows = np.concatenate([np.arange(first[n], first[n + 1]) for n in drawn.tolist()])
            held = [first[n + 1] - first[n] for n in drawn.tolist()]
            batch = cells.pick(rows, np.repeat(np.arange(BATCH), held))
            shares = probe._locator(batch, BATCH)
            loss = F.nll_loss((shares + 1e-9).log(), bins[drawn])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return probe

    @torch.no_grad()
    def read(self, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        """Reads the player's coordinate in RAM units, float32 (n,); NaN where it is not seen.

        Args:
            frames: uint8 (n, height, width, 3).
            scenes: Which background each frame has, int64 (n,).
        """
        shares = self._locator(self._cut(frames, scenes), len(frames))
        bins = torch.arange(BINS)
        # What other blobs vote for would pull a mean over all bins away from the peak.
        near = (bins - shares.argmax(dim=1, keepdim=True)).abs() <= PEAK
        peak = shares * near
        sure = peak.sum(dim=1)
        position = (peak @ (bins * BIN + (BIN - 1) / 2)) / sure
        # Where the player is not in the picture, nothing says where it is: no peak stands out.
        return torch.where(sure > 0.5, position, torch.nan).numpy()

    def _cut(self, frames: np.ndarray, scenes: np.ndarray) -> "_Cells":
        """Cuts out the cells that hold foreground, in the order of the frames."""
        cell, half = self._cell, self._cell // 2
        mask = self._backgrounds.foreground(frames, scenes)
        inputs = np.concatenate([frames * mask[..., None], mask[..., None] * np.uint8(255)], axis=3)
        below = self._rows * cell - frames.shape[1]
        right = COLUMNS * cell - frames.shape[2]
        around = cell - half
        inputs = np.pad(inputs, ((0, 0), (half, below + around), (half, right + around), (0, 0)))
        mask = np.pad(mask, ((0, 0), (0, below), (0, right)))
        held = mask.reshape(len(frames), self._rows, cell, COLUMNS, cell).any(axis=(2, 4))
        frame, row, column = np.nonzero(held)
        windows = np.lib.stride_tricks.sliding_window_view(inputs, (2 * cell, 2 * cell), (1, 2))
        crops = windows[frame, row * cell, column * cell].reshape(len(frame), (2 * cell) ** 2 * 4)
        return _Cells(frame, row * COLUMNS + column, crops)


class _Cells:
    """Cells with foreground: their frame and position, int64 (m,), and pixels, uint8 (m, D)."""

    def __init__(self, frame: np.ndarray, position: np.ndarray, pixels: np.ndarray):
        self.frame = frame
        self.position = position
        self.pixels = pixels

    def pick(self, rows: np.ndarray, frame: np.ndarray) -> "_Cells":
        """Returns some cells, as cells of other frames."""
        return _Cells(frame, self.position[rows], self.pixels[rows])


class _Locator(nn.Module):
    """A mixture of distributions over bins: one of each cell, one of nothing to be seen."""

    def __init__(self, positions: int, inputs: int):
        super().__init__()
        self.first = nn.Linear(inputs, WIDTH)
        self.position = nn.Embedding(positions, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.score = nn.Linear(WIDTH, 1)
        self.bins = nn.Linear(WIDTH, BINS)
        self.column = nn.Embedding(COLUMNS, BINS)
        self.unseen = nn.Parameter(torch.zeros(BINS))
        nn.init.normal_(self.position.weight, std=0.1)
        nn.init.zeros_(self.column.weight)

    def forward(self, cells: _Cells, frames: int) -> Tensor:
        """Returns the share of each bin, float32 (frames, BINS)."""
        position, frame = torch.from_numpy(cells.position), torch.from_numpy(cells.frame)
        pixels = torch.from_numpy(cells.pixels).float() / 255
        hidden = F.relu(self.first(pixels) + self.position(position))
        hidden = F.relu(self.second(hidden))
        # Bounded, so that no exponential overflows.
        weight = (10 * torch.tanh(self.score(hidden) / 10)).exp()
        bins = (self.bins(hidden) + self.column(position % COLUMNS)).softmax(dim=1)
        total = 1 + torch.zeros(frames, 1).index_add(0, frame, weight)
        votes = self.unseen.softmax(dim=0) + torch.zeros(frames, BINS).index_add(
            0, frame, weight * bins
        )
        return votes / total


def label_byte(game: str, label: str) -> int | None:
    """Returns the RAM byte of a label; None where the game has no such label."""
    return ram_labels(game).get(label)


def fit_probes(
    dataset: EpisodeSource,
    tokens: TokenDataset,
    tokenizer: Tokenizer,
    backgrounds: SceneBackgrounds,
) -> dict[str, PositionProbe]:
    """Fits probes of x and y, as far as the game has labels for its player, to training episodes.

    They learn from frames as the tokenizer decodes them, since they will read decoded dreams.

    Args:
        dataset: The training episodes; has the RAM.
        tokens: The same as tokens.
        tokenizer: Decodes them.
        backgrounds: Of the scenes.
    """
    labelled = {axis: label_byte(dataset.game, f"player_{axis}") for axis in "xy"}
    known = {axis: byte for axis, byte in labelled.items() if byte is not None}
    if not known:
        return {}
    numbers = np.concatenate([e.first_frame + np.arange(len(e.tokens)) for e in tokens.episodes])
    frames = np.concatenate([episode.tokens for episode in tokens.episodes])
    chosen = np.random.default_rng(0).permutation(len(numbers))[:FRAMES]
    ram = dataset.read("ram", 0, dataset.num_frames)[numbers[chosen]]
    decoded = tokenizer.decode(frames[chosen].astype(np.int64)).cpu().numpy()
    scenes = dataset.scene[numbers[chosen]]
    return {
        axis: PositionProbe.fit(decoded, scenes, ram[:, byte], backgrounds)
        for axis, byte in known.items()
    }


def probe_metrics(
    probe: PositionProbe | None,
    tokenizer: Tokenizer,
    dataset: EpisodeSource,
    episodes: Sequence[TokenEpisode],
    max_frames: int = 1000,
) -> dict[str, float]:
    """Measures how well the probe of x reads reconstructions of true frames.

    Args:
        probe: Of x; None gives no metrics.
        tokenizer: Decodes the tokens.
        dataset: Has the RAM.
        episodes: Its episodes as tokens.
        max_frames: Reads at most so many frames, evenly.

    Returns:
        probe_seen, the share of frames in which it finds the player; probe_error, the mean error
        there in RAM units; probe_error_pixels, in pixels of the frame where the RAM counts the
        screen's 160 columns, as Montezuma's does; probe_within_4, the share of all frames in which
        it is at most 4 RAM units off, which is what one step moves the player.
    """
    byte = label_byte(dataset.game, "player_x")
    if probe is None or byte is None:
        return {}
    numbers = np.concatenate([e.first_frame + np.arange(len(e.tokens)) for e in episodes])
    tokens = np.concatenate([episode.tokens for episode in episodes])
    chosen = np.unique(np.linspace(0, len(numbers) - 1, max_frames).astype(int))
    frames = tokenizer.decode(tokens[chosen].astype(np.int64)).cpu().numpy()
    true = dataset.read("ram", 0, dataset.num_frames)[numbers[chosen], byte]
    error = np.abs(probe.read(frames, dataset.scene[numbers[chosen]]) - true)
    mean = float(np.nanmean(error)) if not np.isnan(error).all() else float("nan")
    return {
        "probe_seen": float((~np.isnan(error)).mean()),
        "probe_error": mean,
        "probe_error_pixels": mean * dataset.frame_shape[1] / 160,
        "probe_within_4": float((error <= 4).mean()),
    }

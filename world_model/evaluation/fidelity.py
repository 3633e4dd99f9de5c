"""How far open-loop dreams stay true, by horizon and by room."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from worldtokens.collect import EpisodeSource
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model.evaluation.metrics import (
    ALL_ROOMS,
    Fidelity,
    FramePrediction,
    FrameScores,
    pool_scores,
    score_frames,
)
from worldtokens.world_model.evaluation.open_loop import OpenLoop
from worldtokens.world_model.evaluation.probe import PositionProbe, label_byte


def measure_fidelity(
    open_loop: OpenLoop,
    tokenizer: Tokenizer,
    dataset: EpisodeSource,
    backgrounds: SceneBackgrounds,
    horizons: Sequence[int],
    probe: PositionProbe | None = None,
) -> list[Fidelity]:
    """Compares dreams, the last frame repeated and the tokenizer's ceiling with the truth.

    Args:
        open_loop: The dreams.
        tokenizer: Decodes them.
        dataset: The episodes that they started from.
        backgrounds: Says which pixels are foreground.
        horizons: Steps after the last known frame at which to compare.
        probe: Reads where the player is; None for games that do not say.

    Returns:
        Per horizon and predictor one row for all rooms (room -1) and one per room of the start.
        The predictors are those of `Fidelity.predictor`; `best` where each start has several
        dreams.
    """
    scorer = HorizonScorer(open_loop, tokenizer, dataset, backgrounds, probe)
    starts = slice(None, None, open_loop.samples)
    reached = [h for h in horizons if open_loop.truth.mask[:, open_loop.context + h - 1].any()]
    scores = {horizon: scorer.scores(horizon) for horizon in reached}
    dreams = {horizon: by_predictor["dream"] for horizon, by_predictor in scores.items()}
    best = _best_samples(open_loop, dreams)
    rooms = dataset.scene[open_loop.frame_numbers[starts, open_loop.context - 1]]
    rows = []
    for horizon, by_predictor in scores.items():
        alive = open_loop.truth.mask[starts, open_loop.context + horizon - 1].numpy()
        if open_loop.samples > 1:
            (number,) = np.nonzero(alive)
            chosen = np.arange(len(number)) * open_loop.samples + best[number]
            by_predictor["best"] = by_predictor["dream"].pick(chosen)
        alive_rooms = rooms[alive]
        groups = [ALL_ROOMS]
        if len(np.unique(rooms)) > 1:
            groups += np.unique(alive_rooms).tolist()
        for room in groups:
            chosen = (alive_rooms == room) | (room == ALL_ROOMS)
            for name, all_scores in by_predictor.items():
                times = open_loop.samples if name == "dream" else 1
                rows.append(pool_scores(horizon, name, room, all_scores.pick(chosen.repeat(times))))
    return rows


def _best_samples(open_loop: OpenLoop, dreams: Mapping[int, FrameScores]) -> np.ndarray:
    """Finds each start's dream of least squared error over all horizons, int64 (starts,)."""
    total = np.zeros(len(open_loop.truth.tokens))
    for horizon, scores in dreams.items():
        alive = open_loop.truth.mask[:, open_loop.context + horizon - 1].numpy()
        total[alive] += scores.squared_error
    return total.reshape(-1, open_loop.samples).argmin(axis=1)


class HorizonScorer:
    """Scores all predictors at one horizon after the other; decodes each frame once."""

    def __init__(
        self,
        open_loop: OpenLoop,
        tokenizer: Tokenizer,
        dataset: EpisodeSource,
        backgrounds: SceneBackgrounds,
        probe: PositionProbe | None,
    ):
        """Reads and decodes the last known frames; arguments as of `measure_fidelity`."""
        self._open_loop = open_loop
        self._tokenizer = tokenizer
        self._dataset = dataset
        self._backgrounds = backgrounds
        self._probe = probe
        starts = slice(None, None, open_loop.samples)
        self._numbers = open_loop.frame_numbers[starts]
        last = open_loop.context - 1
        self._last_tokens = open_loop.truth.tokens[starts, last]
        self._last_frames = dataset.gather_frames(self._numbers[:, last])
        self._last_decoded = self._decode(self._last_tokens)
        self._player_byte = label_byte(dataset.game, "player_x") if probe is not None else None

    def scores(self, horizon: int) -> dict[str, FrameScores]:
        """Scores every predictor, on the starts whose episode reaches the horizon.

        Returns:
            Scores by predictor: of `dream` one per dream, of `copy` and `tokenizer` one per start.
        """
        samples = self._open_loop.samples
        step = self._open_loop.context + horizon - 1
        alive = self._open_loop.truth.mask[::samples, step]
        numbers = self._numbers[alive.numpy(), step]
        scenes = self._dataset.scene[numbers]
        true = self._truth(alive, step, numbers)
        dream_scenes = scenes.repeat(samples)
        dream = self._dream(alive.repeat_interleave(samples), horizon, dream_scenes)
        copy, ceiling = self._copy(alive, scenes), self._ceiling(true, scenes)
        return {
            "dream": score_frames(true.repeat(samples), dream, dream_scenes, self._backgrounds),
            "copy": score_frames(true, copy, scenes, self._backgrounds),
            "tokenizer": score_frames(true, ceiling, scenes, self._backgrounds),
        }

    def _truth(self, alive: Tensor, step: int, numbers: np.ndarray) -> FramePrediction:
        truth, samples = self._open_loop.truth, self._open_loop.samples
        return FramePrediction(
            frames=self._dataset.gather_frames(numbers),
            tokens=truth.tokens[::samples, step][alive].numpy(),
            player_x=self._true_x(numbers),
        )

    def _dream(self, alive: Tensor, horizon: int, scenes: np.ndarray) -> FramePrediction:
        tokens = self._open_loop.rollout.tokens[alive, horizon - 1]
        frames = self._decode(tokens)
        return FramePrediction(
            frames=frames,
            tokens=tokens.numpy(),
            player_x=self._read_x(frames, scenes),
        )

    def _copy(self, alive: Tensor, scenes: np.ndarray) -> FramePrediction:
        """Returns the last known frame."""
        return FramePrediction(
            frames=self._last_frames[alive.numpy()],
            tokens=self._last_tokens[alive].numpy(),
            player_x=self._read_x(self._last_decoded[alive.numpy()], scenes),
        )

    def _ceiling(self, true: FramePrediction, scenes: np.ndarray) -> FramePrediction:
        """Returns the reconstruction of the true frame."""
        frames = self._decode(true.tokens)
        return FramePrediction(
            frames=frames,
            tokens=true.tokens,
            player_x=self._read_x(frames, scenes),
        )

    def _decode(self, tokens: Tensor | np.ndarray) -> np.ndarray:
        return self._tokenizer.decode(tokens).cpu().numpy()

    def _read_x(self, frames: np.ndarray, scenes: np.ndarray) -> np.ndarray:
        if self._probe is None:
            return np.full(len(frames), np.nan, np.float32)
        return self._probe.read(frames, scenes)

    def _true_x(self, numbers: np.ndarray) -> np.ndarray:
        if self._player_byte is None:
            return np.full(len(numbers), np.nan, np.float32)
        rows = [self._dataset.read("ram", n, n + 1)[0, self._player_byte] for n in numbers.tolist()]
        return np.array(rows, np.float32)

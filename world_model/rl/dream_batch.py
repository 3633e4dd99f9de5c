"""Dreams that go on side by side, each with a random stream of its own."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from worldtokens.common.checks import check_at_least
from worldtokens.world_model.imagination.rollout import ImaginedFrame
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.imagination.state import ImaginationState
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.starts import Starts

Seed = int | Sequence[int | None] | None


class DreamBatch:
    """A batch of dreams that begin at different times.

    Attributes:
        tokens: Where the dreams are, int64 (n, K); only there after `begin`.
        state: What came before; None before `begin`.
    """

    tokens: Tensor

    def __init__(
        self,
        world_model: WorldModel,
        starts: Starts,
        size: int,
        context: int,
        sampling: Sampling,
        outcomes: Sampling | None,
        with_entropy: bool,
    ):
        """Seeds the streams at random; the arguments are those of `ImaginedVectorEnv`."""
        self.state: ImaginationState | None = None
        self._imaginer = world_model.eval().imaginer
        self._device = world_model.device
        self._starts = starts
        self._size = size
        self._context = context
        self._sampling = sampling
        self._outcomes = outcomes
        self._with_entropy = with_entropy
        self._rngs = [np.random.default_rng()] * size
        self._generators = [torch.Generator()] * size
        self.seed(None)

    def seed(self, seed: Seed, rows: Iterable[int] | None = None) -> None:
        """Seeds all streams, or those of `rows`.

        Args:
            seed: Of the first stream, the others count up from it; or one per stream.
            rows: Which streams to change.

        Raises:
            ValueError: Another number of seeds, or one that is no whole number of at least 0.
        """
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str | bytes):
            seeds = list(seed)
        elif seed is None:
            seeds = [None] * self._size
        else:
            check_at_least(0, seed=seed)
            seeds = [int(seed) + index for index in range(self._size)]
        for one in seeds:
            if one is not None:
                check_at_least(0, seed=one)
        if len(seeds) != self._size:
            raise ValueError(f"seed: expected {self._size} of them, got {len(seeds)}")
        for row in range(self._size) if rows is None else rows:
            rng = np.random.default_rng(seeds[row])
            self._rngs[row] = rng
            self._generators[row] = torch.Generator().manual_seed(int(rng.integers(2**62)))

    def begin(self) -> None:
        """Starts all dreams."""
        windows = self._draw(range(self._size))
        # Dreams of one batch share a counter, so all read as many frames as the shortest has.
        length = min(len(tokens) for tokens, _ in windows)
        self.state = self._imaginer.new_state(self._size)
        tokens, actions = self._stack(windows, length)
        for t in range(length - 1):
            self._imaginer.read_known(tokens[:, t], actions[:, t], self.state)
        self.tokens = tokens[:, -1]

    def step(self, actions: np.ndarray) -> ImaginedFrame:
        """Dreams one step on under actions, int64 (n,)."""
        assert self.state is not None
        chosen = torch.from_numpy(actions).to(self._device)
        frame = self._imaginer.next_frame(
            self.tokens, chosen, self.state, self._sampling, self._generators, self._outcomes,
            self._with_entropy,
        )  # fmt: skip
        self.tokens = frame.tokens
        return frame

    def restart(self, rows: np.ndarray) -> None:
        """Starts some dreams anew, int64 (m,), while the others stay where they are."""
        assert self.state is not None
        windows = self._draw(rows.tolist())
        lengths = np.array([len(tokens) for tokens, _ in windows])
        self.tokens = self.tokens.clone()
        # Dreams that read as many known frames read them in one batch.
        for length in np.unique(lengths).tolist():
            (chosen,) = np.nonzero(lengths == length)
            tokens, actions = self._stack([windows[i] for i in chosen.tolist()], length)
            index = torch.from_numpy(rows[chosen]).to(self._device)
            # Dreams from one known frame have read nothing before their first step.
            if self.state.past_frames:
                self._imaginer.restart(self.state, index, tokens, actions)
            self.tokens[index] = tokens[:, -1]

    def _draw(self, rows: Iterable[int]) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._starts.draw(self._context, self._rngs[row]) for row in rows]

    def _stack(
        self, windows: list[tuple[np.ndarray, np.ndarray]], length: int
    ) -> tuple[Tensor, Tensor]:
        tokens = np.stack([tokens[-length:] for tokens, _ in windows])
        actions = np.stack([actions[len(actions) - length + 1 :] for _, actions in windows])
        device = self._device
        return torch.from_numpy(tokens).to(device), torch.from_numpy(actions).to(device)

"""Where the player is, read from tokens: does it move as the actions say?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from collect import EpisodeSource
from envs import ram_labels
from world_model.segments import TokenDataset, TokenEpisode

BIN = 4  # RAM units; Atari's screen is 160 of them wide.
BINS = 256 // BIN
STEPS = 300
BATCH = 256
RUN = 8
LEAST_MOVE = 4


class PositionProbe:
    """A classifier of the player's x, linear in the one-hot tokens of a frame.

    Every token at every place votes for bins of the RAM byte; the estimate is the expectation
    over the bins.
    """

    def __init__(self, tokens_per_frame: int, vocab_size: int):
        """Creates a probe that knows nothing."""
        self._offsets = torch.arange(tokens_per_frame) * vocab_size
        self._votes = nn.EmbeddingBag(tokens_per_frame * vocab_size, BINS, mode="sum", sparse=True)
        nn.init.zeros_(self._votes.weight)

    @classmethod
    def fit(cls, tokens: np.ndarray, player_x: np.ndarray, vocab_size: int) -> "PositionProbe":
        """Trains a probe.

        Args:
            tokens: Integers (n, K).
            player_x: uint8 (n,), the RAM byte.
            vocab_size: V.
        """
        probe = cls(tokens.shape[1], vocab_size)
        rng = np.random.default_rng(0)
        optimizer = torch.optim.SparseAdam(list(probe._votes.parameters()), lr=0.05)
        for _ in range(STEPS):
            rows = rng.integers(len(tokens), size=BATCH)
            logits = probe._logits(torch.from_numpy(tokens[rows].astype(np.int64)))
            loss = F.cross_entropy(logits, torch.from_numpy(player_x[rows].astype(np.int64)) // BIN)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return probe

    @torch.no_grad()
    def read(self, tokens: np.ndarray | Tensor) -> np.ndarray:
        """The player's x in RAM units, float32 (n,), from tokens (n, K)."""
        centres = torch.arange(BINS) * BIN + (BIN - 1) / 2
        logits = self._logits(torch.as_tensor(np.asarray(tokens).astype(np.int64)))
        return (logits.softmax(-1) @ centres).numpy()

    def _logits(self, tokens_nk: Tensor) -> Tensor:
        return self._votes(tokens_nk + self._offsets)


def label_byte(game: str, label: str) -> int | None:
    """The RAM byte of a label; None where the game's RAM was not labelled so."""
    return ram_labels(game).get(label)


def fit_probe(dataset: EpisodeSource, tokens: TokenDataset, vocab: int) -> PositionProbe | None:
    """A probe of training episodes; None where the game does not say where its player is."""
    byte = label_byte(dataset.game, "player_x")
    if byte is None:
        return None
    frames = np.concatenate([episode.tokens for episode in tokens.episodes])
    numbers = np.concatenate([e.first_frame + np.arange(len(e.tokens)) for e in tokens.episodes])
    player_x = dataset.read("ram", 0, dataset.num_frames)[numbers, byte]
    return PositionProbe.fit(frames, player_x, vocab)


@dataclass(frozen=True)
class SidewaysRun:
    """Some steps of an episode in which the player was steered to one side and went there.

    Attributes:
        episode: Where.
        first: First frame of the context; the run begins at its last.
        direction: 1 to the right, -1 to the left.
    """

    episode: TokenEpisode
    first: int
    direction: int


def find_runs(
    dataset: EpisodeSource, episodes: Sequence[TokenEpisode], context: int, most: int
) -> list[SidewaysRun]:
    """Finds runs of 8 steps: every action holds one side and the player goes there, in one room.

    Args:
        dataset: Has the RAM and the actions' names.
        episodes: Its episodes as tokens.
        context: Frames wanted up to the start of a run.
        most: Takes at most so many, evenly.
    """
    byte, room_byte = label_byte(dataset.game, "player_x"), label_byte(dataset.game, "room")
    if byte is None:
        return []
    sides = np.array([("RIGHT" in m) - ("LEFT" in m) for m in dataset.action_meanings])
    ram = dataset.read("ram", 0, dataset.num_frames)
    runs = []
    for episode in episodes:
        rows = ram[episode.first_frame : episode.first_frame + len(episode.tokens)]
        x, side = rows[:, byte].astype(int), sides[episode.actions]
        room = rows[:, room_byte] if room_byte is not None else np.zeros(len(rows))
        start = context - 1
        while start + RUN < len(rows):
            held, window = side[start], slice(start, start + RUN)
            moved = (x[start + RUN] - x[start]) * held
            same = (side[window] == held).all() and (
                room[start : start + RUN + 1] == room[start]
            ).all()
            if held and same and moved >= LEAST_MOVE:
                runs.append(SidewaysRun(episode, start + 1 - context, int(held)))
                start += RUN
            else:
                start += 1
    if len(runs) <= most:
        return runs
    return [runs[i * len(runs) // most] for i in range(most)]


def share_of_runs_followed(
    probe: PositionProbe, runs: Sequence[SidewaysRun], before: np.ndarray, after: np.ndarray
) -> float:
    """Share of runs in which the probe sees the player move the right way.

    Args:
        probe: Reads the player's x.
        runs: What was steered.
        before: Tokens (n, K) of the last known frames.
        after: Tokens (n, K) of the frames imagined 8 steps on.
    """
    moved = probe.read(after) - probe.read(before)
    directions = np.array([run.direction for run in runs])
    return float((moved * directions >= LEAST_MOVE / 2).mean())

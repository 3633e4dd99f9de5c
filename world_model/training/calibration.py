"""Calibrating rewards, lost lives and ends: as many are predicted as happen.

Windows around events are drawn more often in training, so a model expects more events than there
are. After training each head's logits are scaled and those of "something happens" shifted, by what
is likeliest for held-out steps as they come (temperature and bias as in Platt scaling, Guo et al.
2017, arXiv:1706.04599). Both go into the head's last layer: dreams cost nothing more.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldtokens.world_model.data.segments import TokenDataset, TokenSegments, stack_windows
from worldtokens.world_model.model import WorldModel

# Known frames before the first step that counts, steps of a window that count, windows at a time.
CONTEXT, STEPS, BATCH = 4, 8, 16
# Steps that are looked at; fewer events than that say too little to correct anything.
MAX_STEPS, MIN_EVENTS = 24_000, 10
# Logits are scaled by at most that much, up or down.
MAX_SCALE = 2.0


@dataclass(frozen=True)
class EventRate:
    """How often something happens in held-out steps, and how often a model expects it.

    Attributes:
        kind: reward, lost life or end.
        steps: Steps that were looked at.
        happened: In how many of them it happened.
        expected: Sum of the predicted probabilities.
    """

    kind: str
    steps: int
    happened: int
    expected: float


@dataclass(frozen=True)
class _Readings:
    """What a head says of n steps: logits float64 (n, classes), and what happened, bool (n,).

    Class number `nothing` stands for nothing.
    """

    kind: str
    logits: Tensor
    nothing: int
    happened: Tensor

    def odds(self, scale: float | Tensor = 1.0, shift: float | Tensor = 0.0) -> Tensor:
        """Returns the log-odds of something happening, float64 (n,)."""
        events = [c for c in range(self.logits.shape[1]) if c != self.nothing]
        logits = scale * self.logits
        return logits[:, events].logsumexp(dim=1) + shift - logits[:, self.nothing]

    def rate(self, scale: float = 1.0, shift: float = 0.0) -> EventRate:
        """Returns the rate of the head, or of the head after a correction."""
        expected = float(self.odds(scale, shift).sigmoid().sum())
        return EventRate(self.kind, len(self.logits), int(self.happened.sum()), expected)

    def fit(self) -> tuple[float, float]:
        """Returns the likeliest scale and shift."""
        position, shift = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in "ab")
        optimizer = torch.optim.LBFGS(
            [position, shift], max_iter=500, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def scale() -> Tensor:
            return MAX_SCALE ** torch.tanh(position)

        def loss() -> float:
            optimizer.zero_grad()
            odds, happened = self.odds(scale(), shift), self.happened.double()
            value = F.binary_cross_entropy_with_logits(odds, happened, reduction="sum")
            value.backward()
            return float(value.detach())

        optimizer.step(loss)
        return float(scale().detach()), float(shift.detach())


def measure_rates(model: WorldModel, heldout: TokenDataset) -> list[EventRate]:
    """Measures how often a model expects events, one step ahead of true frames.

    Args:
        model: Gives the probabilities.
        heldout: Episodes that it was not trained on, as they were recorded.
    """
    return [readings.rate() for readings, _ in _read_heads(model, heldout)]


def calibrate(model: WorldModel, heldout: TokenDataset) -> None:
    """Corrects the heads' last layers in place; prints a line for each that is corrected.

    A head stays as it is where fewer than `MIN_EVENTS` events were held out.

    Args:
        model: Whose heads are corrected.
        heldout: Episodes that it was not trained on, as they were recorded.
    """
    for readings, head in _read_heads(model, heldout):
        if readings.happened.sum() < MIN_EVENTS or readings.happened.all():
            continue
        scale, shift = readings.fit()
        before, after = readings.rate(), readings.rate(scale, shift)
        last = cast(nn.Linear, head[-1])
        with torch.no_grad():
            last.weight *= scale
            events = torch.arange(len(last.bias), device=last.bias.device) != readings.nothing
            last.bias.copy_(scale * last.bias + shift * events)
        print(
            f"{before.kind}: {before.happened} in {before.steps:,} held-out steps, expected "
            f"{before.expected:.1f}, after calibration {after.expected:.1f}",
            file=sys.stderr,
        )


def _read_heads(
    model: WorldModel, heldout: TokenDataset
) -> Iterator[tuple[_Readings, nn.Sequential]]:
    """Yields what each head says of the held-out steps, and the head."""
    network = model.network
    length = CONTEXT + STEPS
    if model.config.positions == "absolute":
        length = min(length, model.config.context)
    known = min(CONTEXT, length - 1)
    batches = _batches(heldout, known, length)
    parts = [_read_batch(model, batch, known) for batch in batches]
    nothing = model.config.reward_values.index(0.0)
    heads = [("reward", nothing, network.reward_head), ("end", 0, network.end_head)]
    if model.config.predicts_lives:
        heads.append(("lost life", 0, network.life_head))
    for kind, nothing, head in heads:
        logits, happened = (
            torch.cat(pieces) for pieces in zip(*(part[kind] for part in parts), strict=True)
        )
        yield _Readings(kind, logits, nothing, happened), head


@torch.no_grad()
def _read_batch(
    model: WorldModel, segments: TokenSegments, known: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Returns each head's logits of the steps that count, and what happened in them."""
    was_training = model.training
    model.eval()
    # Heads that read the next frame read the true one; others know the past alone.
    only_past = model.config.outcomes == "action"
    nowhere = torch.zeros_like(segments.tokens[:, 1:], dtype=torch.bool)
    here = segments.to(model.device)
    mask = None if not only_past else nowhere.to(model.device)
    prediction = model(here.tokens, here.actions, mask, from_prior=only_past)
    model.train(was_training)
    counts = segments.mask[:, 1:].clone()
    counts[:, : known - 1] = False
    known_end = counts & (segments.terminated | ~segments.truncated)
    readings = {
        "reward": (prediction.rewards, segments.rewards != 0, counts),
        "end": (prediction.ends, segments.terminated, known_end),
    }
    if prediction.lives_lost is not None:
        readings["lost life"] = (prediction.lives_lost, segments.lives_lost, counts)
    return {
        kind: (logits.cpu().double()[rows], happened[rows])
        for kind, (logits, happened, rows) in readings.items()
    }


def _batches(heldout: TokenDataset, known: int, length: int) -> Iterator[TokenSegments]:
    """Yields windows whose steps after the known frames cover the episodes evenly, each once."""
    steps = length - known
    windows = [
        (episode, first)
        for episode in heldout.episodes
        for first in range(0, max(1, len(episode) - known + 1), steps)
    ]
    stride = -(-len(windows) * steps // MAX_STEPS)
    windows = windows[:: max(1, stride)]
    for first in range(0, len(windows), BATCH):
        batch = windows[first : first + BATCH]
        yield stack_windows([e for e, _ in batch], [t for _, t in batch], length)

"""Linear probes: how well a linear classifier predicts the game's state from code vectors.

The protocol is that of AtariARI (Anand et al. 2019, arXiv 1906.08226, section 5): one linear
classifier per labelled byte of the RAM, on frozen features; bytes that rarely change are left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.pixels import scale_frames

LEAST_ENTROPY = 0.6
STEPS = 500
BATCH = 256
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-4
CHUNK = 256
# Largest size in bytes of features to keep in memory; larger ones are computed at each step.
LARGEST_CACHE = 2**30


@dataclass(frozen=True)
class ProbeFrames:
    """Frames and the labelled bytes of their RAM.

    Attributes:
        frames: uint8 (n, height, width, 3).
        labels: By name, uint8 (n,).
    """

    frames: np.ndarray
    labels: Mapping[str, np.ndarray]

    def take(self, index: np.ndarray) -> "ProbeFrames":
        """Selects frames by indices int64 (m,) or by a mask bool (n,)."""
        labels = {name: values[index] for name, values in self.labels.items()}
        return ProbeFrames(self.frames[index], labels)


@dataclass(frozen=True)
class ProbeScores:
    """Macro F1 of each label, for each kind of features.

    Attributes:
        codes: By label, from the tokenizer's code vectors.
        majority: By label, of always predicting the most frequent value.
        random_cnn: By label, from an untrained convolutional network.
    """

    codes: dict[str, float]
    majority: dict[str, float]
    random_cnn: dict[str, float]


def score_probes(tokenizer: Tokenizer, train: ProbeFrames, test: ProbeFrames) -> ProbeScores:
    """Fits probes on training frames and scores them on others.

    Test frames that occur among the training frames are left out, and labels whose entropy over the
    training frames is below 0.6 nats.
    """
    known = {frame.tobytes() for frame in train.frames}
    test = test.take(np.array([frame.tobytes() not in known for frame in test.frames], bool))
    names = [name for name, values in train.labels.items() if entropy(values) >= LEAST_ENTROPY]
    if not names or not len(test.frames):
        return ProbeScores({}, {}, {})
    cnn = random_cnn().to(tokenizer.device)

    def code_vectors(tokens: np.ndarray) -> Tensor:
        return tokenizer.embed(tokens).flatten(1)

    @torch.no_grad()
    def cnn_features(frames: np.ndarray) -> Tensor:
        return cnn(scale_frames(torch.from_numpy(frames).to(tokenizer.device)))

    # Networks see each frame once, since they take most of the time.
    tokens = [tokenizer.encode(some.frames).cpu().numpy() for some in (train, test)]
    cached_cnn, cnn_inputs = _cached(cnn_features, [train.frames, test.frames])
    return ProbeScores(
        codes=_score(code_vectors, tokens, train, test, names),
        majority={
            name: macro_f1(test.labels[name], np.full(len(test.frames), _mode(train.labels[name])))
            for name in names
        },
        random_cnn=_score(cached_cnn, cnn_inputs, train, test, names),
    )


def entropy(values: np.ndarray) -> float:
    """Returns the entropy of the distribution of bytes (n,), in nats."""
    shares = np.bincount(values) / len(values)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the mean F1 of the values that occur in `true`."""
    scores = []
    for value in np.unique(true):
        hits = ((true == value) & (predicted == value)).sum()
        scores.append(2 * hits / ((true == value).sum() + (predicted == value).sum()))
    return float(np.mean(scores))


def random_cnn() -> nn.Module:
    """Makes an untrained network, always with the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )


def _cached(
    features: Callable[[np.ndarray], Tensor], frames: list[np.ndarray]
) -> tuple[Callable[[np.ndarray], Tensor], list[np.ndarray]]:
    """Computes features once, if they fit into the cache.

    Returns:
        A function from inputs to features, and the inputs: features if cached, else frames.
    """
    first = features(frames[0][:1])
    if sum(map(len, frames)) * first.numel() * first.element_size() > LARGEST_CACHE:
        return features, frames
    computed = [
        np.concatenate([features(part).cpu().numpy() for part in _chunks(some)]) for some in frames
    ]
    return lambda rows: torch.from_numpy(rows).to(first.device), computed


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _score(
    features: Callable[[np.ndarray], Tensor],
    inputs: list[np.ndarray],
    train: ProbeFrames,
    test: ProbeFrames,
    names: list[str],
) -> dict[str, float]:
    """Returns the macro F1 of linear classifiers, one per label.

    Args:
        features: Computes the features of some rows of the inputs.
        inputs: One row for each training frame, and one for each test frame.
        train: The labels to fit.
        test: The labels to predict.
        names: Names of the labels.
    """
    values = [np.unique(train.labels[name]) for name in names]
    targets = [
        np.searchsorted(known, train.labels[name])
        for name, known in zip(names, values, strict=True)
    ]
    predict = _fit(features, inputs[0], targets, [len(known) for known in values])
    chunks = [
        predict(inputs[1][start : start + CHUNK]) for start in range(0, len(inputs[1]), CHUNK)
    ]
    return {
        name: macro_f1(test.labels[name], known[np.concatenate([chunk[index] for chunk in chunks])])
        for index, (name, known) in enumerate(zip(names, values, strict=True))
    }


def _fit(
    features: Callable[[np.ndarray], Tensor],
    inputs: np.ndarray,
    targets: list[np.ndarray],
    sizes: list[int],
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Trains the classifiers together; returns a function from inputs to a class of each label."""
    first = features(inputs[:CHUNK])
    mean, spread = first.mean(0), first.std(0).clamp_min(1e-2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = nn.Linear(first.shape[1], sum(sizes)).to(first.device)
    # A quarter of the time goes into updating these millions of weights if it is not fused.
    optimizer = torch.optim.AdamW(
        linear.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )

    def logits(some: np.ndarray) -> tuple[Tensor, ...]:
        return linear((features(some) - mean) / spread).split(sizes, dim=1)

    @torch.no_grad()
    def predict(some: np.ndarray) -> list[np.ndarray]:
        return [part.argmax(1).cpu().numpy() for part in logits(some)]

    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        rows = rng.integers(len(inputs), size=BATCH)
        losses = [
            functional.cross_entropy(part, torch.from_numpy(target[rows]).to(part.device))
            for part, target in zip(logits(inputs[rows]), targets, strict=True)
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    return predict


def _mode(values: np.ndarray) -> int:
    return int(np.bincount(values).argmax())

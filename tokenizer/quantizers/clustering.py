"""Clustering of vectors, to start a codebook from data."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

ITERATIONS = 20
_ROWS = 8192


def k_means(vectors: Tensor, weights: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm from randomly drawn vectors; an empty cluster is drawn anew.

    Args:
        vectors: float32 (n, d); n may be less than `clusters`.
        weights: float (n,), not negative.
        clusters: Number of centers.
        generator: Draws the first centers.

    Returns:
        float32 (clusters, d).
    """

    def draw(count: int) -> Tensor:
        replacement = count > int((weights > 0).sum())
        return vectors[torch.multinomial(weights, count, replacement, generator=generator)]

    centers = draw(clusters)
    for _ in range(ITERATIONS):
        nearest = nearest_center(vectors, centers)
        sums = torch.zeros_like(centers).index_add_(0, nearest, vectors * weights[:, None])
        mass = weights.new_zeros(clusters).index_add_(0, nearest, weights)
        centers = sums / mass.clamp_min(1e-12)[:, None]
        empty = mass == 0
        centers[empty] = draw(int(empty.sum())) if empty.any() else centers[empty]
    return centers


def nearest_center(vectors: Tensor, centers: Tensor) -> Tensor:
    """Index of the center nearest to each vector: int64 (n,)."""
    half_norms = centers.square().sum(1) / 2
    return torch.cat([(rows @ centers.T - half_norms).argmax(1) for rows in vectors.split(_ROWS)])


def count_distinct(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The distinct rows of int8 tensors (n, d), and how often each occurs.

    Rows are compared by a hash of 64 bits.

    Returns:
        int8 (m, d), in the order of their hashes, and float32 (m,).
    """
    hashes = np.zeros(0, np.uint64)
    counts = np.zeros(0, np.int64)
    rows = None
    for chunk in chunks:
        new_rows = chunk.cpu().numpy()
        rows = new_rows[:0] if rows is None else rows
        new_hashes = _hash_rows(new_rows)
        all_hashes = np.concatenate([hashes, new_hashes])
        all_counts = np.concatenate([counts, np.ones(len(new_rows), np.int64)])
        hashes, first, inverse = np.unique(all_hashes, return_index=True, return_inverse=True)
        counts = np.bincount(inverse, weights=all_counts).astype(np.int64)
        rows = np.concatenate([rows, new_rows])[first]
    assert rows is not None, "no chunks"
    return torch.from_numpy(rows), torch.from_numpy(counts).float()


def _hash_rows(rows: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each row of bytes (n, d)."""
    padded = np.zeros((len(rows), rows.shape[1] + -rows.shape[1] % 8), np.int8)
    padded[:, : rows.shape[1]] = rows
    words = padded.view(np.uint64)
    factors = np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64) * 2 + 1
    # High bits are folded down between two products, else those of a word would reach few bits.
    mixed = words * factors
    mixed ^= mixed >> np.uint64(32)
    return (mixed * factors[::-1]).sum(axis=1, dtype=np.uint64)

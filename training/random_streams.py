"""Random streams as functions of (seed, rank, step), so that a resumed run draws the same ones.

A stream that is derived again at each step has no state to save: step 700 draws the same batch and
the same dropout masks whether or not the run was interrupted before it, and every rank of a
distributed run draws others.
"""

import numpy as np
import torch


def step_rng(seed: int, rank: int, step: int) -> np.random.Generator:
    """Returns the generator that draws the batch of one step on one rank."""
    return np.random.default_rng((seed, rank, step))


def seed_torch(seed: int, rank: int, step: int) -> None:
    """Seeds torch's global generators (dropout) for one step on one rank."""
    (word,) = np.random.SeedSequence((seed, rank, step, 1)).generate_state(1, np.uint64)
    torch.manual_seed(int(word) & (2**63 - 1))

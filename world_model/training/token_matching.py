"""Which token of one tokenizer stands for what a token of another one stands for."""

import numpy as np
import torch
from torch import Tensor

from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.segments import TokenDataset


def check_grids(tokenizer: Tokenizer, other: Tokenizer) -> None:
    """Checks that both make the same grid of tokens of a frame.

    Args:
        tokenizer: Of the run.
        other: That of `init_tokenizer`.

    Raises:
        ValueError: Their grids differ.
    """
    if tokenizer.grid != other.grid:
        rows, columns = tokenizer.grid
        raise ValueError(
            f"init_tokenizer: expected a tokenizer with {rows} x {columns} tokens per frame like "
            f"that of tokenizer=, got one with {other.grid[0]} x {other.grid[1]}; leave out "
            "init_from and init_tokenizer"
        )


def match_tokens(data: TokenDataset, other: TokenDataset, vocab_size: int) -> Tensor:
    """Finds the partner of each token: the most frequent one at the same place of the same frame.

    Args:
        data: Episodes as tokens.
        other: The same episodes as tokens of another tokenizer with the same grid.
        vocab_size: Of the first.

    Returns:
        int64 (vocab_size,): a token of the other; -1 for tokens that no frame has. Of partners
        that are equally frequent it is the smallest.
    """
    mine, its = _all_tokens(data), _all_tokens(other)
    assert len(mine) == len(its)
    size = int(its.max()) + 1
    pairs, counts = np.unique(mine * size + its, return_counts=True)
    # Stable, so that the last write of each token below is its most frequent, smallest partner.
    order = np.argsort(counts[::-1], kind="stable")
    pairs = pairs[::-1][order]
    partners = np.full(vocab_size, -1, np.int64)
    partners[pairs // size] = pairs % size
    return torch.from_numpy(partners)


def _all_tokens(data: TokenDataset) -> np.ndarray:
    return np.concatenate([episode.tokens.ravel() for episode in data.episodes]).astype(np.int64)

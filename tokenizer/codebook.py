"""A smaller codebook: the codes that frames use, of a trained tokenizer with learned codes."""

import dataclasses

import torch
from torch import Tensor

from worldtokens.collect import EpisodeSource
from worldtokens.common.checks import check_at_least
from worldtokens.tokenizer.autoencoder import Tokenizer

CHUNK = 2048


def count_codes(tokenizer: Tokenizer, dataset: EpisodeSource, every: int = 1) -> Tensor:
    """Counts how often frames of a dataset use each code.

    Args:
        tokenizer: A trained one.
        dataset: With frames of its size.
        every: Only each so many-th frame is encoded.

    Returns:
        int64 (vocab_size,).
    """
    check_at_least(1, every=every)
    rows = torch.arange(0, dataset.num_frames, every).numpy()
    counts = torch.zeros(tokenizer.vocab_size, dtype=torch.int64)
    for start in range(0, len(rows), CHUNK):
        tokens = tokenizer.encode(dataset.gather_frames(rows[start : start + CHUNK]))
        counts += tokens.flatten().cpu().bincount(minlength=tokenizer.vocab_size)
    return counts


@torch.no_grad()
def keep_frequent_codes(tokenizer: Tokenizer, counts: Tensor, size: int) -> Tokenizer:
    """Copies a tokenizer with its most frequent codes only.

    A patch whose code is left out gets the nearest of the others. The copy's tokens are numbered
    by how frequent they are, so a world model on the tokens of the original does not fit. Moving
    averages of the codes are left out, which halves the codebook's file: should the copy be
    trained further, its codes follow gradients.

    Args:
        tokenizer: With quantizer=vq and one token per place.
        counts: int64 (vocab_size,), how often each code is used; see `count_codes`.
        size: Codes of the copy.

    Returns:
        The copy. Metrics, which were measured with all codes, are not in its facts.

    Raises:
        ValueError: Another quantizer, counts of another vocabulary, or not so many codes.
    """
    config = tokenizer.config
    if config.quantizer != "vq" or len(tokenizer.quantizers) > 1 or config.residual_depth > 1:
        raise ValueError(
            "tokenizer: expected one with quantizer=vq and one level, got quantizer="
            f"{config.quantizer} with {len(tokenizer.quantizers)} levels and "
            f"residual_depth={config.residual_depth}"
        )
    if counts.shape != (config.codebook_size,):
        raise ValueError(
            f"counts: expected {config.codebook_size} numbers, one for each code, got shape "
            f"{tuple(counts.shape)}; count with count_codes"
        )
    if not 2 <= size <= config.codebook_size:
        raise ValueError(
            f"size: expected a whole number from 2 to {config.codebook_size}, got {size}"
        )
    kept = counts.argsort(descending=True, stable=True)[:size]
    smaller = Tokenizer(dataclasses.replace(config, codebook_size=size, codebook_update="gradient"))
    weights = {}
    for name in smaller.state_dict():
        value = tokenizer.state_dict()[name]
        weights[name] = value[kept.to(value.device)] if name.startswith("quantizers.") else value
    smaller.load_state_dict(weights)
    smaller.facts = dataclasses.replace(tokenizer.facts, metrics={})
    return smaller.eval()

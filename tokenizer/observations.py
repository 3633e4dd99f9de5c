"""Observations of an agent: the tokens of a frame, their code vectors, or the decoded frame."""

from typing import Literal, get_args

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from worldtokens.tokenizer.autoencoder import Tokenizer

ObservationMode = Literal["tokens", "embeddings", "frames"]
OBSERVATION_MODES: tuple[ObservationMode, ...] = get_args(ObservationMode)
# Codes embedded at once to find their bounds; for 64 tokens of 192 values these take 13 MB.
CODES_AT_ONCE = 256


def check_mode(mode: str) -> ObservationMode:
    """Returns the mode, if it is one.

    Raises:
        ValueError: It is none of OBSERVATION_MODES.
    """
    for known in OBSERVATION_MODES:
        if isinstance(mode, str) and mode == known:
            return known
    raise ValueError(f"observation: expected one of {OBSERVATION_MODES}, got {mode!r}")


def observe(tokenizer: Tokenizer, tokens: Tensor, mode: ObservationMode) -> np.ndarray:
    """Turns tokens of frames into an agent's observations, in main memory.

    Args:
        tokenizer: The tokenizer of the tokens.
        tokens: int64 (..., K).
        mode: "tokens", int64 (..., K); "embeddings", float32 (..., K, D); or "frames", decoded,
            uint8 (..., height, width, 3).
    """
    if mode == "embeddings":
        return tokenizer.embed(tokens).cpu().numpy()
    if mode == "frames":
        return tokenizer.decode(tokens).cpu().numpy()
    return tokens.cpu().numpy()


def observation_space(tokenizer: Tokenizer, mode: ObservationMode) -> spaces.Space:
    """Returns the space of one environment's observations.

    For "tokens" MultiDiscrete, int64 (K,); for "embeddings" Box, float32 (K, D) between the
    smallest and the largest code in each dimension; for "frames" Box, uint8 (height, width, 3).
    """
    if mode == "tokens":
        sizes = np.full(tokenizer.tokens_per_frame, tokenizer.vocab_size)
        return spaces.MultiDiscrete(sizes, dtype=np.int64)
    if mode == "frames":
        return spaces.Box(0, 255, tokenizer.frame_shape, np.uint8)
    return spaces.Box(*_bounds(tokenizer), dtype=np.float32)


def _bounds(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Returns the least and largest coordinates of all codes at each position, float32 (K, D)."""
    lows, highs = [], []
    for codes in torch.arange(tokenizer.vocab_size).split(CODES_AT_ONCE):
        vectors = tokenizer.embed(codes[:, None].expand(-1, tokenizer.tokens_per_frame))
        lows.append(vectors.amin(0).cpu())
        highs.append(vectors.amax(0).cpu())
    return torch.stack(lows).amin(0).numpy(), torch.stack(highs).amax(0).numpy()

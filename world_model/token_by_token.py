"""How an autoregressive dream draws a frame's tokens, each in view of those before it.

Most tokens of a game stay as they were, so the frame before is a good guess of this one. One pass
reads a whole guess and foretells every token as if those before it were right; all tokens up to the
first wrong guess then are what drawing one by one would have drawn, since each is a function of the
tokens before it and of a random number that is its own (speculative decoding, arXiv:2211.17192,
with guesses that cost nothing). The pass after it starts there, with what was foretold as its
guess.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from world_model.drawing import Drawn, draw_tokens
from world_model.predictions import DreamMemory
from world_model.sampling import Sampling

# Tokens of all dreams together that a CPU passes through a layer in little more than the time of
# one, since reading the weights is what takes the time.
GUESSED_TOKENS = 64


def guesses(memory: DreamMemory, dreams: int, wanted: bool | None) -> bool:
    """Whether guessing saves time.

    Args:
        memory: Of the dreams.
        dreams: How many.
        wanted: True or False decides; None guesses for few dreams, on CPUs.
    """
    if wanted is not None:
        return wanted and memory.compiled is None
    on_cpu = memory.tables.inputs.device.type == "cpu"
    few = dreams * memory.network.config.tokens_per_frame <= GUESSED_TOKENS
    # Compiled passes have one shape, guesses have any length.
    return on_cpu and few and memory.compiled is None


def draw_guessing(
    first: Drawn,
    recent: Tensor,
    memory: DreamMemory,
    sampling: Sampling,
    level: Tensor | None,
    measure: bool,
) -> Drawn:
    """Draws the tokens of a frame after the first, with guesses.

    Args:
        first: The first token, drawn already.
        recent: What stood at each place before, int64 (B, K, back).
        memory: With the frame before and its action read.
        sampling: How tokens are drawn.
        level: Random numbers, float32 (B, K), see `draw_at`.
        measure: Whether to measure the entropy.
    """
    count, parts = recent.shape[1], [first]
    guess, known = recent[:, 1:, 0], 1
    while known < count:
        read = torch.cat((parts[-1].tokens[:, -1:], guess[:, :-1]), dim=1)
        place = memory.place
        x = memory.network.transformer.step(F.embedding(read, memory.tables.inputs), memory)
        ahead = None if level is None else level[:, known:]
        drawn = draw_tokens(x, recent[:, known:], memory, sampling, ahead, measure)
        right = (drawn.tokens == guess)[:, :-1].all(dim=0)
        settled = 1 + int(right.long().cumprod(dim=0).sum())
        parts.append(Drawn(*(getattr(drawn, name)[:, :settled] for name in vars(drawn))))
        guess = drawn.tokens[:, settled:]
        known += settled
        # What was read beyond is written over.
        memory.place = place + settled
    return _joined(parts)


def draw_one_by_one(
    first: Drawn,
    recent: Tensor,
    memory: DreamMemory,
    sampling: Sampling,
    level: Tensor | None,
    measure: bool,
) -> Drawn:
    """As `draw_guessing`, with a pass per token."""
    parts = [first]
    for place in range(1, recent.shape[1]):
        here = slice(place, place + 1)
        x = F.embedding(parts[-1].tokens, memory.tables.inputs)
        x = memory.network.transformer.step(x, memory)
        ahead = None if level is None else level[:, here]
        parts.append(draw_tokens(x, recent[:, here], memory, sampling, ahead, measure))
    return _joined(parts)


def _joined(parts: list[Drawn]) -> Drawn:
    names = vars(parts[0])
    return replace(
        parts[0], **{name: torch.cat([getattr(p, name) for p in parts], dim=1) for name in names}
    )

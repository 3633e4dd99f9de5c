"""How an autoregressive dream draws a frame's tokens, each in view of those before it.

Most tokens of a game stay as they were, so the frame before is a good guess of this one. One pass
reads a whole guess and foretells every token as if those before it were right; all tokens up to the
first wrong guess then are what drawing one by one would have drawn, since each is a function of the
tokens before it and of a random number that is its own (speculative decoding, arXiv:2211.17192,
with guesses that cost nothing). The pass after it starts there, with what was foretold as its
guess.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from worldtokens.world_model.imagination.decoding import Drawn, draw_tokens, joined
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.networks.predictions import DreamMemory

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
    # Compiled passes have one shape, guesses have any length.
    if memory.compiled is not None:
        return False
    if wanted is not None:
        return wanted
    few = dreams * memory.network.config.tokens_per_frame <= GUESSED_TOKENS
    return memory.tables.inputs.device.type == "cpu" and few


def draw_others(
    first: Drawn,
    recent: Tensor,
    memory: DreamMemory,
    sampling: Sampling,
    level: Tensor | None,
    measure: bool,
    guessing: bool,
) -> Drawn:
    """Draws the tokens of a frame after the first.

    Args:
        first: The first token, drawn already.
        recent: What stood at each place before, int64 (B, K, back).
        memory: With the frame before and its action read.
        sampling: How tokens are drawn.
        level: Random numbers, float32 (B, K), see `draw_at`.
        measure: Whether to measure the entropy.
        guessing: Whether a pass reads a guess of all that is left, or one token.
    """
    count, parts = recent.shape[1], [first]
    guess, known = recent[:, 1:, 0], 1
    while known < count:
        here = slice(known, count if guessing else known + 1)
        guess = guess[:, : here.stop - known]
        read = torch.cat((parts[-1].tokens[:, -1:], guess[:, :-1]), dim=1)
        place = memory.place
        x = memory.network.transformer.step(F.embedding(read, memory.tables.inputs), memory)
        ahead = None if level is None else level[:, here]
        drawn, settled = draw_tokens(x, recent[:, here], memory, sampling, ahead, measure), 1
        if guessing:
            right = (drawn.tokens == guess)[:, :-1].all(dim=0)
            settled += int(right.long().cumprod(dim=0).sum())
            # What was read beyond is written over.
            memory.place = place + settled
        parts.append(Drawn(*(getattr(drawn, name)[:, :settled] for name in vars(drawn))))
        guess = drawn.tokens[:, settled:]
        known += settled
    return joined(parts, dim=1)

"""What imagination returns: one imagined step, and a whole imagined future."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from worldtokens.tokenizer import Tokenizer
    from worldtokens.world_model.video.display import Clip


@dataclass(frozen=True)
class ImaginedFrame:
    """One imagined step: tokens int64 (B, K), rewards float32 (B,), ends and lives_lost bool (B,).

    `entropy`, float32 (B,), is the entropy of the token distributions, summed over the frame, in
    nats: how unsure the model was, before it refined anything. NaN where it was not computed.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    lives_lost: Tensor
    entropy: Tensor


@dataclass(frozen=True, repr=False)
class Rollout:
    """An imagined future.

    Frame h follows from action h. The dream goes on after an end; what follows it means nothing.

    Attributes:
        tokens: int64 (B, H, K).
        rewards: float32 (B, H).
        ends: bool (B, H), whether the game ended.
        lives_lost: bool (B, H), whether a life was lost; False throughout for models that do not
            predict lives.
    """

    tokens: Tensor
    rewards: Tensor
    ends: Tensor
    lives_lost: Tensor

    def show(self, tokenizer: "Tokenizer", fps: int = 15, scale: int = 4) -> "Clip":
        """Returns the dreams as a clip that a notebook plays, with rewards, lost lives and ends.

        Args:
            tokenizer: Decodes the tokens.
            fps: Frames per second.
            scale: Screen pixels per pixel.

        Raises:
            ValueError: The tokens are not this tokenizer's, or a number is out of range.
        """
        # Imported here, since agents that never look at a dream need no video encoder.
        from worldtokens.world_model.video.rollouts import show_rollout

        frames = tokenizer.decode(self.tokens)
        return show_rollout(frames, self.rewards, self.ends, self.lives_lost, fps, scale)

    def __repr__(self) -> str:
        """Counts dreams, frames, rewards, lost lives and ends in one line."""
        from worldtokens.world_model.video.rollouts import rollout_repr

        return rollout_repr(self.tokens, self.rewards, self.ends, self.lives_lost)

    def _repr_html_(self) -> str:
        from worldtokens.world_model.video.rollouts import rollout_html

        return rollout_html(self.rewards, self.ends, self.lives_lost)

"""The configuration of a world model: its architecture, tokenizer and game."""

import math
from dataclasses import dataclass, field

from worldtokens.common.checks import check_at_least
from worldtokens.common.field_types import check_field_types

PREDICTIONS = ("autoregressive", "parallel")
ATTENTIONS = ("full", "factorised")
POSITIONS = ("rotary", "absolute")
# Far above every real design; larger values, of a slip or in a damaged file, fill the memory.
LARGEST = {
    "context": 8192, "layers": 512, "heads": 1024, "width": 65536, "merge": 256, "history": 1024,
    "copies": 1024, "refine_layers": 512, "refine_passes": 1024, "latents": 1024,
    "latent_classes": 65536, "vocab_size": 2**24, "num_actions": 65536,
}  # fmt: skip
LARGEST_GRID = 4096
OUTCOMES = ("action", "frame")


@dataclass
class Architecture:
    """Shape of the transformer; the defaults are what train.py builds without a preset.

    Attributes:
        prediction: `autoregressive` predicts the tokens of a frame one after another (IRIS,
            arXiv:2209.00588, section 2.2); `parallel` predicts all of them in one pass, in the
            spirit of REM's parallel observation prediction (arXiv:2402.05643, section 3.2).
        attention: `full` attends to every token of the window; `factorised` attends within a
            frame, then to the same position in earlier frames; it needs parallel prediction.
        positions: `rotary` positions are relative, so the KV cache slides; `absolute` ones are
            learned for the context (as in IRIS), so the cache is emptied whenever it is full.
        context: Frames that a prediction sees, its own included: the length of the KV cache.
        layers: Transformer blocks.
        heads: Attention heads.
        width: Channels of the residual stream.
        merge: The transformer sees merge x merge tokens as one position; parallel prediction only.
        dropout: Share of activations dropped in training.
        history: Frames whose tokens a position embeds, its own and those before it, so that what
            moves shows in the first layer; above 1 with parallel prediction only.
        copies: How many frames back a position's token gets a learned logit bonus; 0 for none.
        stay_gate: Whether a separate gate predicts how likely a token stays as it was, in place of
            the newest frame's bonus (a hurdle model): the output layer is then needed only for
            tokens that change, one of ten, in training and in dreams. Needs copies.
        codes: Whether a token's vector is its code vector, projected, plus a learned vector.
        refine_layers: Blocks that predict some tokens of a frame again, given its others, see
            `Refiner`; 0 for none; parallel prediction only.
        refine_passes: How often a dream does so per frame; it may be changed after training.
        latents: Categorical codes that are drawn once for a whole frame, before its tokens, see
            `FrameLatents`; 0 for none; parallel prediction only.
        latent_classes: Classes of each code.
        latent_dropout: Share of the frames that training predicts without codes; above 0, greedy
            dreams do without them, too.
        outcomes: What rewards, lost lives and ends are predicted from: `action`, the past and the
            action; or `frame`, the frame that was drawn, too, which shows the score and what is
            carried; parallel prediction only.
        predicts_lives: Whether lost lives are predicted beside rewards and ends.
    """

    prediction: str = "parallel"
    attention: str = "factorised"
    positions: str = "rotary"
    context: int = 8
    layers: int = 4
    heads: int = 4
    width: int = 192
    merge: int = 2
    dropout: float = 0.0
    history: int = 4
    copies: int = 4
    stay_gate: bool = True
    codes: bool = True
    refine_layers: int = 0
    refine_passes: int = 3
    latents: int = 0
    latent_classes: int = 64
    latent_dropout: float = 0.0
    outcomes: str = "action"
    predicts_lives: bool = True

    def __post_init__(self) -> None:
        """Checks each field, and those that depend on each other."""
        check_field_types(self)
        for name, known in (
            ("prediction", PREDICTIONS),
            ("attention", ATTENTIONS),
            ("positions", POSITIONS),
            ("outcomes", OUTCOMES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {known}, got {getattr(self, name)!r}")
        for name, largest in LARGEST.items():
            value = getattr(self, name, 0)
            if value > largest:
                raise ValueError(f"{name}: expected at most {largest}, got {value}")
        names = ("context", "layers", "heads", "width", "merge", "history")
        check_at_least(1, **{name: getattr(self, name) for name in names})
        names = ("refine_layers", "refine_passes", "latents")
        check_at_least(0, **{name: getattr(self, name) for name in names})
        if self.copies < 0 or self.copies > self.context:
            raise ValueError(f"copies: expected 0 to context={self.context}, got {self.copies}")
        if self.stay_gate and not self.copies:
            raise ValueError("stay_gate=true needs copies of at least 1; use stay_gate=false")
        if self.stay_gate and self.refine_layers:
            raise ValueError(
                f"refine_layers={self.refine_layers} learns from tokens that stay, too; use "
                "stay_gate=false"
            )
        if self.refine_layers and self.prediction != "parallel":
            raise ValueError(
                f"refine_layers={self.refine_layers} needs prediction=parallel: an autoregressive "
                "model sees the tokens before anyway; use refine_layers=0"
            )
        if self.latents and self.latent_classes < 2:
            raise ValueError(f"latent_classes: expected at least 2, got {self.latent_classes}")
        if not 0.0 <= self.latent_dropout < 1.0:
            raise ValueError(
                f"latent_dropout: expected a share in [0, 1), got {self.latent_dropout}"
            )
        if self.latents and self.refine_layers:
            raise ValueError(
                f"latents={self.latents}: expected 0 beside refine_layers={self.refine_layers}, "
                "which has the same purpose; use refine_layers=0"
            )
        if self.prediction != "parallel" and (self.latents or self.outcomes == "frame"):
            raise ValueError(
                f"latents={self.latents} and outcomes={self.outcomes} need prediction=parallel; "
                "use latents=0 and outcomes=action with autoregressive"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")
        if self.width % self.heads or (self.width // self.heads) % 4:
            raise ValueError(
                f"width {self.width} over {self.heads} heads: each head needs a multiple of 4 "
                "channels; change width or heads"
            )
        if self.prediction == "autoregressive" and self.attention == "factorised":
            raise ValueError(
                "attention=factorised cannot show a token all of the frame before; "
                "use attention=full with prediction=autoregressive"
            )
        if self.prediction == "autoregressive" and (self.merge, self.history) != (1, 1):
            raise ValueError(
                f"merge={self.merge} and history={self.history} need prediction=parallel; use "
                "merge=1 and history=1 with autoregressive"
            )


def fitting_merge(merge: int, grid: tuple[int, int]) -> int:
    """Returns the largest number up to `merge` that divides both sides of a grid of tokens."""
    return next(n for n in range(merge, 0, -1) if grid[0] % n == 0 and grid[1] % n == 0)


@dataclass
class WorldModelConfig(Architecture):
    """An architecture, and the tokenizer and game that the model belongs to.

    Attributes:
        tokenizer: Fingerprint of the tokenizer whose tokens the model speaks.
        game: Game whose frames it dreams.
        vocab_size: Number of tokens V.
        grid: Rows and columns of a frame's tokens; K is their product.
        code_dim: Dimension of the tokenizer's code vectors that tokens are told apart by, beside
            a learned vector of each; 0 for learned vectors alone.
        num_actions: Number of actions A.
        reward_values: The rewards that the reward head tells apart, ascending. It classifies over
            them, so that rare large rewards keep their size and are never averaged with zero.
    """

    tokenizer: str = ""
    game: str = ""
    vocab_size: int = 512
    code_dim: int = 0
    grid: tuple[int, int] = (8, 8)
    num_actions: int = 18
    reward_values: list[float] = field(default_factory=lambda: [-1.0, 0.0, 1.0])

    def __post_init__(self) -> None:
        """Checks each field, and those that depend on each other."""
        super().__post_init__()
        # JSON knows no tuples.
        self.grid = (int(self.grid[0]), int(self.grid[1]))
        if not all(1 <= side <= LARGEST_GRID for side in self.grid):
            raise ValueError(
                f"grid: expected two whole numbers from 1 to {LARGEST_GRID}, got {self.grid}"
            )
        self.reward_values = [float(value) for value in self.reward_values]
        check_at_least(1, vocab_size=self.vocab_size, num_actions=self.num_actions)
        if not all(map(math.isfinite, self.reward_values)):
            raise ValueError(f"reward_values: expected finite values, got {self.reward_values}")
        if not self.reward_values or self.reward_values != sorted(set(self.reward_values)):
            raise ValueError(
                f"reward_values: expected ascending distinct values, got {self.reward_values}"
            )
        if self.grid[0] % self.merge or self.grid[1] % self.merge:
            fitting = fitting_merge(self.merge, self.grid)
            raise ValueError(
                f"merge: expected a divisor of both sides of the tokens' grid {self.grid}, got "
                f"{self.merge}; set model.merge={fitting}"
            )

    @property
    def tokens_per_frame(self) -> int:
        """K, the number of tokens of a frame."""
        return self.grid[0] * self.grid[1]

    @property
    def block_size(self) -> int:
        """Positions of one [frame | action] block inside the transformer."""
        return self.tokens_per_frame // self.merge**2 + 1

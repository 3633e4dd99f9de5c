"""The config of a prior over frames: its architecture, its tokenizer and its images."""

from dataclasses import dataclass, field

from worldtokens.common.checks import check_at_least
from worldtokens.common.field_types import check_field_types
from worldtokens.world_model.config import WorldModelConfig

CONDITIONS = ("none", "previous", "low_resolution", "images")


@dataclass
class PriorArchitecture:
    """Shape of the transformer.

    Attributes:
        layers: Transformer blocks.
        heads: Attention heads.
        width: Channels of the residual stream.
        dropout: Share of activations dropped in training.
        positions: `rotary` for RoPE, or `absolute` for a learned embedding of each position.
    """

    layers: int = 4
    heads: int = 4
    width: int = 192
    dropout: float = 0.0
    positions: str = "rotary"


@dataclass
class FramePriorConfig(PriorArchitecture):
    """An architecture, and the tokenizer and images that the prior belongs to.

    Attributes:
        tokenizer: Fingerprint of the tokenizer whose tokens the prior predicts.
        vocab_size: Number of tokens V.
        grid: Rows and columns of a frame's tokens; K is their product.
        classes: Names of the classes (rooms, labels) that frames can be drawn of; may be empty.
        condition: Which other image is given beside the class: `none`; `previous`, the frame
            before; `low_resolution`, a coarse version of the frame; or `images`, others of a user's
            own (segmentations, say).
        low_resolution: Factor by which `low_resolution` shrinks a frame's sides.
    """

    tokenizer: str = ""
    vocab_size: int = 512
    grid: tuple[int, int] = (8, 8)
    classes: list[str] = field(default_factory=list)
    condition: str = "none"
    low_resolution: int = 4

    def __post_init__(self) -> None:
        """Checks each field."""
        check_field_types(self)
        # JSON knows no tuples.
        self.grid = (int(self.grid[0]), int(self.grid[1]))
        if self.condition not in CONDITIONS:
            raise ValueError(f"condition: expected one of {CONDITIONS}, got {self.condition!r}")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: expected different names, got {self.classes}")
        check_at_least(1, low_resolution=self.low_resolution)
        _ = self.transformer

    @property
    def conditioned(self) -> bool:
        """Whether another image is given."""
        return self.condition != "none"

    @property
    def tokens_per_frame(self) -> int:
        """K, the number of tokens of a frame."""
        return self.grid[0] * self.grid[1]

    @property
    def transformer(self) -> WorldModelConfig:
        """The config of the world model's transformer: one or two blocks of K + 1 positions.

        Raises:
            ValueError: A field is out of range.
        """
        return WorldModelConfig(
            prediction="autoregressive", attention="full", positions=self.positions,
            context=2 if self.conditioned else 1, layers=self.layers, heads=self.heads,
            width=self.width, merge=1, dropout=self.dropout, history=1, copies=0,
            stay_gate=False, codes=False, vocab_size=self.vocab_size, grid=self.grid,
        )  # fmt: skip

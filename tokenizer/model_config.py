"""What a tokenizer is made of, as one flat dataclass that is stored beside its weights."""

from dataclasses import dataclass, field

NETWORKS = ("patch",)
QUANTIZERS = ("fsq",)


@dataclass
class TokenizerConfig:
    """The architecture of a tokenizer; the defaults are the `fast` preset.

    Attributes:
        frame_height: Pixels.
        frame_width: Pixels.
        network: One of NETWORKS.
        patch_size: Side of the square of pixels that one token stands for, in pixels.
        encoder_width: Channels of the encoder.
        encoder_depth: Residual blocks of the encoder.
        decoder_width: Channels of the decoder at the resolution of the tokens; half of it at twice
            that resolution.
        decoder_depth: Residual blocks of the decoder at the resolution of the tokens.
        decoder_fine_depth: Residual blocks of the decoder at twice that resolution.
        quantizer: One of QUANTIZERS.
        fsq_levels: Levels of each dimension of finite scalar quantization; their product is the
            size of the vocabulary.
    """

    frame_height: int = 64
    frame_width: int = 64
    network: str = "patch"
    patch_size: int = 8
    encoder_width: int = 256
    encoder_depth: int = 2
    decoder_width: int = 256
    decoder_depth: int = 3
    decoder_fine_depth: int = 3
    quantizer: str = "fsq"
    fsq_levels: list[int] = field(default_factory=lambda: [8, 8, 8])

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A field is out of its range; the message names it.
        """
        _check_choice("network", self.network, NETWORKS)
        _check_choice("quantizer", self.quantizer, QUANTIZERS)
        for name in ("frame_height", "frame_width", "patch_size", "encoder_width", "decoder_width"):
            _check_at_least(name, getattr(self, name), 1)
        for name in ("encoder_depth", "decoder_depth", "decoder_fine_depth"):
            _check_at_least(name, getattr(self, name), 0)
        for name in ("frame_height", "frame_width"):
            if getattr(self, name) % self.patch_size:
                raise ValueError(
                    f"{name}: expected a multiple of patch_size={self.patch_size}, "
                    f"got {getattr(self, name)}"
                )
        if self.patch_size % 4:
            raise ValueError(f"patch_size: expected a multiple of 4, got {self.patch_size}")
        if not self.fsq_levels or any(level < 2 for level in self.fsq_levels):
            raise ValueError(
                f"fsq_levels: expected whole numbers of at least 2, got {self.fsq_levels}"
            )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {choices}, got {value!r}")


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")

"""The architecture of a tokenizer, as one flat dataclass that is stored beside its weights."""

import math
from dataclasses import dataclass, field

from worldtokens.common.checks import check_at_least, check_probability, is_number
from worldtokens.common.field_types import check_field_types

NETWORKS = ("dictionary", "patch", "resnet", "vqgan", "vqvae", "vqvae2")
SCOPES = ("patch", "frame")
# Side of the square of pixels that the first convolution of the network "resnet" takes as one.
STEM = 4
QUANTIZERS = ("dictionary", "fsq", "lfq", "vq")
UPDATES = ("gradient", "ema")
# Far above every real design; larger values in a damaged file would fill the memory.
LARGEST = {
    "frame_height": 8192, "frame_width": 8192, "patch_size": 256, "encoder_width": 16384,
    "decoder_width": 16384, "code_dim": 16384, "latent_channels": 16384, "residual_depth": 64,
    "encoder_depth": 256, "decoder_depth": 256, "decoder_fine_depth": 256,
}  # fmt: skip
LARGEST_VOCABULARY = 2**24


@dataclass
class TokenizerConfig:
    """The architecture of a tokenizer; the defaults are the `fast` preset.

    It is stored with the weights. So that older files still load, a new field needs an entry in
    `Tokenizer.kind.legacy_values`: the value that files without it meant.

    Attributes:
        frame_height: Pixels, any number: see `padded_shape`.
        frame_width: Pixels.
        network: dictionary, patch, resnet, vqgan, vqvae or vqvae2.
        patch_size: Side of the square of pixels that one token stands for, in pixels.
        encoder_width: Channels of the encoder; of the first level of a VQGAN.
        encoder_depth: Residual blocks of the encoder; at each level of a VQGAN and of its decoder,
            which has one more.
        channel_multipliers: Channels of each level of a VQGAN or a "resnet" in units of
            encoder_width (of decoder_width in the decoder of "resnet"); between two levels the size
            is halved. The first level of "resnet" has a quarter of the frame's size.
        encoder_scope: What a token of the network "resnet" depends on: its own patch, or the frame.
        attention_resolutions: Heights at which a VQGAN has attention after each block, besides the
            one block of attention that it always has at the resolution of the tokens.
        latent_channels: Channels between a VQGAN's network and its latents.
        decoder_width: Channels of the decoder at the resolution of the tokens; half of it at twice
            that resolution.
        decoder_depth: Residual blocks of the decoder at the resolution of the tokens.
        decoder_fine_depth: Residual blocks of the decoder at twice that resolution.
        quantizer: dictionary, fsq, lfq or vq; a dictionary needs the network of that name.
        codebook_size: Number of codes of a quantizer with a codebook; a power of 2 for "lfq".
        code_dim: Dimension of latents and codes of "vq".
        codebook_update: How the codes of "vq" move: by gradient or as moving averages (ema).
        codebook_decay: Decay of the moving averages.
        codebook_dead_share: A code of "vq" that is used less than this share of an even use is
            moved to a latent.
        cosine_codes: Whether the latents and codes of "vq" are of length 1.
        residual_depth: Quantizers in a row, each of the residual of those before it; each position
            has as many tokens.
        fsq_levels: Levels of each dimension of finite scalar quantization; their product is the
            size of the vocabulary.
    """

    frame_height: int = 64
    frame_width: int = 64
    network: str = "dictionary"
    patch_size: int = 8
    encoder_width: int = 256
    encoder_depth: int = 2
    channel_multipliers: list[int] = field(default_factory=lambda: [1, 1, 1, 1, 1])
    encoder_scope: str = "patch"
    attention_resolutions: list[int] = field(default_factory=lambda: [16, 8])
    latent_channels: int = 512
    decoder_width: int = 64
    decoder_depth: int = 3
    decoder_fine_depth: int = 3
    quantizer: str = "dictionary"
    codebook_size: int = 8192
    code_dim: int = 64
    codebook_update: str = "ema"
    codebook_decay: float = 0.99
    codebook_dead_share: float = 0.03
    cosine_codes: bool = False
    residual_depth: int = 1
    fsq_levels: list[int] = field(default_factory=lambda: [8, 8, 8])

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: A field is out of its range; the message names it.
        """
        check_field_types(self)
        _check_choice("network", self.network, NETWORKS)
        _check_choice("quantizer", self.quantizer, QUANTIZERS)
        _check_choice("encoder_scope", self.encoder_scope, SCOPES)
        _check_choice("codebook_update", self.codebook_update, UPDATES)
        depths = ("encoder_depth", "decoder_depth", "decoder_fine_depth")
        for name, largest in LARGEST.items():
            _check_between(name, getattr(self, name), 0 if name in depths else 1, largest)
        check_probability(codebook_dead_share=self.codebook_dead_share)
        _check_between("codebook_size", self.codebook_size, 2, LARGEST_VOCABULARY)
        self._check_sizes()
        self._check_quantizer()

    @property
    def factor(self) -> int:
        """Side of the square of pixels under one position of the coarsest level."""
        halved = 2 ** (len(self.channel_multipliers) - 1)
        factors = {"resnet": STEM * halved, "vqgan": halved, "vqvae": 4, "vqvae2": 8}
        return factors.get(self.network, self.patch_size)

    @property
    def padded_shape(self) -> tuple[int, int]:
        """(height, width) that the network sees: the frame's, up to the next multiple of `factor`.

        Frames are padded at the bottom and at the right before they are encoded, and cut off after
        they are decoded.
        """
        height, width = (
            -(-size // self.factor) * self.factor for size in (self.frame_height, self.frame_width)
        )
        return height, width

    def _check_sizes(self) -> None:
        if self.patch_size % 4:
            raise ValueError(f"patch_size: expected a multiple of 4, got {self.patch_size}")
        if self.network not in ("resnet", "vqgan"):
            return
        multipliers = self.channel_multipliers
        if not 1 <= len(multipliers) <= 10 or not all(1 <= m <= 256 for m in multipliers):
            raise ValueError(
                "channel_multipliers: expected 1 to 10 whole numbers from 1 to 256, "
                f"got {multipliers}"
            )
        if self.network == "vqgan" and self.encoder_width % 32:
            raise ValueError(
                "encoder_width: expected a multiple of 32 for vqgan (its normalization has 32 "
                f"groups), got {self.encoder_width}"
            )

    def _check_quantizer(self) -> None:
        if not is_number(self.codebook_decay) or not 0.0 < self.codebook_decay < 1.0:
            raise ValueError(
                f"codebook_decay: expected a number in (0, 1), got {self.codebook_decay!r}"
            )
        if (self.network == "dictionary") != (self.quantizer == "dictionary"):
            raise ValueError(
                "quantizer: expected 'dictionary' with network=dictionary and only with it, got "
                f"quantizer={self.quantizer} with network={self.network}"
            )
        if self.quantizer == "dictionary" and self.residual_depth > 1:
            raise ValueError(
                f"residual_depth: expected 1 with a dictionary, got {self.residual_depth}"
            )
        if self.quantizer == "lfq" and self.codebook_size.bit_count() != 1:
            raise ValueError(
                f"codebook_size: expected a power of 2 for lfq, got {self.codebook_size}"
            )
        if not self.fsq_levels or any(level < 2 for level in self.fsq_levels):
            raise ValueError(
                f"fsq_levels: expected whole numbers of at least 2, got {self.fsq_levels}"
            )
        if math.prod(self.fsq_levels) > LARGEST_VOCABULARY:
            raise ValueError(
                f"fsq_levels: expected a product of at most {LARGEST_VOCABULARY}, "
                f"got {self.fsq_levels}"
            )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {choices}, got {value!r}")


def _check_between(name: str, value: int, least: int, largest: int) -> None:
    check_at_least(least, **{name: value})
    if value > largest:
        raise ValueError(f"{name}: expected at most {largest}, got {value}")

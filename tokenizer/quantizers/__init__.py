"""Quantizers: from latents to code vectors and tokens."""

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer
from worldtokens.tokenizer.quantizers.dictionary import Dictionary
from worldtokens.tokenizer.quantizers.fsq import FSQ
from worldtokens.tokenizer.quantizers.lfq import LFQ
from worldtokens.tokenizer.quantizers.residual import Residual
from worldtokens.tokenizer.quantizers.vq import VQ

__all__ = [
    "FSQ",
    "LFQ",
    "VQ",
    "Dictionary",
    "Quantized",
    "Quantizer",
    "Residual",
    "build_quantizer",
]


def build_quantizer(config: TokenizerConfig) -> Quantizer:
    """Builds the quantizer of one level that `config` names."""
    if config.residual_depth > 1:
        return Residual(lambda: _build_stage(config), config.residual_depth)
    return _build_stage(config)


def _build_stage(config: TokenizerConfig) -> Quantizer:
    if config.quantizer == "dictionary":
        return Dictionary(config.codebook_size, 3 * config.patch_size**2)
    if config.quantizer == "lfq":
        return LFQ(config.codebook_size.bit_length() - 1)
    if config.quantizer == "vq":
        return VQ(
            config.codebook_size,
            config.code_dim,
            update=config.codebook_update,
            decay=config.codebook_decay,
            is_cosine=config.cosine_codes,
            dead_share=config.codebook_dead_share,
        )
    assert config.quantizer == "fsq"
    return FSQ(config.fsq_levels)

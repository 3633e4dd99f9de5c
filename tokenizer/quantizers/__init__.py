"""Quantizers: latents in, code vectors and tokens out."""

from tokenizer.model_config import TokenizerConfig
from tokenizer.quantizers.base import Quantized, Quantizer
from tokenizer.quantizers.fsq import FSQ

__all__ = ["FSQ", "Quantized", "Quantizer", "build_quantizer"]


def build_quantizer(config: TokenizerConfig) -> Quantizer:
    """The quantizer that `config` names."""
    assert config.quantizer == "fsq"
    return FSQ(config.fsq_levels)

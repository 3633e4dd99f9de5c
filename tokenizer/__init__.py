"""Frame tokenizers: autoencoders that turn a frame into a few discrete tokens and back."""

from tokenizer.autoencoder import Tokenizer
from tokenizer.model_config import TokenizerConfig

__all__ = ["Tokenizer", "TokenizerConfig"]

"""Frame tokenizers: autoencoders that turn a frame into a few discrete tokens and back."""

from worldtokens.tokenizer.autoencoder import Tokenizer
from worldtokens.tokenizer.config import TokenizerConfig

__all__ = ["Tokenizer", "TokenizerConfig"]

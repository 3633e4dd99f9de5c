"""Networks: pixels to latents, code vectors to pixels."""

from tokenizer.model_config import TokenizerConfig
from tokenizer.networks.base import Network
from tokenizer.networks.patch import DictionaryNetwork, PatchNetwork

__all__ = ["DictionaryNetwork", "Network", "PatchNetwork", "build_network"]


def build_network(config: TokenizerConfig, latent_dim: int, code_dim: int) -> Network:
    """The network that `config` names, for a quantizer of these sizes."""
    if config.network == "dictionary":
        return DictionaryNetwork(config)
    assert config.network == "patch"
    return PatchNetwork(config, latent_dim, code_dim)

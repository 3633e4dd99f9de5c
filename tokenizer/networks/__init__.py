"""Networks: pixels to latents, code vectors to pixels."""

from tokenizer.model_config import TokenizerConfig
from tokenizer.networks.base import Network
from tokenizer.networks.patch import DictionaryNetwork, PatchNetwork
from tokenizer.networks.vqgan import VQGANNetwork
from tokenizer.networks.vqvae import VQVAE2Network, VQVAENetwork

__all__ = ["Network", "build_network"]

_NETWORKS = {
    "patch": PatchNetwork,
    "vqgan": VQGANNetwork,
    "vqvae": VQVAENetwork,
    "vqvae2": VQVAE2Network,
}


def build_network(config: TokenizerConfig, latent_dim: int, code_dim: int) -> Network:
    """The network that `config` names, for a quantizer of these sizes."""
    if config.network == "dictionary":
        return DictionaryNetwork(config)
    return _NETWORKS[config.network](config, latent_dim, code_dim)

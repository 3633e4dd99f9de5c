"""Networks: from pixels to latents, from code vectors to pixels."""

from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks.base import Network
from worldtokens.tokenizer.networks.patch import DictionaryNetwork, PatchNetwork
from worldtokens.tokenizer.networks.resnet import ResNetNetwork
from worldtokens.tokenizer.networks.vqgan import VQGANNetwork
from worldtokens.tokenizer.networks.vqvae import VQVAE2Network, VQVAENetwork

__all__ = ["Network", "build_network"]

_NETWORKS = {
    "patch": PatchNetwork,
    "resnet": ResNetNetwork,
    "vqgan": VQGANNetwork,
    "vqvae": VQVAENetwork,
    "vqvae2": VQVAE2Network,
}


def build_network(config: TokenizerConfig, latent_dim: int, code_dim: int) -> Network:
    """Builds the network that `config` names, for a quantizer of these sizes."""
    if config.network == "dictionary":
        return DictionaryNetwork(config)
    return _NETWORKS[config.network](config, latent_dim, code_dim)

"""Lookup-free quantization (Yu et al. 2023, arXiv 2310.05737, section 3.1)."""

import torch
from torch import Tensor
from torch.nn import functional

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer

SHARPNESS = 100.0


class LFQ(Quantizer):
    """Each latent dimension is one bit, its sign; the codes are the corners of a cube.

    The entropy term moves each latent towards one code, and a batch towards equal use of all codes.
    """

    weights: Tensor
    corners: Tensor

    def __init__(self, bits: int):
        """Makes the corners.

        Args:
            bits: Number of dimensions; there are 2**bits codes.
        """
        super().__init__()
        self.vocab_size = 2**bits
        self.latent_dim = self.code_dim = bits
        self.register_buffer("weights", 2 ** torch.arange(bits), persistent=False)
        self.register_buffer("corners", self.lookup(torch.arange(2**bits)), persistent=False)

    def forward(self, latents: Tensor) -> Quantized:
        """See Quantizer.forward."""
        signs = torch.where(latents > 0, 1.0, -1.0)
        return Quantized(
            vectors=latents + (signs - latents).detach(),
            tokens=((signs > 0) * self.weights).sum(-1),
            codebook=latents.new_zeros(()),
            commitment=functional.mse_loss(latents, signs),
            entropy=self._entropy(latents.flatten(0, -2)),
        )

    def lookup(self, tokens: Tensor) -> Tensor:
        """Looks up the corners, each coordinate -1 or 1, of tokens (...)."""
        return ((tokens[..., None] // self.weights % 2) * 2 - 1).float()

    def _entropy(self, latents: Tensor) -> Tensor:
        """Returns the mean entropy of latents over codes, minus that of the mean distribution.

        In nats, for latents (n, C). Only the first factorizes over the bits.
        """
        # -|z - c|^2 x sharpness as logits: all but 2 z.c x sharpness is the same for every corner.
        scale = 2 * SHARPNESS / latents.shape[1]
        ones = torch.sigmoid(2 * scale * latents)
        each = -(functional.logsigmoid(2 * scale * latents) * ones)
        each = each - functional.logsigmoid(-2 * scale * latents) * (1 - ones)
        shares = torch.softmax(scale * latents @ self.corners.T, dim=1).mean(0)
        together = -(shares * shares.clamp_min(1e-12).log()).sum()
        return each.sum(1).mean() - together

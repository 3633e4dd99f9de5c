"""Vector quantization with a learned codebook."""

from collections.abc import Iterable

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer
from worldtokens.tokenizer.quantizers.clustering import (
    distinct_rows,
    first_of_each,
    k_means,
    nearest_center,
)

UPDATES = ("gradient", "ema")
# One batch moves at most one code in so many. Rare codes together serve much of a frame: all moved
# at once to the few latents of one batch, they would be lost.
MOVED_ONE_IN = 256


class VQ(Quantizer):
    """Each latent becomes the nearest code (van den Oord et al. 2017, arXiv 1711.00937).

    The codes follow the latents by the codebook loss, or as exponential moving averages of the
    latents assigned to them (appendix A.1 there). Codes start as centers of the first latents, and
    a code that is no longer used is moved to a latent that lies far from its code, so that the
    codebook does not collapse.
    """

    codes: Tensor
    mass: Tensor
    sums: Tensor

    def __init__(
        self,
        vocab_size: int,
        dim: int,
        update: str,
        decay: float = 0.99,
        is_cosine: bool = False,
        dead_share: float = 0.03,
    ):
        """Draws random codes, which `start` replaces.

        Args:
            vocab_size: Number of codes.
            dim: Dimension of latents and codes.
            update: How the codes move, "gradient" or "ema".
            decay: Decay of the moving averages: of the codes' use, and of the codes under "ema".
            is_cosine: Whether latents and codes are of length 1 (Yu et al. 2021, arXiv 2110.04627,
                section 3.2), so that the nearest code has the smallest angle.
            dead_share: A code that is used less than this share of an even use is moved.
        """
        super().__init__()
        assert update in UPDATES
        self.vocab_size = vocab_size
        self.latent_dim = self.code_dim = dim
        self.update = update
        self.decay = decay
        self.is_cosine = is_cosine
        self.dead_share = dead_share
        codes = self._normalize(torch.randn(vocab_size, dim) / dim**0.5)
        if update == "gradient":
            self.codes = nn.Parameter(codes)
        else:
            self.register_buffer("codes", codes)
            self.register_buffer("sums", codes.clone())
        # Expected number of latents per batch of each code; 0 before the first batch.
        self.register_buffer("mass", torch.zeros(vocab_size))

    def forward(self, latents: Tensor) -> Quantized:
        """See Quantizer.forward; in training mode it updates the codes' statistics."""
        latents = self._normalize(latents)
        flat = latents.flatten(0, -2)
        codes = self._normalize(self.codes)
        tokens = _nearest(flat.detach(), codes.detach())
        vectors = codes[tokens].view_as(latents)
        zero = latents.new_zeros(())
        gradient = self.update == "gradient"
        quantized = Quantized(
            vectors=latents + (vectors - latents).detach(),
            tokens=tokens.view(latents.shape[:-1]),
            codebook=functional.mse_loss(vectors, latents.detach()) if gradient else zero,
            commitment=functional.mse_loss(latents, vectors.detach()),
            entropy=zero,
        )
        if self.training:
            self._update(flat.detach(), tokens, vectors.detach().view_as(flat))
        return quantized

    def lookup(self, tokens: Tensor) -> Tensor:
        """See Quantizer.lookup."""
        return self._normalize(self.codes)[tokens]

    @torch.no_grad()
    def start(
        self,
        latents: Iterable[Tensor],
        generator: torch.Generator,
        weights: Iterable[Tensor] | None = None,
    ) -> None:
        """Starts the codes at the centers of latents (k-means).

        Equal latents count as often as the root of their number, so that rare ones get codes too.
        """
        chunks = (self._normalize(chunk.flatten(0, -2)).cpu() for chunk in latents)
        vectors, counts = distinct_rows(chunks)
        centers = k_means(vectors, counts.sqrt(), self.vocab_size, generator)
        self.mass.zero_()
        self._put(slice(None), self._normalize(centers).to(self.codes))

    @torch.no_grad()
    def _update(self, latents: Tensor, tokens: Tensor, vectors: Tensor) -> None:
        """Moves the averages by one batch, the codes with them under "ema", and revives codes."""
        counts = torch.bincount(tokens, minlength=self.vocab_size).to(self.mass)
        sums = torch.zeros_like(self.codes).index_add_(0, tokens, latents)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(counts)
            torch.distributed.all_reduce(sums)
        is_first = not bool(self.mass.any())
        if is_first:
            # As if all were equally used before, so that none counts as unused at the start.
            self.mass.fill_(float(counts.mean()))
        self.mass.lerp_(counts, 1 - self.decay)
        if self.update == "ema":
            if is_first:
                self.sums.copy_(self.codes * counts.mean())
            self.sums.lerp_(sums, 1 - self.decay)
            used = self.mass > 1e-6
            self.codes[used] = self._normalize(self.sums[used] / self.mass[used, None])
        self._revive(latents, (latents - vectors).square().sum(1), float(counts.mean()))

    def _revive(self, latents: Tensor, errors: Tensor, even_use: float) -> None:
        """Moves codes that are no longer used to latents, drawn in proportion to their errors."""
        (dead,) = torch.where(self.mass < self.dead_share * min(1.0, even_use))
        dead = dead[: min(len(latents), -(-self.vocab_size // MOVED_ONE_IN))]
        if not len(dead):
            return
        # The least number keeps the draw possible where all errors are 0.
        drawn = latents[torch.multinomial(errors + 1e-12, len(dead))]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.broadcast(drawn, src=0)
        # As if used once on average, so that it is not moved again at once.
        self.mass[dead] = min(1.0, even_use)
        self._put(dead, drawn)

    def _put(self, where: Tensor | slice, vectors: Tensor) -> None:
        self.codes.data[where] = vectors
        if self.update == "ema":
            mass = self.mass[where, None]
            self.sums[where] = vectors * torch.where(mass > 0, mass, torch.ones_like(mass))

    def _normalize(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1) if self.is_cosine else vectors


def _nearest(latents: Tensor, codes: Tensor) -> Tensor:
    """Finds the code nearest to each latent (n, d), int64 (n,); on a CPU equal ones once."""
    if latents.device.type != "cpu" or torch.compiler.is_compiling():
        return nearest_center(latents, codes)
    distinct, which = first_of_each(latents.contiguous().view(torch.int8))
    return nearest_center(latents[distinct], codes)[which]

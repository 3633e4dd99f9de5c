"""A fixed dictionary of patches, in whole grey levels."""

from collections.abc import Iterable

import torch
from torch import Tensor

from worldtokens.tokenizer.quantizers.base import Quantized, Quantizer
from worldtokens.tokenizer.quantizers.clustering import (
    LARGEST_SAMPLE,
    count_distinct,
    first_of_each,
    hash_rows,
    k_means,
    nearest_center,
)


class Dictionary(Quantizer):
    """Each token stands for the nearest of a set of typical patches.

    An emulator draws its frames from few patches: of 2.9 million patches of Montezuma's Revenge
    20,000 are distinct. The distinct ones are clustered, each weighted by its count, where patches
    that just changed count much more than those that stand still, so that sprites get codes too.
    Training by gradient takes long to find those, and its codebook can collapse.

    Latents are pixels in [-1, 1]. They and the codes are whole grey levels, so every product and
    every sum of the distance is exact in float32 (below 2^24): a patch has the same token on every
    device, at every batch size and under every order of summation.
    """

    uses_weights = True
    codes: Tensor

    def __init__(self, vocab_size: int, dim: int):
        """Makes random codes, which `start` replaces.

        Args:
            vocab_size: Number of codes.
            dim: Values of a patch (3 x its pixels).
        """
        super().__init__()
        self.vocab_size = vocab_size
        self.latent_dim = self.code_dim = dim
        self.register_buffer("codes", torch.randint(-128, 128, (vocab_size, dim)).float())
        self._index: _CodeIndex | None = None

    def forward(self, latents: Tensor) -> Quantized:
        """Finds the nearest code of each latent (..., C); no gradient reaches the latents.

        On a CPU each distinct patch of the batch is looked up once: 256 frames have 16,000 patches,
        a few hundred of them distinct. Those that are codes are found by a hash, and only the
        others are compared with all codes.
        """
        levels = _whole_levels(latents.detach()).flatten(0, -2)
        if levels.device.type == "cpu" and not torch.compiler.is_compiling():
            rows = levels.to(torch.int8)
            distinct, which = first_of_each(rows)
            tokens = self._tokens_of(rows[distinct])[which]
        else:
            tokens = nearest_center(levels, self.codes)
        tokens = tokens.view(latents.shape[:-1])
        zero = latents.new_zeros(())
        return Quantized(self.lookup(tokens), tokens, zero, zero, zero)

    def _tokens_of(self, rows: Tensor) -> Tensor:
        """Finds the nearest code of each of different patches, int8 (n, C): int64 (n,)."""
        if self._index is None or not self._index.is_of(self.codes):
            self._index = _CodeIndex(self.codes)
        tokens, known = self._index.find(rows)
        if not known.all():
            tokens[~known] = nearest_center(rows[~known].float(), self.codes)
        return tokens

    def lookup(self, tokens: Tensor) -> Tensor:
        """Looks up the patches, as pixels in [-1, 1], of tokens (...)."""
        return (self.codes[tokens] + 0.5) / 127.5

    @torch.no_grad()
    def start(
        self,
        latents: Iterable[Tensor],
        generator: torch.Generator,
        weights: Iterable[Tensor] | None = None,
    ) -> None:
        """Clusters the distinct patches among `latents`, each weighted by how often it occurs.

        On an exploration that it had not seen, 95% of the patches are codes exactly, 74% with the
        roots of the numbers as weights.
        """
        patches = (_whole_levels(chunk.flatten(0, -2)).to(torch.int8) for chunk in latents)
        distinct, counts = count_distinct(patches, weights)
        # Distinct patches beyond this number are sampled before clustering.
        if len(distinct) > LARGEST_SAMPLE:
            chosen = torch.multinomial(counts, LARGEST_SAMPLE, generator=generator)
            distinct, counts = distinct[chosen], counts[chosen]
        centers = k_means(distinct.float(), counts, self.vocab_size, generator)
        self.codes.copy_(centers.round())


class _CodeIndex:
    """Finds the patches that are codes."""

    def __init__(self, codes: Tensor):
        """Sorts the hashes of the codes, float32 (V, C)."""
        self._codes, self._version = codes, _version_of(codes)
        rows = codes.to(torch.int8)
        (whole,) = torch.nonzero((rows.float() == codes).all(dim=1), as_tuple=True)
        # Of equal codes the first one is found, as it is by their distances.
        self._hashes, order = hash_rows(rows[whole]).sort(stable=True)
        self._rows, self._tokens = rows[whole][order], whole[order]

    def is_of(self, codes: Tensor) -> bool:
        """Tells whether these are still the codes."""
        return codes is self._codes and self._version == _version_of(codes)

    def find(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns tokens int64 (n,) of rows int8 (n, C), and where they are right, bool (n,)."""
        if not len(self._tokens):
            return rows.new_zeros(len(rows), dtype=torch.int64), rows.new_zeros(len(rows)).bool()
        at = torch.searchsorted(self._hashes, hash_rows(rows)).clamp(max=len(self._tokens) - 1)
        return self._tokens[at], (self._rows[at] == rows).all(dim=1)


def _version_of(codes: Tensor) -> int:
    """Returns how often codes were written to, which is not counted in inference mode."""
    return 0 if codes.is_inference() else codes._version


def _whole_levels(latents: Tensor) -> Tensor:
    """Converts pixels in [-1, 1] to whole numbers in [-128, 127]."""
    return (latents * 127.5 - 0.5).round()

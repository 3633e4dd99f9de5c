import torch

from worldtokens.tokenizer.networks import Network
from worldtokens.tokenizer.quantizers import FSQ


class TwoLevels(Network):
    """The second level quantizes what the code vectors of the first leave over."""

    def latents(self, pixels, above):
        return pixels - above[0].vectors if above else pixels


def test_each_level_gets_the_quantized_levels_before_it():
    pixels = torch.tensor([[[0.9], [-0.2]]])
    quantizers = [FSQ([3]), FSQ([5])]
    first, second = TwoLevels().quantize(pixels, quantizers)
    assert torch.equal(first.tokens, quantizers[0](pixels).tokens)
    residual = pixels - first.vectors
    assert torch.equal(second.tokens, quantizers[1](residual).tokens)
    assert first.tokens.tolist() == [[2, 1]]
    assert TwoLevels().quantize(pixels, quantizers[:1])[0].tokens.tolist() == [[2, 1]]

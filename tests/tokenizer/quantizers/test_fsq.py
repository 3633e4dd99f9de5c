import pytest
import torch
import vector_quantize_pytorch as reference

from worldtokens.tokenizer.quantizers import FSQ


def test_each_latent_rounds_to_its_level():
    quantizer = FSQ([3, 2])
    latents = torch.tensor([[-9.0, -9.0], [0.0, -9.0], [9.0, 9.0], [0.2, 9.0]])
    quantized = quantizer(latents)
    assert quantized.tokens.tolist() == [0, 1, 5, 4]
    expected = torch.tensor([[-1.0, -1.0], [0.0, -1.0], [1.0, 0.0], [0.0, 0.0]])
    assert torch.equal(quantized.vectors, expected)


def test_lookup_is_the_inverse_of_quantizing():
    quantizer = FSQ([8, 5, 4])
    assert (quantizer.vocab_size, quantizer.latent_dim, quantizer.code_dim) == (160, 3, 3)
    latents = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * 3
    quantized = quantizer(latents)
    torch.testing.assert_close(quantizer.lookup(quantized.tokens), quantized.vectors)
    every = torch.arange(160)
    vectors = quantizer.lookup(every)
    assert len(torch.unique(vectors, dim=0)) == 160
    assert vectors.min() == -1.0 and vectors.max() == 1.0


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 8])
def test_every_level_can_be_reached(levels):
    tokens = FSQ([levels])(torch.linspace(-6, 6, 2001)[:, None]).tokens
    assert torch.unique(tokens).tolist() == list(range(levels))


def test_gradient_passes_the_rounding():
    latents = torch.tensor([[0.3]], requires_grad=True)
    FSQ([3])(latents).vectors.sum().backward()
    assert latents.grad is not None
    # The derivative of tanh(x) x (3 - 1) / 2 x 1.001 at 0.3, over the half width of 1.
    expected = 1.001 * (1 - torch.tanh(torch.tensor(0.3)) ** 2)
    torch.testing.assert_close(latents.grad, expected.reshape(1, 1))


@pytest.mark.parametrize("levels", [[8, 8, 8], [8, 5, 5, 5], [3], [7, 4]])
def test_reference(levels):
    generator = torch.Generator().manual_seed(0)
    ours, theirs = FSQ(levels), reference.FSQ(levels)
    latents = (2 * torch.randn(4, 100, len(levels), generator=generator)).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    quantized = ours(latents)
    vectors, tokens = theirs(copy)
    assert torch.equal(quantized.tokens, tokens.long())
    torch.testing.assert_close(quantized.vectors, vectors)
    torch.testing.assert_close(ours.lookup(quantized.tokens), theirs.indices_to_codes(tokens))
    weights = torch.randn(*latents.shape, generator=generator)
    (quantized.vectors * weights).sum().backward()
    (vectors * weights).sum().backward()
    torch.testing.assert_close(latents.grad, copy.grad)

import math

import pytest
import torch
import vector_quantize_pytorch as reference

from worldtokens.tokenizer.quantizers import LFQ


def test_lfq_takes_signs():
    quantizer = LFQ(3)
    assert (quantizer.vocab_size, quantizer.latent_dim) == (8, 3)
    quantized = quantizer(torch.tensor([[0.5, -2.0, 0.1], [-1.0, 1.0, -1.0]]))
    assert quantized.tokens.tolist() == [5, 2]
    assert quantized.vectors.tolist() == [[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]]
    assert quantized.commitment.item() == pytest.approx((0.25 + 1 + 0.81) / 6)
    assert torch.equal(quantizer.lookup(quantized.tokens), quantized.vectors)


def test_lfq_entropy_is_least_for_sure_and_even_use():
    corners = LFQ(2).lookup(torch.arange(4))
    quantizer = LFQ(2)
    assert quantizer(corners).entropy.item() == pytest.approx(-math.log(4), abs=1e-4)
    assert quantizer(corners[:1].repeat(4, 1)).entropy.item() == pytest.approx(0.0, abs=1e-4)
    assert quantizer(torch.zeros(4, 2)).entropy.item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("bits", [2, 7])
def test_reference(bits):
    generator = torch.Generator().manual_seed(0)
    ours = LFQ(bits).train()
    theirs = reference.LFQ(codebook_size=2**bits, commitment_loss_weight=1.0).train()
    # Small latents: at an inverse temperature of 100 larger ones have no entropy.
    latents = (0.02 * torch.randn(4, 100, bits, generator=generator)).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    quantized = ours(latents)
    # Ours divides the squared distance by the dimensions, so that one sharpness suits them all.
    (vectors, tokens, _), terms = theirs(
        copy, inv_temperature=100 / bits, return_loss_breakdown=True
    )
    # Their first dimension is the highest bit, ours the lowest.
    digits = quantized.tokens[..., None] >> torch.arange(bits) & 1
    assert torch.equal((digits << torch.arange(bits - 1, -1, -1)).sum(-1), tokens.long())
    torch.testing.assert_close(quantized.vectors, vectors)
    torch.testing.assert_close(quantized.commitment, terms.commitment)
    theirs_entropy = terms.per_sample_entropy - terms.batch_entropy
    # Theirs clips probabilities at 1e-5.
    torch.testing.assert_close(quantized.entropy, theirs_entropy, atol=2e-3, rtol=0)
    quantized.entropy.backward()
    theirs_entropy.backward()
    torch.testing.assert_close(latents.grad, copy.grad, atol=1e-3, rtol=0.02)

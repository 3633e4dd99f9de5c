"""Our quantizers against those of vector-quantize-pytorch, where the definitions are the same."""

import pytest
import torch
import vector_quantize_pytorch as reference

from worldtokens.tokenizer.quantizers import FSQ, LFQ, VQ, Residual

CODES, DIM = 24, 5


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def our_vq(**settings):
    quantizer = VQ(CODES, DIM, **settings)
    quantizer.codes.data.copy_(quantizer._normalize(draw(CODES, DIM, seed=1)))
    return quantizer


def their_vq(ours, **settings):
    theirs = reference.VectorQuantize(
        dim=DIM, codebook_size=CODES, rotation_trick=False, decay=ours.decay, eps=1e-12,
        use_cosine_sim=ours.is_cosine, **settings,
    )  # fmt: skip
    theirs._codebook.embed.data.copy_(ours.codes.detach()[None])
    theirs._codebook.embed_avg.data.copy_(ours.codes.detach()[None])
    return theirs


@pytest.mark.parametrize("is_cosine", [False, True])
def test_vq_with_moving_averages(is_cosine):
    ours = our_vq(update="ema", decay=0.9, is_cosine=is_cosine).train()
    theirs = their_vq(ours).train()
    for step in range(5):
        # As many latents as codes: both start as if each code had been used once a batch.
        latents = draw(4, CODES // 4, DIM, seed=10 + step).requires_grad_()
        copy = latents.detach().clone().requires_grad_()
        made = ours(latents)
        vectors, tokens, loss = theirs(copy)
        assert torch.equal(made.tokens, tokens)
        torch.testing.assert_close(made.vectors, vectors)
        torch.testing.assert_close(made.commitment, loss.squeeze())
        # The straight-through estimator, and the commitment loss beside it.
        weights = draw(*latents.shape, seed=99)
        ((made.vectors * weights).sum() + 0.25 * made.commitment).backward()
        ((vectors * weights).sum() + 0.25 * loss.sum()).backward()
        torch.testing.assert_close(latents.grad, copy.grad)
        torch.testing.assert_close(ours.codes, theirs._codebook.embed[0])
        torch.testing.assert_close(ours.mass, theirs._codebook.cluster_size[0])
        torch.testing.assert_close(ours.sums, theirs._codebook.embed_avg[0])
    assert not torch.allclose(ours.codes, ours._normalize(draw(CODES, DIM, seed=1)), atol=0.05)


def test_vq_with_gradients():
    ours = our_vq(update="gradient").train()
    theirs = their_vq(ours, learnable_codebook=True, ema_update=False).train()
    latents = draw(4, 50, DIM).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    made = ours(latents)
    vectors, tokens, loss = theirs(copy)
    assert torch.equal(made.tokens, tokens)
    torch.testing.assert_close(made.vectors, vectors)
    torch.testing.assert_close(made.codebook, loss.squeeze())
    torch.testing.assert_close(made.commitment, loss.squeeze())
    # Theirs is one term that moves both sides.
    (made.codebook + made.commitment).backward()
    loss.sum().backward()
    torch.testing.assert_close(latents.grad, copy.grad)
    torch.testing.assert_close(ours.codes.grad, theirs._codebook.embed.grad[0])


@pytest.mark.parametrize("is_cosine", [False, True])
def test_vq_at_evaluation(is_cosine):
    ours = our_vq(update="ema", is_cosine=is_cosine).eval()
    theirs = their_vq(ours).eval()
    latents = draw(3, 200, DIM)
    vectors, tokens, _ = theirs(latents)
    made = ours(latents)
    assert torch.equal(made.tokens, tokens)
    torch.testing.assert_close(made.vectors, vectors)
    torch.testing.assert_close(ours.lookup(tokens), theirs.get_codes_from_indices(tokens))


@pytest.mark.parametrize("levels", [[8, 8, 8], [8, 5, 5, 5], [3], [7, 4]])
def test_fsq(levels):
    ours, theirs = FSQ(levels), reference.FSQ(levels)
    latents = (2 * draw(4, 100, len(levels))).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    made = ours(latents)
    vectors, tokens = theirs(copy)
    assert torch.equal(made.tokens, tokens.long())
    torch.testing.assert_close(made.vectors, vectors)
    torch.testing.assert_close(ours.lookup(made.tokens), theirs.indices_to_codes(tokens))
    weights = draw(*latents.shape, seed=99)
    (made.vectors * weights).sum().backward()
    (vectors * weights).sum().backward()
    torch.testing.assert_close(latents.grad, copy.grad)


@pytest.mark.parametrize("bits", [2, 7])
def test_lfq(bits):
    ours = LFQ(bits).train()
    theirs = reference.LFQ(codebook_size=2**bits, commitment_loss_weight=1.0).train()
    # Small latents: at an inverse temperature of 100 larger ones have no entropy.
    latents = (0.02 * draw(4, 100, bits)).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    made = ours(latents)
    # Ours divides the squared distance by the dimensions, so that one sharpness suits them all.
    (vectors, tokens, _), terms = theirs(
        copy, inv_temperature=100 / bits, return_loss_breakdown=True
    )
    # Their first dimension is the highest bit, ours the lowest.
    digits = made.tokens[..., None] >> torch.arange(bits) & 1
    assert torch.equal((digits << torch.arange(bits - 1, -1, -1)).sum(-1), tokens.long())
    torch.testing.assert_close(made.vectors, vectors)
    torch.testing.assert_close(made.commitment, terms.commitment)
    theirs_entropy = terms.per_sample_entropy - terms.batch_entropy
    # Theirs clips probabilities at 1e-5.
    torch.testing.assert_close(made.entropy, theirs_entropy, atol=2e-3, rtol=0)
    made.entropy.backward()
    theirs_entropy.backward()
    torch.testing.assert_close(latents.grad, copy.grad, atol=1e-3, rtol=0.02)


def test_residual_vq():
    ours = Residual(lambda: VQ(CODES, DIM, "ema", decay=0.9), depth=3).train()
    theirs = reference.ResidualVQ(
        dim=DIM, num_quantizers=3, codebook_size=CODES, rotation_trick=False, decay=0.9, eps=1e-12
    ).train()
    for number, (stage, layer) in enumerate(zip(ours.stages, theirs.layers, strict=True)):
        codes = draw(CODES, DIM, seed=number) * 0.5**number
        stage.codes.copy_(codes)
        layer._codebook.embed.copy_(codes[None])
        layer._codebook.embed_avg.copy_(codes[None])
    for step in range(3):
        latents = draw(4, CODES // 4, DIM, seed=10 + step).requires_grad_()
        copy = latents.detach().clone().requires_grad_()
        made = ours(latents)
        vectors, tokens, losses = theirs(copy)
        assert torch.equal(made.tokens, tokens)
        torch.testing.assert_close(made.vectors, vectors)
        torch.testing.assert_close(made.commitment, losses.mean())
        for stage, layer in zip(ours.stages, theirs.layers, strict=True):
            torch.testing.assert_close(stage.codes, layer._codebook.embed[0])
        weights = draw(*latents.shape, seed=99)
        (made.vectors * weights).sum().backward()
        (vectors * weights).sum().backward()
        # Each of their stages passes the gradient on to the latents, ours pass it on once: of the
        # sum of codes that stands for the latents (arXiv 2203.01941, section 3.1).
        torch.testing.assert_close(3 * latents.grad, copy.grad)

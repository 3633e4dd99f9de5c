import pytest
import torch
import vector_quantize_pytorch as reference

from worldtokens.tokenizer.quantizers import VQ, Residual, clustering

CODES, DIM = 24, 5


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_residual_quantizes_the_residual():
    quantizer = Residual(lambda: VQ(2, 1, "gradient"), depth=2).eval()
    first, second = quantizer.stages
    first.codes.data.copy_(torch.tensor([[0.0], [10.0]]))
    second.codes.data.copy_(torch.tensor([[-1.0], [2.0]]))
    latents = torch.tensor([[9.2], [1.5]], requires_grad=True)
    quantized = quantizer(latents)
    assert quantized.tokens.tolist() == [[1, 0], [0, 1]]
    assert quantized.vectors.flatten().tolist() == pytest.approx([9.0, 2.0])
    assert quantizer.lookup(quantized.tokens).tolist() == [[[10.0], [-1.0]], [[0.0], [2.0]]]
    assert quantizer.dequantize(quantized.tokens).flatten().tolist() == [9.0, 2.0]
    quantized.vectors.sum().backward()
    assert latents.grad.tolist() == [[1.0], [1.0]]


def test_start_computes_no_more_latents_than_it_clusters(monkeypatch):
    monkeypatch.setattr(clustering, "LARGEST_SAMPLE", 50)
    computed = []

    def chunks():
        for number in range(10):
            computed.append(number)
            yield torch.full((2, 10, 1), float(number))

    quantizer = Residual(lambda: VQ(2, 1, "ema"), depth=2)
    quantizer.start(chunks(), torch.Generator().manual_seed(0))
    assert computed == [0, 1, 2]


def test_reference():
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
        quantized = ours(latents)
        vectors, tokens, losses = theirs(copy)
        assert torch.equal(quantized.tokens, tokens)
        torch.testing.assert_close(quantized.vectors, vectors)
        torch.testing.assert_close(quantized.commitment, losses.mean())
        for stage, layer in zip(ours.stages, theirs.layers, strict=True):
            torch.testing.assert_close(stage.codes, layer._codebook.embed[0])
        weights = draw(*latents.shape, seed=99)
        (quantized.vectors * weights).sum().backward()
        (vectors * weights).sum().backward()
        # Each of their stages passes the gradient on to the latents, ours pass it on once: of the
        # sum of codes that stands for the latents (arXiv 2203.01941, section 3.1).
        torch.testing.assert_close(3 * latents.grad, copy.grad)

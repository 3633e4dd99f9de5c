import pytest
import torch
import vector_quantize_pytorch as reference

from worldtokens.tokenizer.quantizers import VQ, clustering, vq

CODES, DIM = 24, 5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def vq_with(codes, **settings):
    codes = torch.tensor(codes)
    quantizer = VQ(len(codes), codes.shape[1], **{"update": "gradient", **settings})
    quantizer.codes.data.copy_(codes)
    return quantizer.eval()


def test_vq_of_two_codes():
    quantizer = vq_with([[0.0, 0.0], [1.0, 1.0]])
    latents = torch.tensor([[0.4, 0.4], [0.9, 0.2]], requires_grad=True)
    quantized = quantizer(latents)
    assert quantized.tokens.tolist() == [0, 1]
    torch.testing.assert_close(quantized.vectors, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    expected = (0.16 + 0.16 + 0.01 + 0.64) / 4
    assert quantized.codebook.item() == pytest.approx(expected)
    assert quantized.commitment.item() == pytest.approx(expected)
    assert torch.equal(quantizer.lookup(torch.tensor([[1]])), torch.ones(1, 1, 2))


def test_vq_losses_reach_what_they_are_named_after():
    quantizer = vq_with([[0.0], [1.0]])
    latents = torch.tensor([[0.25], [0.5]], requires_grad=True)
    quantizer(latents).codebook.backward()
    assert latents.grad is None
    # d/dc of mean (c - z)^2 with both latents at code 0 (ties go to the first).
    assert quantizer.codes.grad.tolist() == [[-(0.25 + 0.5)], [0.0]]
    quantizer.codes.grad = None
    quantizer(latents).commitment.backward()
    assert quantizer.codes.grad is None
    assert latents.grad.tolist() == [[0.25], [0.5]]


def test_the_gradient_passes_straight_through():
    latents = torch.tensor([[0.3, 0.1]], requires_grad=True)
    vq_with([[0.0, 0.0], [1.0, 1.0]])(latents).vectors.backward(torch.tensor([[2.0, -3.0]]))
    assert latents.grad.tolist() == [[2.0, -3.0]]


def test_ema_codes_move_to_the_mean_of_their_latents():
    quantizer = vq_with([[0.0], [10.0]], update="ema", decay=0.5).train()
    latents = torch.tensor([[1.0], [3.0], [12.0], [14.0]])
    quantized = quantizer(latents)
    assert quantized.codebook.item() == 0.0
    # mass 2 and sums 0, 20 before; halves of 2 and 4, 26 are added.
    assert quantizer.codes.flatten().tolist() == pytest.approx([1.0, 11.5])
    quantizer(latents)
    assert quantizer.codes.flatten().tolist() == pytest.approx([1.5, 12.25])
    assert not list(quantizer.parameters())


def test_evaluation_leaves_the_codes_as_they_are():
    quantizer = vq_with([[0.0], [10.0]], update="ema")
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.tensor([[1.0], [3.0]]))
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_a_dead_code_comes_back_at_a_latent(update):
    quantizer = vq_with([[0.0], [500.0]], update=update, decay=0.5).train()
    latents = torch.tensor([[0.0], [3.0]])
    torch.manual_seed(0)
    for _ in range(40):
        quantizer(latents)
    assert sorted(quantizer(latents).tokens.tolist()) == [0, 1]


def test_a_codebook_does_not_collapse():
    torch.manual_seed(0)
    quantizer = VQ(32, 2, "ema").train()
    quantizer.codes.fill_(100.0)
    data = torch.rand(2000, 2, generator=generator())
    for step in range(1000):
        quantizer(data[torch.randint(2000, (256,), generator=generator(step))])
    quantizer.eval()
    assert len(torch.unique(quantizer(data).tokens)) == 32


def test_cosine_vq_compares_angles():
    quantizer = vq_with([[3.0, 0.0], [0.0, 0.1]], is_cosine=True)
    quantized = quantizer(torch.tensor([[0.5, 0.4], [5.0, 6.0]]))
    assert quantized.tokens.tolist() == [0, 1]
    torch.testing.assert_close(quantized.vectors, torch.eye(2))
    torch.testing.assert_close(quantizer.lookup(torch.tensor([1])), torch.tensor([[0.0, 1.0]]))


def test_start_puts_codes_where_the_latents_are():
    centers = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    latents = centers.repeat(50, 1) + 0.1 * torch.randn(150, 2, generator=generator())
    quantizer = VQ(3, 2, "ema")
    quantizer.start([latents[:70].view(7, 10, 2), latents[70:].view(8, 10, 2)], generator(3))
    distances = torch.cdist(centers, quantizer.codes).min(1).values
    assert distances.max() < 0.1


def test_start_computes_no_more_latents_than_it_clusters(monkeypatch):
    monkeypatch.setattr(clustering, "LARGEST_SAMPLE", 50)
    computed = []

    def chunks():
        for number in range(10):
            computed.append(number)
            yield (20 * number + torch.arange(20.0)).view(2, 10, 1)

    VQ(2, 1, "ema").start(chunks(), generator())
    assert computed == [0, 1, 2]


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
def test_reference_with_moving_averages(is_cosine):
    ours = our_vq(update="ema", decay=0.9, is_cosine=is_cosine).train()
    theirs = their_vq(ours).train()
    for step in range(5):
        # As many latents as codes: both start as if each code had been used once a batch.
        latents = draw(4, CODES // 4, DIM, seed=10 + step).requires_grad_()
        copy = latents.detach().clone().requires_grad_()
        quantized = ours(latents)
        vectors, tokens, loss = theirs(copy)
        assert torch.equal(quantized.tokens, tokens)
        torch.testing.assert_close(quantized.vectors, vectors)
        torch.testing.assert_close(quantized.commitment, loss.squeeze())
        # The straight-through estimator, and the commitment loss beside it.
        weights = draw(*latents.shape, seed=99)
        ((quantized.vectors * weights).sum() + 0.25 * quantized.commitment).backward()
        ((vectors * weights).sum() + 0.25 * loss.sum()).backward()
        torch.testing.assert_close(latents.grad, copy.grad)
        torch.testing.assert_close(ours.codes, theirs._codebook.embed[0])
        torch.testing.assert_close(ours.mass, theirs._codebook.cluster_size[0])
        torch.testing.assert_close(ours.sums, theirs._codebook.embed_avg[0])
    assert not torch.allclose(ours.codes, ours._normalize(draw(CODES, DIM, seed=1)), atol=0.05)


def test_reference_with_gradients():
    ours = our_vq(update="gradient").train()
    theirs = their_vq(ours, learnable_codebook=True, ema_update=False).train()
    latents = draw(4, 50, DIM).requires_grad_()
    copy = latents.detach().clone().requires_grad_()
    quantized = ours(latents)
    vectors, tokens, loss = theirs(copy)
    assert torch.equal(quantized.tokens, tokens)
    torch.testing.assert_close(quantized.vectors, vectors)
    torch.testing.assert_close(quantized.codebook, loss.squeeze())
    torch.testing.assert_close(quantized.commitment, loss.squeeze())
    # Theirs is one term that moves both sides.
    (quantized.codebook + quantized.commitment).backward()
    loss.sum().backward()
    torch.testing.assert_close(latents.grad, copy.grad)
    torch.testing.assert_close(ours.codes.grad, theirs._codebook.embed.grad[0])


@pytest.mark.parametrize("is_cosine", [False, True])
def test_reference_at_evaluation(is_cosine):
    ours = our_vq(update="ema", is_cosine=is_cosine).eval()
    theirs = their_vq(ours).eval()
    latents = draw(3, 200, DIM)
    vectors, tokens, _ = theirs(latents)
    quantized = ours(latents)
    assert torch.equal(quantized.tokens, tokens)
    torch.testing.assert_close(quantized.vectors, vectors)
    torch.testing.assert_close(ours.lookup(tokens), theirs.get_codes_from_indices(tokens))


def test_rare_latents_get_codes():
    # Nine in ten latents are equal: drawn evenly, the first centers would mostly be these.
    rare = torch.randn(30, 2, generator=generator())
    latents = torch.cat([torch.zeros(2700, 2), rare.repeat(10, 1)])
    quantizer = VQ(31, 2, "ema")
    quantizer.start([latents.view(30, 100, 2)], generator())
    distances = torch.cdist(torch.cat([torch.zeros(1, 2), rare]), quantizer.codes).min(1).values
    assert distances.max() < 0.05


def test_dead_codes_move_to_latents_that_are_badly_served():
    quantizer = vq_with([[0.0], [500.0], [600.0]], update="gradient", decay=0.5).train()
    latents = torch.tensor([[0.0]] * 99 + [[7.0]])
    for _ in range(12):
        quantizer(latents)
    # Of 100 latents only one lies apart from its code.
    assert 7.0 in quantizer.codes.flatten().tolist()


def test_a_batch_moves_few_codes(monkeypatch):
    monkeypatch.setattr(vq, "MOVED_ONE_IN", 4)
    quantizer = vq_with([[0.0], *[[500.0 + n] for n in range(7)]], update="ema", decay=0.5).train()
    latents = torch.arange(4.0)[:, None]
    moved = []
    for _ in range(12):
        quantizer(latents)
        moved.append(int((quantizer.codes < 400).sum()) - 1)
    steps = [later - before for before, later in zip(moved, moved[1:], strict=False)]
    assert moved[-1] == 7 and max(steps) == 2


def test_a_smaller_share_keeps_rare_codes_longer():
    kept = []
    for share in (0.03, 1e-30):
        quantizer = vq_with([[0.0], [9.0]], update="gradient", decay=0.9, dead_share=share).train()
        quantizer(torch.tensor([[0.0], [9.0]]))
        for _ in range(100):
            quantizer(torch.zeros(2, 1))
        kept.append(9.0 in quantizer.codes.flatten().tolist())
    assert kept == [False, True]

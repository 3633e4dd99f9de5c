import math

import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.pixels import unscale_frames
from worldtokens.tokenizer.quantizers import LFQ, VQ, Dictionary, Residual, clustering, vq
from worldtokens.tokenizer.quantizers.clustering import count_distinct, k_means, nearest_center


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


def test_start_asks_for_no_more_latents_than_it_clusters(monkeypatch):
    monkeypatch.setattr(clustering, "LARGEST_SAMPLE", 50)
    monkeypatch.setattr(vq, "LARGEST_SAMPLE", 50)
    given = []

    def chunks():
        for number in range(10):
            given.append(number)
            yield torch.full((2, 10, 1), float(number))

    VQ(2, 1, "ema").start(chunks(), generator())
    assert given == [0, 1, 2]
    given.clear()
    Residual(lambda: VQ(2, 1, "ema"), depth=2).start(chunks(), generator())
    assert given == [0, 1, 2]


def test_k_means_weighs_and_redraws():
    vectors = torch.tensor([[0.0], [1.0], [10.0], [13.0]])
    centers = k_means(vectors, torch.tensor([3.0, 1.0, 1.0, 2.0]), 2, generator(1))
    assert sorted(centers.flatten().tolist()) == pytest.approx([0.25, 12.0])
    more = k_means(vectors, torch.ones(4), 6, generator(1))
    assert set(more.flatten().tolist()) == {0.0, 1.0, 10.0, 13.0}


def test_nearest_center_of_ties_is_the_first():
    assert nearest_center(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0], [1.9]])).tolist() == [
        2
    ]
    assert nearest_center(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]])).tolist() == [0]


def test_count_distinct_counts_over_chunks():
    rows = torch.tensor([[1, 2, 3], [4, 5, 6], [1, 2, 3], [-1, -2, 127]], dtype=torch.int8)
    distinct, counts = count_distinct([rows[:2], rows[2:], rows[:1]])
    found = {
        tuple(row): count for row, count in zip(distinct.tolist(), counts.tolist(), strict=True)
    }
    assert found == {(1, 2, 3): 3, (4, 5, 6): 1, (-1, -2, 127): 1}


def test_hashes_tell_rows_apart_that_differ_in_any_byte():
    rows = torch.zeros(192 * 255, 192, dtype=torch.uint8)
    rows[torch.arange(len(rows)), torch.arange(len(rows)) % 192] = (
        torch.arange(len(rows)) // 192 + 1
    ).to(torch.uint8)
    distinct, _ = count_distinct([rows.view(torch.int8)])
    assert len(distinct) == len(rows)


def test_dictionary_keeps_grey_levels_exactly():
    levels = torch.arange(256).float()
    pixels = (levels / 127.5 - 1).repeat(3, 1).T
    quantizer = Dictionary(256, 3)
    quantizer.start([pixels[None]], generator())
    quantized = quantizer(pixels)
    assert sorted(quantized.tokens.tolist()) == list(range(256))
    torch.testing.assert_close(quantized.vectors, pixels)


def test_dictionary_finds_the_nearest_patch():
    quantizer = Dictionary(2, 2)
    quantizer.codes.copy_(torch.tensor([[-128.0, 0.0], [127.0, 0.0]]))
    pixels = torch.tensor([[[100, 0], [127, 255], [128, 7]]]) / 127.5 - 1
    assert quantizer(pixels).tokens.tolist() == [[0, 0, 1]]


def test_dictionary_gives_rare_patches_codes():
    wall = torch.full((100_000, 3), -1.0) + torch.randint(0, 3, (100_000, 3)) / 127.5
    sprite = torch.tensor([[1.0, 1.0, -1.0]])
    quantizer = Dictionary(4, 3)
    quantizer.start([wall, sprite], generator())
    torch.testing.assert_close(quantizer(sprite).vectors, sprite)


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


def test_residual_quantizes_what_is_left():
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


SMALL = dict(
    network="patch", quantizer="fsq",
    frame_height=16, frame_width=16, encoder_width=8, encoder_depth=1, decoder_width=8,
    decoder_depth=1, decoder_fine_depth=1, codebook_size=16, code_dim=4,
)  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({"quantizer": "vq", "codebook_update": "gradient"}, 4),
        ({"quantizer": "vq", "codebook_update": "ema"}, 4),
        ({"quantizer": "vq", "cosine_codes": True}, 4),
        ({"quantizer": "vq", "residual_depth": 3}, 12),
        ({"quantizer": "lfq"}, 4),
        ({"quantizer": "fsq", "residual_depth": 2}, 8),
        ({"quantizer": "dictionary", "network": "dictionary"}, 4),
    ],
)
def test_a_tokenizer_with_each_quantizer(settings, tokens, tmp_path):
    torch.manual_seed(0)
    tokenizer = Tokenizer(TokenizerConfig(**{**SMALL, **settings}))
    frames = torch.randint(0, 256, (6, 16, 16, 3), dtype=torch.uint8)
    tokenizer.start(frames, generator())
    made = tokenizer.encode(frames)
    assert made.shape == (6, tokens) and made.max() < tokenizer.vocab_size
    assert torch.equal(made, torch.cat([tokenizer.encode(frame[None]) for frame in frames]))
    assert tokenizer.embed(made).shape[:2] == (6, tokens)
    tokenizer.eval()
    tokenizer.uses_autocast = False
    output = tokenizer(frames)
    assert torch.equal(tokenizer.tokens_of(frames), output.tokens)
    difference = tokenizer.decode(output.tokens).int() - unscale_frames(output.reconstruction).int()
    assert difference.abs().max() <= 1
    tokenizer.save_pretrained(tmp_path)
    loaded = Tokenizer.from_pretrained(tmp_path)
    assert loaded.fingerprint == tokenizer.fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantizer": "lfq", "codebook_size": 1000}, "expected a power of 2 for lfq, got 1000"),
        (
            {"network": "patch", "quantizer": "dictionary"},
            "a dictionary needs both to be 'dictionary'",
        ),
        ({"codebook_decay": 1.0}, r"codebook_decay: expected a share in \(0, 1\), got 1.0"),
        ({"codebook_update": "magic"}, "codebook_update: expected one of"),
        ({"residual_depth": 0}, "residual_depth: expected at least 1, got 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**{"network": "patch", "quantizer": "fsq", **settings})

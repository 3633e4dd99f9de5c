import copy
import threading

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.pixels import unscale_frames

TINY = TokenizerConfig(
    frame_height=16, frame_width=24, network="patch", quantizer="fsq", encoder_width=16,
    encoder_depth=1, decoder_width=16, decoder_depth=1, decoder_fine_depth=1, fsq_levels=[4, 4],
)  # fmt: skip


QUANTIZED = dict(
    network="patch", quantizer="fsq",
    frame_height=16, frame_width=16, encoder_width=8, encoder_depth=1, decoder_width=8,
    decoder_depth=1, decoder_fine_depth=1, codebook_size=16, code_dim=4,
)  # fmt: skip


PADDED = dict(
    frame_height=21, frame_width=18, encoder_width=32, encoder_depth=1, decoder_width=8,
    decoder_depth=1, decoder_fine_depth=1, codebook_size=16, code_dim=4, latent_channels=8,
    channel_multipliers=[1, 1, 1],
)  # fmt: skip


DESIGNS = {
    "dictionary": {},
    "patch": {"quantizer": "fsq"},
    "resnet": {"quantizer": "vq"},
    "vqgan": {"quantizer": "vq"},
    "vqvae": {"quantizer": "vq"},
    "vqvae2": {"quantizer": "vq"},
}


def build(network, **settings):
    torch.manual_seed(0)
    return Tokenizer(
        TokenizerConfig(**{**PADDED, "network": network, **DESIGNS[network], **settings})
    ).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(TINY).eval()


def random_frames(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_sizes(tokenizer):
    assert tokenizer.grid == (2, 3)
    assert tokenizer.tokens_per_frame == 6
    assert tokenizer.vocab_size == 16
    assert tokenizer.frame_shape == (16, 24, 3)


@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (0,), (2, 0)])
def test_shapes_and_types(tokenizer, leading):
    frames = random_frames(*leading, 16, 24, 3)
    tokens = tokenizer.encode(frames)
    assert tokens.shape == (*leading, 6) and tokens.dtype == torch.int64
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == frames.shape and decoded.dtype == torch.uint8
    vectors = tokenizer.embed(tokens)
    assert vectors.shape == (*leading, 6, 2) and vectors.dtype == torch.float32


def test_arrays_and_tensors_give_the_same(tokenizer):
    frames = random_frames(3, 16, 24, 3)
    assert torch.equal(tokenizer.encode(frames), tokenizer.encode(torch.from_numpy(frames)))
    tokens = tokenizer.encode(frames)
    assert torch.equal(tokenizer.decode(tokens), tokenizer.decode(tokens.numpy()))
    assert torch.equal(tokenizer.decode(tokens), tokenizer.decode(tokens.int()))


def test_views_and_read_only_arrays(tokenizer):
    frames = random_frames(4, 16, 24, 3)
    frozen = frames.copy()
    frozen.flags.writeable = False
    assert torch.equal(tokenizer.encode(frozen), tokenizer.encode(frames))
    backwards = frames[::-1]
    assert torch.equal(tokenizer.encode(backwards), tokenizer.encode(frames).flip(0))


def test_a_frame_has_the_same_tokens_alone_and_in_any_batch():
    torch.manual_seed(1)
    tokenizer = Tokenizer(TokenizerConfig())
    frames = np.random.default_rng(1).integers(0, 256, (67, 64, 64, 3), dtype=np.uint8)
    together = tokenizer.encode(frames)
    for size in (1, 2, 7, 64):
        parts = [tokenizer.encode(frames[i : i + size]) for i in range(0, 67, size)]
        assert torch.equal(torch.cat(parts), together)


def test_a_token_depends_on_its_own_patch_only(tokenizer):
    frames = random_frames(1, 16, 24, 3)
    changed = frames.copy()
    changed[0, :8, :8] = 255 - changed[0, :8, :8]
    before, after = tokenizer.encode(frames)[0], tokenizer.encode(changed)[0]
    assert torch.equal(before[1:], after[1:])
    assert before[0] != after[0]


def test_embed_gives_the_vectors_that_the_decoder_gets(tokenizer):
    frames = torch.from_numpy(random_frames(2, 16, 24, 3))
    tokenizer.uses_autocast = False
    output = tokenizer(frames)
    decoded = tokenizer.network.decode([tokenizer.embed(output.tokens)])
    torch.testing.assert_close(decoded, output.reconstruction)
    assert torch.equal(tokenizer.encode(frames), output.tokens)
    assert torch.equal(tokenizer.decode(output.tokens), unscale_frames(output.reconstruction))
    tokenizer.uses_autocast = True


def test_forward_gives_gradients_to_every_parameter(tokenizer):
    output = tokenizer(torch.from_numpy(random_frames(2, 16, 24, 3)))
    output.reconstruction.square().mean().backward()
    without = [name for name, value in tokenizer.named_parameters() if value.grad is None]
    assert without == []
    tokenizer.zero_grad()


def test_inference_leaves_the_mode_as_it_was(tokenizer):
    tokenizer.train()
    tokens = tokenizer.encode(random_frames(1, 16, 24, 3))
    assert tokenizer.training and not tokens.requires_grad
    tokenizer.eval()
    tokenizer.decode(tokens)
    assert not tokenizer.training


@pytest.mark.parametrize(
    ("settings", "count"),
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
def test_a_tokenizer_with_each_quantizer(settings, count):
    torch.manual_seed(0)
    tokenizer = Tokenizer(TokenizerConfig(**{**QUANTIZED, **settings}))
    frames = torch.randint(0, 256, (6, 16, 16, 3), dtype=torch.uint8)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    tokens = tokenizer.encode(frames)
    assert tokens.shape == (6, count) and tokens.max() < tokenizer.vocab_size
    assert torch.equal(tokens, torch.cat([tokenizer.encode(frame[None]) for frame in frames]))
    assert tokenizer.embed(tokens).shape[:2] == (6, count)
    tokenizer.eval()
    tokenizer.uses_autocast = False
    output = tokenizer(frames)
    assert torch.equal(tokenizer.tokens_of(frames), output.tokens)
    difference = tokenizer.decode(output.tokens).int() - unscale_frames(output.reconstruction).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize(
    ("network", "padded", "levels"),
    [
        ("dictionary", (24, 24), ((3, 3, 1),)),
        ("patch", (24, 24), ((3, 3, 1),)),
        ("resnet", (32, 32), ((2, 2, 1),)),
        ("vqgan", (24, 20), ((6, 5, 1),)),
        ("vqvae", (24, 20), ((6, 5, 1),)),
        ("vqvae2", (24, 24), ((3, 3, 1), (6, 6, 1))),
    ],
)
def test_every_network_takes_any_size(network, padded, levels):
    tokenizer = build(network)
    assert tokenizer.config.padded_shape == padded
    assert tokenizer.levels == levels
    assert tokenizer.frame_shape == (21, 18, 3)
    count = sum(rows * columns for rows, columns, _ in levels)
    assert tokenizer.tokens_per_frame == count == tokenizer.grid[0] * tokenizer.grid[1]
    frames = random_frames(5, 21, 18, 3)
    tokens = tokenizer.encode(frames)
    decoded = tokenizer.decode(tokens)
    assert tokens.shape == (5, count) and decoded.shape == (5, 21, 18, 3)
    output = tokenizer(torch.from_numpy(frames))
    assert output.target.shape == output.reconstruction.shape == (5, 3, 21, 18)
    # The padding is nothing but the frame's own edge: a frame that shows it already is the same.
    whole = build(network, frame_height=padded[0], frame_width=padded[1])
    whole.load_state_dict(tokenizer.state_dict())
    margins = ((0, 0), (0, padded[0] - 21), (0, padded[1] - 18), (0, 0))
    assert torch.equal(whole.encode(np.pad(frames, margins, mode="edge")), tokens)
    assert torch.equal(whole.decode(tokens)[:, :21, :18], decoded)


@pytest.mark.parametrize(
    ("network", "grid"),
    [("patch", (27, 20)), ("dictionary", (27, 20)), ("resnet", (4, 3)), ("vqgan", (14, 10))],
)
def test_grids_of_the_emulators_own_frames(network, grid):
    # 210 rows are 26 patches of 8 and 2 rows, or 13 of 16 and 2 rows, or 3 of 64 and 18 rows.
    tokenizer = build(
        network, frame_height=210, frame_width=160, channel_multipliers=[1, 1, 1, 1, 1]
    )
    assert tokenizer.grid == grid
    tokens = tokenizer.encode(random_frames(1, 210, 160, 3))
    assert tokenizer.decode(tokens).shape == (1, 210, 160, 3)


def test_a_dictionary_keeps_the_last_rows_exactly():
    tokenizer = build("dictionary")
    frames = random_frames(1, 21, 18, 3)
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    assert torch.equal(tokenizer.decode(tokenizer.encode(frames)), torch.from_numpy(frames))


def test_repr_is_one_line(tokenizer):
    weights = sum(parameter.numel() for parameter in tokenizer.parameters())
    assert repr(tokenizer) == (
        f"Tokenizer(16x24 frames, 2x3 tokens of 16, patch, fsq, {weights:,} weights, "
        f"fingerprint {tokenizer.fingerprint[:8]})"
    )
    assert repr(build("dictionary")).startswith("Tokenizer(21x18 frames, 3x3 tokens of 16, dict")
    two_levels = build("vqvae2", residual_depth=2)
    assert "3x3x2 + 6x6x2 tokens of 16, vqvae2, vq" in repr(two_levels)


def test_a_device_without_native_bfloat16_runs_without_autocast(tokenizer, monkeypatch):
    """Some devices (mps) know no autocast at all."""
    monkeypatch.setattr("worldtokens.tokenizer.autoencoder.native_autocast_dtype", lambda _: None)
    monkeypatch.setattr(torch, "autocast", None)
    tokens = tokenizer.encode(random_frames(2, 16, 24, 3))
    assert tokenizer.decode(tokens).shape == (2, 16, 24, 3)


@pytest.mark.parametrize("update", ("ema", "gradient"))
def test_threads_share_a_tokenizer_in_train_mode(update):
    tokenizer = Tokenizer(
        TokenizerConfig(
            16, 16, "patch", quantizer="vq", codebook_size=16, code_dim=4, codebook_update=update,
            encoder_width=8, encoder_depth=1, decoder_width=8, decoder_depth=1,
            decoder_fine_depth=1,
        )
    ).train()  # fmt: skip
    frames = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    before, truth = tokenizer.fingerprint, tokenizer.encode(frames)
    wrong = []

    def work():
        for _ in range(10):
            tokens = tokenizer.encode(frames)
            wrong.extend([tokens] * (not torch.equal(tokens, truth)))
            tokenizer.decode(tokens)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and tokenizer.fingerprint == before
    assert all(part.training for part in tokenizer.modules())


@pytest.mark.parametrize("change", ("half", "double", "bfloat16"))
def test_other_types_of_weights_are_refused_in_words(tokenizer, change):
    frames = np.zeros((1, *tokenizer.frame_shape), np.uint8)
    changed = getattr(copy.deepcopy(tokenizer), change)()
    with pytest.raises(ValueError, match="tokenizer: expected weights of torch.float32, got torch"):
        changed.encode(frames)
    with pytest.raises(ValueError, match=r"use .float\(\), encode and decode choose"):
        changed.decode(np.zeros((1, tokenizer.tokens_per_frame), np.int64))

"""The ONNX graphs against the tokenizer."""

import importlib.util

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx", reason="needs onnx (the extra onnx)")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime (the extra onnx)")
pytest.importorskip("onnxscript", reason="needs onnxscript (the extra onnx)")

from worldtokens.tokenizer import Tokenizer, TokenizerConfig  # noqa: E402
from worldtokens.tokenizer.onnx_graphs import (  # noqa: E402
    Agreement,
    check_installed,
    compare,
    export_onnx,
)

# float32 has 24 bits; a hundred sums of values of order 1 stay within this.
ROUNDING = 1e-4


def random_frames(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tokenizer(new_tiny_tokenizer):
    tokenizer = new_tiny_tokenizer(spread=1.0, fsq_levels=[8, 5])
    tokenizer.uses_autocast = False
    return tokenizer.train()


@pytest.fixture(scope="module")
def files(tokenizer, tmp_path_factory):
    return export_onnx(tokenizer, tmp_path_factory.mktemp("onnx") / "new")


def test_tokens_are_equal_but_on_rounding_boundaries(tokenizer, files):
    session = onnxruntime.InferenceSession(files.encode)
    frames = random_frames(300)
    (tokens,) = session.run(None, {"frames": frames})
    expected = tokenizer.encode(frames).numpy()
    assert tokens.dtype == np.int64 and tokens.shape == (300, 6)
    assert len(np.unique(expected)) > 20
    differs = tokens != expected
    assert differs.mean() < 1e-3
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.no_grad():
        bounded = tokenizer.quantizers[0]._bound(tokenizer.network.latents(pixels, [])).numpy()
    to_boundary = np.abs(bounded - np.floor(bounded) - 0.5).min(-1)
    assert (to_boundary[differs] < ROUNDING).all()


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_the_batch_is_free(tokenizer, files, batch):
    frames = random_frames(batch, seed=batch)
    agreement = compare(tokenizer, files, frames)
    assert agreement.tokens == 1.0 and agreement.largest_difference <= 1


def test_frames_differ_by_one_grey_level_at_most(tokenizer, files):
    tokens = np.random.default_rng(0).integers(0, 40, (200, 6))
    (frames,) = onnxruntime.InferenceSession(files.decode).run(None, {"tokens": tokens})
    expected = tokenizer.decode(tokens).numpy()
    assert frames.dtype == np.uint8 and frames.shape == (200, 16, 24, 3)
    assert expected.std() > 1
    difference = np.abs(frames.astype(np.int16) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_a_dictionary_of_patches_is_exact(tmp_path):
    """Its distances are whole numbers, so that there is no rounding."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(
        TokenizerConfig(
            frame_height=16, frame_width=24, network="dictionary", quantizer="dictionary",
            codebook_size=50, decoder_width=16, decoder_depth=1, decoder_fine_depth=1,
        )
    )  # fmt: skip
    files = export_onnx(tokenizer, tmp_path)
    frames = random_frames(200)
    assert compare(tokenizer, files, frames).is_good
    (tokens,) = onnxruntime.InferenceSession(files.encode).run(None, {"frames": frames})
    assert np.array_equal(tokens, tokenizer.encode(frames).numpy())


@pytest.mark.parametrize("scope", ["patch", "frame"])
def test_a_vqgan_agrees(tmp_path, scope):
    torch.manual_seed(0)
    tokenizer = Tokenizer(
        TokenizerConfig(
            frame_height=16, frame_width=24, network="resnet", encoder_scope=scope, quantizer="vq",
            encoder_width=32, encoder_depth=1, channel_multipliers=[1, 2], decoder_width=8,
            decoder_depth=1, codebook_size=50, code_dim=12,
        )
    )  # fmt: skip
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    files = export_onnx(tokenizer, tmp_path)
    frames = random_frames(200)
    assert len(np.unique(tokenizer.encode(frames))) > 20
    assert compare(tokenizer, files, frames).is_good


def test_metadata(tokenizer, files):
    for path in (files.encode, files.decode):
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        expected = {"fingerprint": tokenizer.fingerprint, "grid": "2x3", "vocab_size": "40"}
        assert expected.items() <= metadata.items()


def test_the_tokenizer_stays_as_it_was(tokenizer, files):
    assert tokenizer.training
    assert all(parameter.requires_grad for parameter in tokenizer.parameters())


def test_agreement():
    assert Agreement(1.0, 1).is_good
    assert not Agreement(0.998, 0).is_good
    assert not Agreement(1.0, 2).is_good


def test_graphs_of_another_tokenizer_disagree(tokenizer, files):
    torch.manual_seed(1)
    assert not compare(Tokenizer(tokenizer.config), files, random_frames(8)).is_good


def test_a_missing_package_is_named(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnx" else find_spec(name)
    )
    with pytest.raises(ValueError, match=r"missing onnx; pip install 'worldtokens\[onnx\]'"):
        check_installed()

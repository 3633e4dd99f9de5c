import json

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.pixels import scale_frames, unscale_frames

TINY = TokenizerConfig(
    frame_height=16,
    frame_width=24,
    network="patch",
    quantizer="fsq",
    encoder_width=16,
    encoder_depth=1,
    decoder_width=16,
    decoder_depth=1,
    decoder_fine_depth=1,
    fsq_levels=[4, 4],
)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return Tokenizer(TINY).eval()


def random_frames(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 16, 24, 3), dtype=np.uint8)


def test_sizes(tokenizer):
    assert tokenizer.grid == (2, 3)
    assert tokenizer.tokens_per_frame == 6
    assert tokenizer.vocab_size == 16
    assert tokenizer.frame_shape == (16, 24, 3)


def test_scaling_is_undone():
    frames = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    pixels = scale_frames(frames)
    assert pixels.shape == (1, 3, 16, 16)
    assert pixels.min() == -1.0 and pixels.max() == 1.0
    assert torch.equal(unscale_frames(pixels), frames)
    assert unscale_frames(torch.full((1, 3, 1, 1), 7.0)).tolist() == [[[[255, 255, 255]]]]


@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (0,), (2, 0)])
def test_shapes_and_types(tokenizer, leading):
    frames = random_frames(*leading)
    tokens = tokenizer.encode(frames)
    assert tokens.shape == (*leading, 6) and tokens.dtype == torch.int64
    decoded = tokenizer.decode(tokens)
    assert decoded.shape == frames.shape and decoded.dtype == torch.uint8
    vectors = tokenizer.embed(tokens)
    assert vectors.shape == (*leading, 6, 2) and vectors.dtype == torch.float32


def test_arrays_and_tensors_give_the_same(tokenizer):
    frames = random_frames(3)
    assert torch.equal(tokenizer.encode(frames), tokenizer.encode(torch.from_numpy(frames)))
    tokens = tokenizer.encode(frames)
    assert torch.equal(tokenizer.decode(tokens), tokenizer.decode(tokens.numpy()))
    assert torch.equal(tokenizer.decode(tokens), tokenizer.decode(tokens.int()))


def test_views_and_read_only_arrays(tokenizer):
    frames = random_frames(4)
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
    frames = random_frames(1)
    changed = frames.copy()
    changed[0, :8, :8] = 255 - changed[0, :8, :8]
    before, after = tokenizer.encode(frames)[0], tokenizer.encode(changed)[0]
    assert torch.equal(before[1:], after[1:])
    assert before[0] != after[0]


def test_embed_gives_the_vectors_that_the_decoder_gets(tokenizer):
    frames = torch.from_numpy(random_frames(2))
    tokenizer.uses_autocast = False
    output = tokenizer(frames)
    made = tokenizer.network.decode([tokenizer.embed(output.tokens)])
    torch.testing.assert_close(made, output.reconstruction)
    assert torch.equal(tokenizer.encode(frames), output.tokens)
    assert torch.equal(tokenizer.decode(output.tokens), unscale_frames(output.reconstruction))
    tokenizer.uses_autocast = True


def test_forward_gives_gradients_to_every_parameter(tokenizer):
    output = tokenizer(torch.from_numpy(random_frames(2)))
    output.reconstruction.square().mean().backward()
    without = [name for name, value in tokenizer.named_parameters() if value.grad is None]
    assert without == []
    tokenizer.zero_grad()


def test_inference_leaves_the_mode_as_it_was(tokenizer):
    tokenizer.train()
    tokens = tokenizer.encode(random_frames(1))
    assert tokenizer.training and not tokens.requires_grad
    tokenizer.eval()
    tokenizer.decode(tokens)
    assert not tokenizer.training


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (random_frames(1).astype(np.float32), r"frames: expected uint8 in .*, got torch.float32"),
        (random_frames(1)[:, :8], r"expected shape \(\.\.\., 16, 24, 3\), got \(1, 8, 24, 3\)"),
        (random_frames(1).transpose(0, 3, 1, 2), r"got \(1, 3, 16, 24\)"),
        (np.uint8(3), "frames: expected a tensor or a numpy array, got uint8"),
        ([[1, 2]], "frames: expected a tensor or a numpy array, got list"),
        (np.array(["a"]), "frames: expected a numeric array, got dtype <U1"),
        (torch.zeros(16, 24, 3, dtype=torch.uint8, device="meta"), "expected a tensor on the CPU"),
        (torch.zeros(16, 24, 3).to_sparse(), "frames: expected a dense tensor"),
    ],
)  # fmt: skip
def test_wrong_frames(tokenizer, frames, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.encode(frames)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.zeros((2, 5), np.int64), r"tokens: expected shape \(\.\.\., 6\), got \(2, 5\)"),
        (np.array(3), r"got \(\)"),
        (np.zeros((2, 6), np.float32), "tokens: expected int64 .* got torch.float32"),
        (np.zeros((2, 6), bool), "tokens: expected int64 .* got torch.bool"),
        (np.full((2, 6), 16), r"tokens: expected values in \[0, 16\), got 16 to 16"),
        (np.full((2, 6), -1), r"got -1 to -1"),
        (np.zeros((2, 6), np.uint64), "tokens: expected uint8 or a signed integer type"),
        (torch.zeros(2, 6, dtype=torch.int64, device="meta"), "expected a tensor on the CPU"),
    ],
)
def test_wrong_tokens(tokenizer, tokens, message):
    for method in (tokenizer.decode, tokenizer.embed):
        with pytest.raises(ValueError, match=message):
            method(tokens)


def test_save_and_load(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = Tokenizer.from_pretrained(tmp_path)
    assert loaded.config == TINY
    assert not loaded.training
    assert loaded.fingerprint == tokenizer.fingerprint
    frames = random_frames(2)
    assert torch.equal(loaded.encode(frames), tokenizer.encode(frames))


def test_load_from_a_run_folder(tokenizer, tmp_path):
    (tmp_path / "config.yaml").write_text("env: Pong\n")
    with pytest.raises(ValueError, match="has no export/ yet"):
        Tokenizer.from_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path / "export")
    assert Tokenizer.from_pretrained(str(tmp_path)).fingerprint == tokenizer.fingerprint


def test_fingerprint_tells_weights_and_configs_apart(tokenizer):
    other = Tokenizer(TINY)
    other.load_state_dict(tokenizer.state_dict())
    assert other.fingerprint == tokenizer.fingerprint
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    assert other.fingerprint != tokenizer.fingerprint


def test_missing_and_foreign_folders(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="no such folder; train one with"):
        Tokenizer.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is neither a run folder nor an export folder"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder, got a file"):
        Tokenizer.from_pretrained(tmp_path / "file")
    with pytest.raises(ValueError, match="no such folder, and the Hub gave no model.safetensors"):
        Tokenizer.from_pretrained("nobody/nothing", local_files_only=True)


def break_weights(folder):
    (folder / "model.safetensors").write_bytes(b"\x00" * 40)


def remove_weights(folder):
    (folder / "model.safetensors").unlink()


def edit_config(**changes):
    def edit(folder):
        tree = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**tree, **changes}))

    return edit


def break_config(folder):
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_weights, "model.safetensors is damaged"),
        (remove_weights, "model.safetensors is missing"),
        (break_config, "config.json is not JSON"),
        (edit_config(model="worldtokens.world_model"), "is not a tokenizer: .* 'worldtokens.world"),
        (edit_config(format=99), "expected format 1, got 99"),
        (edit_config(color="red"), "has other keys: color"),
        (edit_config(encoder_width="wide"), "has encoder_width='wide', expected <class 'int'>"),
        (edit_config(fsq_levels=[4, 4.5]), r"has fsq_levels=\[4, 4.5\]"),
        (edit_config(encoder_width=8), "the weights do not fit its config.json"),
        (edit_config(network="magic"), r"network: expected one of \(.*\), got 'magic'"),
    ],
)
def test_damaged_folders(tokenizer, tmp_path, damage, message):
    tokenizer.save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_height": 0}, "frame_height: expected at least 1, got 0"),
        ({"patch_size": 6, "frame_height": 12, "frame_width": 12}, "patch_size: expected a mult"),
        ({"encoder_width": 0}, "encoder_width: expected at least 1, got 0"),
        ({"decoder_depth": -1}, "decoder_depth: expected at least 0, got -1"),
        ({"fsq_levels": [8, 1]}, r"fsq_levels: expected whole numbers of at least 2"),
        ({"fsq_levels": []}, r"fsq_levels: expected whole numbers of at least 2"),
        ({"quantizer": "vq3"}, "quantizer: expected one of"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        TokenizerConfig(**changes)

"""Made-up inputs, the same in every run: each gives a ValueError in words or a right answer."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from worldtokens.tokenizer import Tokenizer, TokenizerConfig

H, W, K, VOCABULARY = 16, 24, 6, 16
CASES = 200
CONFIG = TokenizerConfig(
    frame_height=H, frame_width=W, network="patch", quantizer="fsq", encoder_width=16,
    encoder_depth=1, decoder_width=16, decoder_depth=1, decoder_fine_depth=1, fsq_levels=[4, 4],
)  # fmt: skip
DTYPES = [
    "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
    "float64", "longdouble", "bool", "complex64", "<U3", "S2", "object", "datetime64[s]", ">i8",
    ">i4", "<i2", "V4",
]  # fmt: skip
LEADING = [(), (1,), (3,), (0,), (2, 2), (2, 0), (1, 1, 1)]


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return Tokenizer(CONFIG).eval()


def draw_array(rng, item_shape, top):
    """Any array: of any dtype, mostly of a right shape, sometimes a strange view."""
    shape = (*LEADING[rng.integers(len(LEADING))], *item_shape)
    change = rng.integers(8)
    if change == 0 and shape:
        shape = shape[:-1]
    elif change == 1:
        at = rng.integers(len(shape))
        shape = (*shape[:at], int(rng.integers(0, 40)), *shape[at + 1 :])
    dtype = np.dtype(DTYPES[rng.integers(len(DTYPES))] if rng.random() < 0.4 else "int64")
    values = rng.integers(0, top, shape)
    if rng.random() < 0.2:
        values = values + int(rng.choice([-1, top, 2**40, -(2**62)]))
    if dtype.kind == "V":
        return np.zeros(shape, dtype)
    with np.errstate(all="ignore"):
        array = np.asarray(values).astype(dtype)
    return strange_view(rng, array)


def strange_view(rng, array):
    view = rng.integers(9)
    if view == 0 and array.ndim:
        return array[..., ::-1]
    if view == 1 and array.ndim > 1:
        return array[::-1]
    if view == 2:
        return np.asfortranarray(array)
    if view == 3:
        return np.broadcast_to(array, (2, *array.shape))
    if view == 4:
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen
    if view == 5:
        records = np.zeros(array.shape, [("tag", "u1"), ("value", array.dtype)])
        records["value"] = array
        return records["value"]
    if view == 6:
        return np.ma.masked_array(array, mask=False)
    if view == 7:
        wide = np.repeat(array, 2, axis=-1) if array.ndim else array
        return wide[..., ::2] if array.ndim else wide
    return array


def as_other_type(rng, array):
    """The array as something else: a tensor of some device or layout, a list, a scalar, nothing."""
    kind = rng.integers(12)
    if kind == 0:
        return array.tolist() if array.size < 2000 else [array]
    if kind == 1:
        return None
    if kind == 2:
        return array.reshape(-1)[0] if array.size else 3
    if kind == 3:
        return "frames"
    if kind < 8:
        try:
            tensor = torch.from_numpy(np.array(array))
        except (TypeError, ValueError):
            return array
        if tensor.is_complex():
            return tensor
        return [
            lambda: tensor,
            lambda: tensor.to("meta"),
            lambda: tensor.float().to_sparse(),
            lambda: (
                tensor.transpose(0, -1).contiguous().transpose(0, -1) if tensor.ndim else tensor
            ),
            lambda: torch.nested.nested_tensor(
                [tensor.float()[None], tensor.float()[None]], layout=torch.jagged
            ),
            lambda: tensor.unsqueeze(0).expand(2, *tensor.shape),
        ][rng.integers(6)]()
    return array


def plain(value):
    """The values as int64, where they can be had."""
    return torch.as_tensor(
        np.asarray(value).astype(np.int64) if not torch.is_tensor(value) else value
    )


def is_right(value, item_shape, kinds, top):
    """Whether the contract takes this input, by other means than the checks themselves."""
    if torch.is_tensor(value):
        if value.layout != torch.strided or value.is_nested or value.device.type != "cpu":
            return False
        name = str(value.dtype).removeprefix("torch.")
    elif isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        name = value.dtype.newbyteorder("=").name
    else:
        return False
    if name not in kinds or tuple(value.shape[-len(item_shape) :]) != item_shape:
        return False
    values = plain(value).long()
    return not values.numel() or (0 <= int(values.min()) and int(values.max()) < top)


def check(call, value, right, what):
    """Calls; returns the result, or None after an error in words."""
    try:
        result = call(value)
    except ValueError as error:
        assert not right, f"{what} was refused: {error}"
        assert str(error).startswith(("frames: expected", "tokens: expected")), error
        return None
    assert right, f"{what} was taken"
    return result


def describe(value):
    kind = type(value).__name__
    return f"{kind} {getattr(value, 'dtype', '')} {tuple(getattr(value, 'shape', ()))}"


@pytest.mark.parametrize("chunk", range(4))
def test_frames(tokenizer, chunk):
    taken = 0
    for case in range(chunk, CASES, 4):
        rng = np.random.default_rng((1, case))
        array = draw_array(rng, (H, W, 3), 256)
        if rng.random() < 0.5 and array.dtype.kind in "iu":
            array = strange_view(rng, np.array(array).astype(np.uint8))
        value = as_other_type(rng, array)
        right = is_right(value, (H, W, 3), {"uint8"}, 256)
        found = check(tokenizer.encode, value, right, f"case {case}: {describe(value)}")
        if found is None:
            continue
        taken += 1
        frames = plain(value).to(torch.uint8).contiguous()
        flat = frames.reshape(-1, H, W, 3)
        assert found.shape == (*frames.shape[:-3], K)
        for made, frame in zip(found.reshape(-1, K), flat, strict=True):
            assert torch.equal(made, tokenizer.encode(frame))
    assert taken > 3


@pytest.mark.parametrize("chunk", range(4))
def test_tokens(tokenizer, chunk):
    taken = 0
    for case in range(chunk, CASES, 4):
        rng = np.random.default_rng((2, case))
        value = as_other_type(rng, draw_array(rng, (K,), VOCABULARY))
        right = is_right(value, (K,), {"int64", "int32", "int16", "uint8"}, VOCABULARY)
        what = f"case {case}: {describe(value)}"
        frames = check(tokenizer.decode, value, right, what)
        vectors = check(tokenizer.embed, value, right, what)
        if frames is None or vectors is None:
            continue
        taken += 1
        tokens = plain(value).long().contiguous()
        assert torch.equal(frames, tokenizer.decode(tokens))
        assert frames.shape == (*tokens.shape[:-1], H, W, 3)
        # Code 4 x b + a of FSQ's levels [4, 4] lies at ((a - 2) / 2, (b - 2) / 2).
        expected = torch.stack([tokens % 4, tokens // 4], dim=-1).float() / 2 - 1
        assert torch.equal(vectors, expected)
    assert taken > 3


VALUES = [
    None, True, 0, 1, -1, 2, 7, 64, 10**6, 2**31, 10**30, 0.5, -0.0, 1e300, float("nan"),
    float("inf"), "", "vq", "patch", "64", [], [1], [0], [4, 4], [4, "4"], [10**9, 10**9], [[1]],
    {}, {"a": 1}, "\u0000", "a" * 10_000,
]  # fmt: skip


def spoil_config(rng, folder):
    """Changes config.json: a value, a key, the text, the whole."""
    path = folder / "config.json"
    tree = json.loads(path.read_text())
    keys = list(tree)
    kind = rng.integers(10)
    if kind < 6:
        tree[keys[rng.integers(len(keys))]] = VALUES[rng.integers(len(VALUES))]
    elif kind == 6:
        del tree[keys[rng.integers(len(keys))]]
    elif kind == 7:
        tree[str(VALUES[rng.integers(len(VALUES))])] = 1
    elif kind == 8:
        text = path.read_text()
        path.write_text(text[: rng.integers(len(text) - 2)])
        return
    else:
        texts = [b"", b"[]", b"null", b"3", b"[" * 100_000, b"\xff\xfe\x00", b'"model"', b"{}" * 2]
        path.write_bytes(texts[rng.integers(len(texts))])
        return
    path.write_text(json.dumps(tree))


def spoil_weights(rng, folder):
    """Changes model.safetensors: its bytes, its length, a tensor."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    kind = rng.integers(9)
    if kind == 0:
        path.write_bytes(content[: rng.integers(len(content))])
    elif kind == 1:
        # The head says how long it is and what lies where.
        spoilt = bytearray(content)
        spoilt[rng.integers(200)] ^= int(rng.integers(1, 256))
        path.write_bytes(spoilt)
    elif kind == 2:
        path.write_bytes(bytes(rng.integers(0, 256, rng.integers(400), dtype=np.uint8)))
    elif kind == 3:
        path.write_bytes(content + b"more")
    elif kind == 4:
        path.unlink()
    else:
        spoil_tensor(rng, path, kind)


def spoil_tensor(rng, path, kind):
    weights = load_file(path)
    name = sorted(weights)[rng.integers(len(weights))]
    value = weights[name]
    if kind == 5:
        del weights[name]
    elif kind == 6:
        weights[f"{name}.more"] = value.clone()
    elif kind == 7:
        others = [value[..., :-1], value[None], value.double(), value.int(), value.bool()]
        weights[name] = others[rng.integers(5)].contiguous()
    else:
        value.view(-1)[rng.integers(value.numel())] = float(rng.choice([np.nan, np.inf]))
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("chunk", range(4))
def test_folders(tokenizer, tmp_path, chunk):
    frames = np.random.default_rng(0).integers(0, 256, (2, H, W, 3), dtype=np.uint8)
    expected = tokenizer.encode(frames)
    whole = tmp_path / "whole"
    tokenizer.save_pretrained(whole)
    refused = 0
    for case in range(chunk, CASES, 4):
        rng = np.random.default_rng((3, case))
        folder = tmp_path / "spoilt"
        shutil.copytree(whole, folder)
        (spoil_config if rng.random() < 0.4 else spoil_weights)(rng, folder)
        try:
            loaded = Tokenizer.from_pretrained(folder)
        except ValueError as error:
            refused += 1
            assert len(str(error)) > 20, error
        else:
            # What was changed is not used by this design, or says the same.
            assert loaded.frame_shape == (H, W, 3), case
            same_bytes = (folder / "model.safetensors").read_bytes() == (
                whole / "model.safetensors"
            ).read_bytes()
            assert not same_bytes or torch.equal(loaded.encode(frames), expected), case
            assert loaded.decode(expected).shape == frames.shape
        shutil.rmtree(folder)
    assert refused > CASES / 4 / 2


@pytest.mark.parametrize(
    "place", [None, 3, b"here", [], {}, 1.5, "", " ", "\0", "a/b/c", "a" * 5000, "../..", "~", "//"]
)
def test_places(place, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="^tokenizer"):
        Tokenizer.from_pretrained(place, local_files_only=True)

"""Frames and tokens of all kinds: each gives a ValueError in words or a right answer."""

import numpy as np
import pytest
import torch

from worldtokens.tokenizer import Tokenizer, TokenizerConfig

CONFIG = TokenizerConfig(
    frame_height=16, frame_width=24, network="patch", quantizer="fsq", encoder_width=16,
    encoder_depth=1, decoder_width=16, decoder_depth=1, decoder_fine_depth=1, fsq_levels=[4, 4],
)  # fmt: skip


H, W, K, VOCABULARY = 16, 24, 6, 16
CASES = 200


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


def random_frames(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, H, W, 3), dtype=np.uint8)


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


def test_frames_of_all_kinds(tokenizer):
    taken = 0
    for case in range(CASES):
        rng = np.random.default_rng((1, case))
        array = draw_array(rng, (H, W, 3), 256)
        if rng.random() < 0.5 and array.dtype.kind in "iu":
            array = strange_view(rng, np.array(array).astype(np.uint8))
        value = as_other_type(rng, array)
        right = is_right(value, (H, W, 3), {"uint8"}, 256)
        tokens = check(tokenizer.encode, value, right, f"case {case}: {describe(value)}")
        if tokens is None:
            continue
        taken += 1
        frames = plain(value).to(torch.uint8).contiguous()
        flat = frames.reshape(-1, H, W, 3)
        assert tokens.shape == (*frames.shape[:-3], K)
        for row, frame in zip(tokens.reshape(-1, K), flat, strict=True):
            assert torch.equal(row, tokenizer.encode(frame))
    assert taken > 12


def test_tokens_of_all_kinds(tokenizer):
    taken = 0
    for case in range(CASES):
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
    assert taken > 12

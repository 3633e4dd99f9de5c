"""iris_names.json lists the tensors of IRIS's tokenizer, as its own code makes it."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from worldtokens.tokenizer.iris_weights import load_iris

NAMES = json.loads((Path(__file__).parent / "networks" / "iris_names.json").read_text())
CLONE = os.environ.get("IRIS_CLONE")


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return {name: 0.05 * torch.randn(shape) for name, shape in NAMES.items()}


def save(path, state, prefix="tokenizer."):
    torch.save({prefix + name: value for name, value in state.items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["tokenizer.", ""])
def test_every_tensor_has_its_place(state, tmp_path, prefix):
    more = {"lpips.lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}
    tokenizer = load_iris(save(tmp_path / "last.pt", state | more, prefix))
    assert (tokenizer.grid, tokenizer.vocab_size) == ((4, 4), 512)
    assert sum(parameter.numel() for parameter in tokenizer.parameters()) == 4_027_523
    ours = tokenizer.state_dict()
    network = "network."
    for theirs, here in {
        "embedding.weight": "quantizers.0.codes",
        "pre_quant_conv.bias": f"{network}quant_conv.bias",
        "encoder.down.2.block.1.conv1.weight": f"{network}encoder.down.2.blocks.1.conv_1.weight",
        "encoder.down.0.downsample.conv.bias": f"{network}encoder.down.0.downsample.conv.bias",
        "encoder.down.3.attn.1.proj_out.bias":
            f"{network}encoder.down.3.blocks.1.attention.project_out.bias",
        "encoder.mid.block_2.norm1.weight": f"{network}encoder.mid.block_2.norm_1.weight",
        "decoder.mid.attn_1.norm.bias": f"{network}decoder.mid.attention.norm.bias",
        # IRIS numbers the levels of the decoder from the finest.
        "decoder.up.4.upsample.conv.weight": f"{network}decoder.up.0.upsample.conv.weight",
        "decoder.up.0.block.2.conv2.weight": f"{network}decoder.up.4.blocks.2.conv_2.weight",
        "decoder.norm_out.weight": f"{network}decoder.norm_out.weight",
    }.items():  # fmt: skip
        assert torch.equal(ours[here], state[theirs]), theirs
    joined = ours[f"{network}encoder.mid.attention.project_in.weight"]
    parts = [state[f"encoder.mid.attn_1.{part}.weight"] for part in "qkv"]
    assert torch.equal(joined, torch.cat(parts))


def test_files_that_are_none_of_iris(state, tmp_path):
    path = tmp_path / "last.pt"
    with pytest.raises(ValueError, match=r"weights=.*last.pt: cannot be read"):
        load_iris(path)
    path.write_text("no weights")
    with pytest.raises(ValueError, match=r"weights=.*last.pt: cannot be read"):
        load_iris(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(ValueError, match="expected a state dict of tensors, got something else"):
        load_iris(path)
    with pytest.raises(ValueError, match="expected the tensors of IRIS's tokenizer, got others"):
        load_iris(save(path, {"actor.weight": torch.zeros(2)}, "actor_critic."))
    missing = {n: value for n, value in state.items() if n != "decoder.up.1.block.0.conv1.bias"}
    with pytest.raises(ValueError, match=r"got others at network.decoder.up.3.blocks.0.conv_1.bi"):
        load_iris(save(path, missing))


@pytest.mark.skipif(CLONE is None, reason="needs a clone of IRIS, named by IRIS_CLONE")
def test_tokens_and_frames_are_those_of_iris(tmp_path, monkeypatch):
    assert CLONE is not None
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "benchmarks"), *sys.path])
    import iris_peer

    torch.manual_seed(0)
    theirs = iris_peer.build_tokenizer(iris_peer.import_iris(Path(CLONE))).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        theirs.embedding.weight.normal_()
    ours = load_iris(save(tmp_path / "last.pt", theirs.state_dict()))
    ours.uses_autocast = False
    frames = torch.randint(0, 256, (6, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        encoded = theirs.encode(frames.permute(0, 3, 1, 2) / 255, should_preprocess=True)
        decoded = theirs.decode(encoded.z_quantized, should_postprocess=True).clamp(0, 1)
    assert len(encoded.tokens.unique()) > 3
    assert torch.equal(ours.encode(frames), encoded.tokens)
    pixels = (decoded * 255).round().permute(0, 2, 3, 1)
    assert (ours.decode(encoded.tokens).float() - pixels).abs().max() <= 1

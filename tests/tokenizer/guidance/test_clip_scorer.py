import json
import sys

import pytest
import torch

from worldtokens.tokenizer.guidance.clip_scorer import ClipConfig, ClipScorer

open_clip = pytest.importorskip("open_clip", reason="needs open_clip_torch (the extra clip)")

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A CLIP of one layer with random weights, in a local file."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny").state_dict(), folder / "tiny.pt")
    return ClipConfig(model="tiny", weights=str(folder / "tiny.pt"), cutouts=3)


def generator():
    return torch.Generator().manual_seed(0)


def test_scores_are_similarities_of_the_text_with_parts(config):
    scorer = ClipScorer(config, "a skull", generator())
    pixels = torch.rand(2, 3, 24, 20) * 2 - 1
    scores = scorer(pixels)
    assert scores.shape == (2,) and (scores.abs() <= 1).all()
    assert torch.equal(scores, ClipScorer(config, "a skull", generator())(pixels))
    other = ClipScorer(config, "a green field under a blue sky", generator())
    assert not torch.allclose(scores, other(pixels))


def test_the_gradient_raises_the_score(config):
    scorer = ClipScorer(ClipConfig(config.model, config.weights, 8), "a skull", generator())
    pixels = torch.zeros(1, 3, 32, 32, requires_grad=True)
    first = scorer(pixels)
    first.sum().backward()
    assert pixels.grad is not None
    with torch.no_grad():
        assert scorer(pixels + 0.2 * pixels.grad.sign()) > first


def test_what_is_missing_is_named(config, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="clip.weights: expected a file with the weights of ViT-B"):
        ClipScorer(ClipConfig(), "x", generator())
    with pytest.raises(ValueError, match="clip.weights: expected a file .*, got .*nowhere.pt"):
        ClipScorer(ClipConfig(weights=str(tmp_path / "nowhere.pt")), "x", generator())
    with pytest.raises(ValueError, match="clip.model: expected one of open_clip.list_models.*'a'"):
        ClipScorer(ClipConfig(model="a", weights=config.weights), "x", generator())
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"clip.weights: expected weights of tiny, got .*other.pt"):
        ClipScorer(ClipConfig("tiny", str(tmp_path / "other.pt")), "x", generator())
    with pytest.raises(ValueError, match="clip.cutouts: expected a whole number of at least 1, go"):
        ClipConfig(cutouts=0)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ValueError, match=r"scorer=clip: expected the package open_clip_torch, got"):
        ClipScorer(config, "x", generator())

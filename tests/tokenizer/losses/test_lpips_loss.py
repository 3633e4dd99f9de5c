import pytest
import torch

from worldtokens.tokenizer.losses.lpips_loss import (
    MissingWeightsError,
    Perceptual,
    load_perceptual,
)


def test_perceptual_distance(vgg16_weights):
    lpips = load_perceptual(str(vgg16_weights))
    frames = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert lpips(frames, frames).tolist() == [0.0, 0.0]
    distance = lpips(frames, frames.flip(0))
    assert distance.shape == (2,) and (distance > 0).all()
    torch.testing.assert_close(distance[0], distance[1])
    # Dropout would make it random, a trainable vgg16_weights would be trained.
    assert torch.equal(lpips.train()(frames, frames.flip(0)), distance)
    assert not any(parameter.requires_grad for parameter in lpips.parameters())
    assert lpips(frames[..., :16, :16], frames[..., 16:, 16:]).shape == (2,)


def test_perceptual_takes_the_weights_that_it_is_given(vgg16_weights):
    weights = torch.load(vgg16_weights)
    lpips = Perceptual(weights)
    first = lpips.distance.net.slice1[0].weight
    assert torch.equal(first, weights["features.0.weight"])
    heads = [value for name, value in lpips.state_dict().items() if ".lin" in name]
    assert heads and all((value >= 0).all() for value in heads), (
        "the trained heads are not negative"
    )


def test_perceptual_without_weights(vgg16_weights, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"perceptual weights: .*nowhere.pth cannot be read"):
        load_perceptual(str(tmp_path / "nowhere.pth"))
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ValueError, match=r"perceptual weights: .*text cannot be read"):
        load_perceptual(str(tmp_path / "text"))
    weights = torch.load(vgg16_weights)
    del weights["features.28.bias"]
    with pytest.raises(ValueError, match="features.28.bias is missing or of another shape"):
        Perceptual(weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*arguments, **settings):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    with pytest.raises(
        MissingWeightsError, match=r"vgg16-.*is missing and cannot be downl.*no route"
    ):
        load_perceptual(None)
    with pytest.raises(MissingWeightsError, match=r"vgg16-.*\.pth is missing$"):
        load_perceptual(None, download=False)

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from worldtokens.tokenizer import Tokenizer, TokenizerConfig, train
from worldtokens.tokenizer.averaging import WeightAverage
from worldtokens.tokenizer.losses.adversarial import NoAdversary, PatchAdversary, make_adversary
from worldtokens.tokenizer.losses.discriminator import (
    AdversaryConfig,
    Discriminator,
    adaptive_lambda,
    adversarial_loss,
    discriminator_loss,
    lecam,
    r1_penalty,
)
from worldtokens.tokenizer.losses.lpips_loss import Perceptual, load_perceptual
from worldtokens.training.budget import Progress
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics

CONFIG = dict(
    weight=0.5, loss="hinge", start=0, warmup=0, learning_rate=1e-3, width=4, depth=1,
    regularizer="none", regularizer_weight=0.1,
)  # fmt: skip


def config_with(**changes):
    return AdversaryConfig(**{**CONFIG, **changes})


def tiny_tokenizer():
    torch.manual_seed(0)
    return Tokenizer(
        TokenizerConfig(
            frame_height=16, frame_width=16, network="patch", quantizer="fsq", encoder_width=8,
            encoder_depth=1, decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
        )
    )  # fmt: skip


def test_losses_of_known_scores():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    assert float(discriminator_loss(real, fake, "hinge")) == pytest.approx(0.5 * (0.25 + 0.75))
    softplus = [math.log1p(math.exp(x)) for x in (-2.0, -0.5, -3.0, 0.5)]
    assert float(discriminator_loss(real, fake, "vanilla")) == pytest.approx(sum(softplus) / 4)
    assert float(adversarial_loss(fake)) == pytest.approx(1.25)


def test_adaptive_lambda_is_the_ratio_of_the_gradients():
    layer = torch.tensor([1.0, 2.0], requires_grad=True)
    reconstruction, adversarial = (layer * torch.tensor([3.0, 4.0])).sum(), 0.5 * layer[0]
    ratio = adaptive_lambda(reconstruction, adversarial, layer)
    assert float(ratio) == pytest.approx(5.0 / (0.5 + 1e-6))
    assert not ratio.requires_grad
    assert float(adaptive_lambda(reconstruction, 0.0 * layer[0], layer)) == 1e4


def test_weight_starts_and_warms_up():
    config = config_with(weight=2.0, start=10, warmup=4)
    assert [config.weight_at(step) for step in (0, 9, 10, 11, 13, 99)] == [0, 0, 0.5, 1.0, 2.0, 2.0]


def test_lecam_pulls_scores_to_the_opposite_averages():
    model = Discriminator(4, 1)
    model.real_mean.fill_(1.0)
    model.fake_mean.fill_(-1.0)
    term = lecam(model, torch.tensor([1.0]), torch.tensor([-1.0]), decay=0.5)
    assert float(term) == pytest.approx(8.0)
    lecam(model, torch.tensor([3.0]), torch.tensor([-1.0]), decay=0.5)
    assert (float(model.real_mean), float(model.fake_mean)) == (2.0, -1.0)


def test_r1_is_half_the_squared_gradient():
    pixels = torch.zeros(2, 3, 1, 1, requires_grad=True)
    scores = (pixels * torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)).sum(dim=(1, 2, 3))
    assert float(r1_penalty(scores, pixels)) == pytest.approx(4.5)


def test_each_step_leaves_the_other_side_alone():
    tokenizer = tiny_tokenizer()
    adversary = PatchAdversary(Accelerator(cpu=True), config_with(regularizer="lecam"))
    frames = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    output = tokenizer(frames)
    before = [value.clone() for value in adversary.discriminator.parameters()]
    adversary.step(output, Progress(0, 0.0, 0.5))
    assert all(value.grad is None for value in tokenizer.parameters())
    after = list(adversary.discriminator.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for value in adversary.discriminator.parameters():
        value.grad = None
    pixels = (output.reconstruction - output.target).abs().mean()
    term, figures = adversary.generator_term(
        output, pixels, tokenizer.last_layer, Progress(0, 0.0, 0.5)
    )
    (pixels + term).backward()
    assert all(value.grad is None for value in adversary.discriminator.parameters())
    assert all(value.grad is not None for value in tokenizer.parameters())
    assert set(figures) == {"adversarial", "adaptive_lambda"}
    # Nor does its next step add to the gradients that are there.
    gradients = [value.grad.clone() for value in tokenizer.parameters()]
    weights = [value.detach().clone() for value in tokenizer.parameters()]
    adversary.step(tokenizer(frames), Progress(1, 0.0, 0.5))
    for value, gradient, weight in zip(tokenizer.parameters(), gradients, weights, strict=True):
        assert torch.equal(value.grad, gradient) and torch.equal(value, weight)


@pytest.fixture
def new_precision():
    # Accelerate keeps the first precision of a process.
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


def test_an_adversarial_run_in_bfloat16_stays_finite(overrides, tmp_path, new_precision):
    more = [
        "mixed_precision=bf16", "tokenizer_preset=patch_fsq", "model.encoder_width=16",
        "adversary={weight: 0.8, start: 0, warmup: 0, width: 8, depth: 2, learning_rate: 1e-3}",
        "budget.max_steps=20",
    ]  # fmt: skip
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    rows = read_metrics(tmp_path / "FakeGame" / "tokenizer" / "metrics.jsonl")
    steps = [row for row in rows if "train/adversarial" in row]
    assert len(steps) == 20
    assert all(np.isfinite(value) for row in steps for value in row.values())
    weights = Tokenizer.from_pretrained(tmp_path / "FakeGame" / "tokenizer").state_dict()
    assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())


def test_no_adversary():
    adversary = make_adversary(Accelerator(cpu=True), config_with(weight=0.0))
    assert isinstance(adversary, NoAdversary)
    output = tiny_tokenizer()(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    progress = Progress(0, 0.0, 0.0)
    term, figures = adversary.generator_term(output, output.target.sum(), output.target, progress)
    assert float(term) == 0.0 and figures == {} and adversary.step(output, progress) == {}


@pytest.mark.parametrize("regularizer", ["none", "lecam", "r1"])
def test_a_run_with_a_discriminator(overrides, tmp_path, regularizer):
    more = [
        f"adversary={{weight: 0.1, start: 4, warmup: 4, width: 4, depth: 1, "
        f"regularizer: {regularizer}}}",
        "ema_decay=0.5", "loss.foreground=1",
    ]  # fmt: skip
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    rows = [
        row
        for row in read_metrics(tmp_path / "FakeGame" / "tokenizer" / "metrics.jsonl")
        if "train/loss" in row
    ]
    assert ["train/adversarial" in row for row in rows] == [False] * 4 + [True] * 8
    last = rows[-1]
    assert {"train/adaptive_lambda", "train/discriminator", "train/foreground"} <= set(last)
    assert (f"train/{regularizer}" in last) == (regularizer != "none")
    assert all(np.isfinite(value) for value in last.values())


def test_a_run_with_a_discriminator_resumes(overrides, tmp_path, monkeypatch):
    more = ["adversary={weight: 0.1, start: 2, warmup: 4, width: 4, depth: 1}", "ema_decay=0.5"]

    def config(run):
        return compose(train.TrainConfig, "tokenizer", [*overrides, *more, f"run={run}"])

    train.main(config("whole"))
    step = train.train_step

    def interrupted(*arguments):
        if arguments[-1].step == 7:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train, "train_step", interrupted)
    parts = config("parts")
    parts.checkpoint_every_minutes = 0
    with pytest.raises(KeyboardInterrupt):
        train.main(parts)
    monkeypatch.undo()
    train.main(config("parts"))
    folders = [tmp_path / "FakeGame" / run for run in ("whole", "parts")]
    prints = [Tokenizer.from_pretrained(folder).fingerprint for folder in folders]
    assert prints[0] == prints[1]


def test_the_average_follows_the_weights():
    tokenizer = tiny_tokenizer()
    average = WeightAverage(tokenizer, 0.75)
    before = tokenizer.last_layer.detach().clone()
    with torch.no_grad():
        tokenizer.last_layer.add_(4.0)
    average.update()
    torch.testing.assert_close(average.model.last_layer, before + 1.0)
    other = WeightAverage(tokenizer, 0.75)
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.model.last_layer, average.model.last_layer)
    assert WeightAverage(tokenizer, 0.0).model is tokenizer
    with pytest.raises(ValueError, match=r"ema_decay: expected a share in \[0, 1\), got 1.0"):
        WeightAverage(tokenizer, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "wgan"}, "adversary.loss: expected one of"),
        ({"regularizer": "l2"}, "adversary.regularizer: expected one of"),
        ({"start": -1}, "adversary.start: expected at least 0, got -1"),
        ({"width": 0}, "adversary.width: expected at least 1, got 0"),
    ],
)
def test_wrong_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        config_with(**changes)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """VGG16's convolutions with made-up weights, in torchvision's names."""
    torch.manual_seed(0)
    weights, channels = {}, 3
    layers = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512}
    layers |= {24: 512, 26: 512, 28: 512}
    for index, out in layers.items():
        conv = nn.Conv2d(channels, out, 3)
        weights[f"features.{index}.weight"] = conv.weight.detach()
        weights[f"features.{index}.bias"] = conv.bias.detach()
        channels = out
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(weights, path)
    return path


def test_perceptual_distance(trunk):
    judge = load_perceptual(str(trunk))
    frames = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert judge(frames, frames).tolist() == [0.0, 0.0]
    distance = judge(frames, frames.flip(0))
    assert distance.shape == (2,) and (distance > 0).all()
    torch.testing.assert_close(distance[0], distance[1])
    # Dropout would make it random, a trainable trunk would be trained.
    assert torch.equal(judge.train()(frames, frames.flip(0)), distance)
    assert not any(parameter.requires_grad for parameter in judge.parameters())
    assert judge(frames[..., :16, :16], frames[..., 16:, 16:]).shape == (2,)


def test_perceptual_takes_the_weights_that_it_is_given(trunk):
    weights = torch.load(trunk)
    judge = Perceptual(weights)
    first = judge.distance.net.slice1[0].weight
    assert torch.equal(first, weights["features.0.weight"])
    heads = [value for name, value in judge.state_dict().items() if ".lin" in name]
    assert heads and all((value >= 0).all() for value in heads), (
        "the trained heads are not negative"
    )


def test_perceptual_without_weights(trunk, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"perceptual weights: .*nowhere.pth cannot be read"):
        load_perceptual(str(tmp_path / "nowhere.pth"))
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(ValueError, match=r"perceptual weights: .*text cannot be read"):
        load_perceptual(str(tmp_path / "text"))
    weights = torch.load(trunk)
    del weights["features.28.bias"]
    with pytest.raises(ValueError, match="features.28.bias is missing or of another shape"):
        Perceptual(weights)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def no_network(*arguments, **settings):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    with pytest.raises(ValueError, match=r"vgg16-.*is missing and cannot be downloaded \(no route"):
        load_perceptual(None)


def test_a_run_with_lpips(overrides, tmp_path, trunk):
    more = ["loss.perceptual=1", f"loss.perceptual_weights={trunk}", "budget.max_steps=2"]
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    folder = tmp_path / "FakeGame" / "tokenizer"
    assert read_metrics(folder / "metrics.jsonl")[-1].get("heldout/psnr") is not None
    names = Tokenizer.from_pretrained(folder).state_dict()
    assert not [name for name in names if "distance" in name]

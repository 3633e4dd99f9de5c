import pytest
import torch
from accelerate import Accelerator

from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.losses.adversarial import NoAdversary, PatchAdversary, make_adversary
from worldtokens.tokenizer.losses.discriminator import AdversaryConfig
from worldtokens.training.budget import Progress, ScheduleConfig

CONFIG = dict(
    weight=0.5, loss="hinge", start=0, warmup=0, learning_rate=1e-3, width=4, depth=1,
    regularizer="none", regularizer_weight=0.1, feature_matching=0.0,
)  # fmt: skip


def config_with(**changes):
    return AdversaryConfig(**{**CONFIG, **changes})


@pytest.fixture
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(
        TokenizerConfig(
            frame_height=16, frame_width=16, network="patch", quantizer="fsq", encoder_width=8,
            encoder_depth=1, decoder_width=8, decoder_depth=1, decoder_fine_depth=1,
        )
    )  # fmt: skip


def test_each_step_leaves_the_other_side_alone(tokenizer):
    adversary = PatchAdversary(
        Accelerator(cpu=True), config_with(regularizer="lecam"), ScheduleConfig()
    )
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
    term, metrics = adversary.generator_term(
        output, pixels, tokenizer.last_layer, Progress(0, 0.0, 0.5)
    )
    (pixels + term).backward()
    assert all(value.grad is None for value in adversary.discriminator.parameters())
    assert all(value.grad is not None for value in tokenizer.parameters())
    assert set(metrics) == {"adversarial", "adaptive_lambda"}
    # Nor does its next step add to the gradients that are there.
    gradients = [value.grad.clone() for value in tokenizer.parameters()]
    weights = [value.detach().clone() for value in tokenizer.parameters()]
    adversary.step(tokenizer(frames), Progress(1, 0.0, 0.5))
    for value, gradient, weight in zip(tokenizer.parameters(), gradients, weights, strict=True):
        assert torch.equal(value.grad, gradient) and torch.equal(value, weight)


def test_feature_matching_is_added_where_there_is_no_lpips(tokenizer):
    frames = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    output = tokenizer(frames)
    pixels = (output.reconstruction - output.target).abs().mean()
    terms = {}
    for matching, has_lpips in ((0.0, False), (2.0, True), (2.0, False)):
        torch.manual_seed(0)
        adversary = make_adversary(
            Accelerator(cpu=True),
            config_with(feature_matching=matching, start=2, warmup=2),
            ScheduleConfig(),
            has_lpips,
        )
        arguments = output, pixels, tokenizer.last_layer
        assert float(adversary.generator_term(*arguments, Progress(1, 0.0, 0.5))[0]) == 0.0
        half, metrics = adversary.generator_term(*arguments, Progress(2, 0.0, 0.5))
        whole, _ = adversary.generator_term(*arguments, Progress(3, 0.0, 0.5))
        assert float(whole.detach()) == pytest.approx(2 * float(half.detach()), rel=1e-5)
        terms[matching, has_lpips] = float(whole.detach()), metrics.get("feature_matching")
    assert terms[2.0, True] == terms[0.0, False]
    assert terms[2.0, True][1] is None
    total, distance = terms[2.0, False]
    assert distance is not None and distance > 0
    assert total - terms[0.0, False][0] == pytest.approx(2 * distance, rel=1e-4)


def test_no_adversary(tokenizer):
    adversary = make_adversary(Accelerator(cpu=True), config_with(weight=0.0), ScheduleConfig())
    assert isinstance(adversary, NoAdversary)
    output = tokenizer(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    progress = Progress(0, 0.0, 0.0)
    term, metrics = adversary.generator_term(output, output.target.sum(), output.target, progress)
    assert float(term) == 0.0 and metrics == {} and adversary.step(output, progress) == {}

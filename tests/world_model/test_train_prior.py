import json

import pytest

from worldtokens.training.command_line import compose
from worldtokens.world_model import FramePrior, train_prior
from worldtokens.world_model.train_prior import TrainPriorConfig


def test_a_prior_learns_and_resumes_bit_for_bit(dataset, train_tiny_prior):
    straight = train_tiny_prior(dataset, "run=straight", "evaluations=1")
    lines = [json.loads(line) for line in (straight / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/nats_per_frame"] for line in lines if "train/nats_per_frame" in line]
    assert losses[-1] < losses[0]
    assert any("heldout/nats_per_frame" in line for line in lines)
    assert (straight / "samples" / "step_0000006.png").exists()
    with pytest.MonkeyPatch.context() as patch:
        calls = []

        def stop(*args):
            calls.append(args)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return step(*args)

        step = train_prior.train_step
        patch.setattr(train_prior, "train_step", stop)
        with pytest.raises(KeyboardInterrupt):
            train_tiny_prior(dataset, "run=halved", "checkpoint_every_minutes=0")
    halved = train_tiny_prior(dataset, "run=halved", "checkpoint_every_minutes=0")
    first, second = (FramePrior.from_pretrained(folder) for folder in (straight, halved))
    assert first.fingerprint == second.fingerprint


def test_another_tokenizer_is_refused(dataset, train_tiny_prior, new_tokenizer, tokenizer_folder):
    train_tiny_prior(dataset)
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    with pytest.raises(ValueError, match="tokenizer: expected .* this prior was trained on, got"):
        train_tiny_prior(dataset)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("class_dropout=2", r"class_dropout: expected a number in \[0, 1\], got 2"),
        ("condition=sound", "condition: expected one of"),
        ("max_frames=0", "max_frames: expected a whole number of at least 1, got 0"),
        ("learning_rate=0", "learning_rate: expected a number above 0, got 0"),
        ("clases=none", "clases' does not exist in prior.yaml; did you"),
    ],
)
def test_wrong_settings_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        compose(TrainPriorConfig, "prior", ["env=FakeGame", option])

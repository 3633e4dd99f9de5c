import json

import numpy as np
import pytest
from PIL import Image

from worldtokens.tokenizer import Tokenizer, TokenizerConfig, guide
from worldtokens.training.command_line import compose

CONFIG = TokenizerConfig(
    frame_height=16, frame_width=24, encoder_width=32, encoder_depth=1, decoder_width=8,
    decoder_depth=1, decoder_fine_depth=1, codebook_size=64,
)  # fmt: skip


@pytest.fixture(scope="module")
def labelled(dataset):
    """The rooms of the fake game stand in byte 0."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide, "ram_labels", lambda game: {"room": 0})
        yield dataset


def config_of(dataset, tmp_path, *more):
    overrides = [
        "env=FakeGame", f"data={dataset}", f"tokenizer={tmp_path}/tokenizer", f"root={tmp_path}",
        "count=3", "frames=100", "probe_steps=60", "ascent.steps=60", "ascent.learning_rate=0.1",
        "target=[room 1]",
    ]  # fmt: skip
    return compose(guide.GuideConfig, "guide", [*overrides, *more])


def save_tokenizer(dataset, tmp_path):
    import torch

    from worldtokens.collect import EpisodeDataset

    torch.manual_seed(0)
    tokenizer = Tokenizer(CONFIG)
    frames = EpisodeDataset(dataset).gather_frames(np.arange(200))
    tokenizer.start(frames, torch.Generator().manual_seed(0))
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tokenizer


def test_both_probes_read_from_the_results_what_was_asked_for(labelled, tmp_path, capsys):
    tokenizer = save_tokenizer(labelled, tmp_path)
    guide.main(config_of(labelled, tmp_path))
    out = tmp_path / "FakeGame" / "guided"
    report = json.loads((out / "guided.json").read_text())
    assert report["as asked before, another probe"].count(False) == 2
    for name in ("the guiding probe", "another probe"):
        assert report[f"as asked after, {name}"] == [True] * 3
        assert report[f"room after, {name}"] == [1, 1, 1]
    pairs = zip(report["score after"], report["score before"], strict=True)
    assert all(after >= before for after, before in pairs)
    # The background of room 1 is bluish, that of room 0 is reddish.
    frames = tokenizer.decode(np.array(report["tokens"])).numpy()
    assert frames.shape == (3, 16, 24, 3)
    assert np.abs(np.median(frames, axis=(1, 2)) - (120, 40, 80)).max() <= 2
    with Image.open(out / "ascent.png") as grid, Image.open(out / "ascent.gif") as clip:
        assert grid.height == 14 + 3 * 16 * 3 and clip.n_frames > 1
    assert "another probe: [True, True, True]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["target=[door 1]"], "target: expected labels of FakeGame, got door; it has room"),
        (["target=[room 7]"], "target: expected a value of room that frames have, 0 to 1, got 7"),
        (["scorer=clip", "prompt=sun"], "clip.weights: expected a file with the weights of ViT-B"),
    ],
)
def test_user_errors(labelled, tmp_path, more, message):
    save_tokenizer(labelled, tmp_path)
    with pytest.raises(ValueError, match=message):
        guide.main(config_of(labelled, tmp_path, *more))
    assert not (tmp_path / "FakeGame" / "guided").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["scorer=taste"], r"scorer: expected one of \('ram', 'clip'\), got 'taste'"),
        (["target=[room]"], "target: expected LABEL VALUE, as in 'room 5', got 'room'"),
        (["scorer=clip"], "prompt: expected a text with scorer=clip, got none"),
        (["count=0"], "count: expected a whole number of at least 1, got 0"),
    ],
)
def test_wrong_configs(labelled, tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        config_of(labelled, tmp_path, *more)

import json

import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import compose
from worldtokens.world_model import sample
from worldtokens.world_model.sample import SampleConfig


def picture(path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


@pytest.fixture
def draw(tmp_path):
    """Runs the script with two frames in a row; returns the folder of the samples."""

    def run(*more):
        options = ["env=FakeGame", f"root={tmp_path / 'runs'}", "count=2", "rows=2", *more]
        sample.main(compose(SampleConfig, "sample", options))
        return tmp_path / "runs" / "FakeGame" / "samples"

    return run


def test_samples_and_completions_are_written_for_the_right_tokenizer(
    dataset, train_tiny_prior, draw, tokenizer_folder, new_tokenizer
):
    train_tiny_prior(dataset)
    out = draw("larger=[3,5]") / "prior"
    sizes = {path.stem: picture(path).shape[1::-1] for path in out.glob("*.png")}
    assert set(sizes) == {"samples", "completion", "larger"}
    # 2 frames of 32 x 16 pixels, magnified twice; 2 rows of known, held out and 2 drawn.
    assert sizes["samples"] == (70 + 2 * 66, 14 + 34)
    assert sizes["completion"] == (70 + 4 * 66, 14 + 2 * 34)
    assert sizes["larger"] == (70 + 2 * (5 * 8 * 2 + 2), 14 + 3 * 8 * 2 + 2)
    before = (out / "samples.png").read_bytes()
    draw()
    assert (out / "samples.png").read_bytes() == before
    draw("seed=1")
    assert (out / "samples.png").read_bytes() != before
    assert json.loads((out / "samples.json").read_text())["settings"]["seed"] == 1
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    with pytest.raises(ValueError, match="tokenizer: expected .* this prior was trained on, got"):
        draw()


def test_the_frame_before_is_shown_beside_what_was_drawn(
    dataset, train_tiny_prior, draw, tokenizer_folder
):
    train_tiny_prior(dataset, "condition=previous", "run=next")
    out = draw("run=next", "keep=0", "scale=1") / "next"
    assert {path.name for path in out.glob("*.png")} == {"conditioned.png"}
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    held = EpisodeDataset(dataset, "heldout")
    shown = picture(out / "conditioned.png")[14:30, 70:102]
    # The first held-out frame with one before it is the second; before it comes the first.
    first = tokenizer.decode(tokenizer.encode(held.read_frames(0, 1))).numpy()[0]
    assert np.array_equal(shown, first)
    with pytest.raises(ValueError, match="larger: expected a prior without .* got run=next with"):
        draw("run=next", "larger=[4,4]")


def test_a_folder_of_images_has_a_row_for_each_class(pictures, train_tiny_prior, draw):
    train_tiny_prior(pictures)
    out = draw("keep=0") / "prior"
    assert picture(out / "samples.png").shape == (14 + 3 * 34, 70 + 2 * 66, 3)
    draw("keep=0", "classes=[red]")
    assert picture(out / "samples.png").shape == (14 + 34, 70 + 2 * 66, 3)
    with pytest.raises(ValueError, match="classes: expected names such as red, got 'rad'"):
        draw("classes=[rad]")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("count=0", "count: expected a whole number of at least 1, got 0"),
        ("keep=1", "keep: expected a share in .0, 1., got 1"),
        ("larger=[8]", r"larger: expected \[rows, columns\] or \[\]"),
        ("top_p=2", "top_p: expected"),
    ],
)
def test_wrong_settings_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        compose(SampleConfig, "sample", ["env=FakeGame", option])

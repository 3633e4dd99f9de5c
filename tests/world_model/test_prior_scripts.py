import json

import numpy as np
import pytest
from PIL import Image

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.images import ImageSource
from worldtokens.training.command_line import compose
from worldtokens.world_model import FramePrior, sample, train_prior
from worldtokens.world_model.prior.data import PriorDataConfig, coarsen, load_prior_frames
from worldtokens.world_model.sample import SampleConfig
from worldtokens.world_model.train_prior import TrainPriorConfig

SHAPE = (16, 32, 3)


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures, red ones in red/ and blue ones in blue/, and their negatives."""
    for number in range(12):
        name, color = (("red", (200, 10 * number, 0)), ("blue", (0, 10 * number, 200)))[number % 2]
        for folder, shown in (("photos", color), ("others", tuple(255 - c for c in color))):
            path = tmp_path / folder / name / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full(SHAPE, shown, np.uint8)).save(path)
    return tmp_path / "photos"


def data_config(data, **changes) -> PriorDataConfig:
    fields = dict(
        data=str(data), image_aspect="crop", classes="auto", condition="none",
        condition_data=None, low_resolution=4, max_frames=1000,
    )  # fmt: skip
    return PriorDataConfig(**{**fields, **changes})


@pytest.fixture
def tokenizer(tokenizer_folder) -> Tokenizer:
    return Tokenizer.from_pretrained(tokenizer_folder)


def test_the_frame_before_is_of_the_same_episode(dataset, tokenizer):
    frames = load_prior_frames(data_config(dataset, condition="previous"), tokenizer, "heldout")
    held = EpisodeDataset(dataset, "heldout")
    # Two episodes of 13 frames; the first of each has none before it.
    assert len(frames.tokens) == 24 and frames.names == [] and not frames.classes.any()
    expected = tokenizer.encode(held.read_frames(0, held.num_frames)).numpy()
    assert frames.condition is not None
    assert np.array_equal(frames.tokens[12:], expected[14:])
    assert np.array_equal(frames.condition[12:], expected[13:25])


def test_rooms_are_classes(dataset, tokenizer, monkeypatch):
    monkeypatch.setattr(
        EpisodeDataset, "scene", property(lambda self: np.arange(self.num_frames) % 13 // 5 * 4)
    )
    frames = load_prior_frames(data_config(dataset), tokenizer, "heldout")
    assert frames.names == ["room 0", "room 4", "room 8"]
    assert frames.classes.tolist() == ([1] * 5 + [2] * 5 + [3] * 3) * 2
    few = load_prior_frames(data_config(dataset, max_frames=3), tokenizer, "heldout")
    assert few.classes.tolist() == [1, 3, 3] and len(few.tokens) == 3
    assert np.array_equal(few.tokens[1], frames.tokens[12])
    none = load_prior_frames(data_config(dataset, classes="none"), tokenizer, "heldout")
    assert none.names == [] and not none.classes.any()


def test_folders_are_classes_and_other_images_go_with_them(pictures, tokenizer):
    config = data_config(
        pictures, condition="images", condition_data=str(pictures.parent / "others")
    )
    frames = load_prior_frames(config, tokenizer, "heldout")
    # In order of their paths blue comes first, then red; the tenth is held out.
    assert frames.names == ["blue", "red"] and frames.classes.tolist() == [2]
    shown = np.full((1, *SHAPE), (200, 60, 0), np.uint8)
    assert np.array_equal(frames.tokens, tokenizer.encode(shown).numpy())
    assert np.array_equal(frames.condition, tokenizer.encode(255 - shown).numpy())
    train = load_prior_frames(config, tokenizer, "train")
    assert train.classes.tolist() == [1] * 6 + [2] * 5


def test_an_array_may_have_labels(tmp_path, tokenizer):
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones(SHAPE, np.uint8)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(20) % 3)
    config = data_config(tmp_path / "images.npy", classes=str(tmp_path / "labels.npy"))
    frames = load_prior_frames(config, tokenizer, "heldout")
    assert frames.names == ["0", "1", "2"]
    assert frames.classes.tolist() == [1 + 9 % 3, 1 + 19 % 3]
    np.save(tmp_path / "labels.npy", np.arange(5))
    with pytest.raises(ValueError, match=r"classes=.*: expected 20 integers, .* int64 \(5,\)"):
        load_prior_frames(config, tokenizer, "train")


def test_images_know_their_numbers_and_folders(pictures):
    held = ImageSource(pictures, "heldout", SHAPE)
    assert held.numbers.tolist() == [9] and held.folders == ["red"]
    single = ImageSource(pictures / "red", "train", SHAPE)
    assert set(single.folders) == {""}


def test_low_resolution_averages_squares(pictures, tokenizer):
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[0, 0, :2] = (100, 10, 0)
    coarse = coarsen(frames, 2)
    assert coarse[0, :2, :2].reshape(-1, 3).tolist() == [[50, 5, 0]] * 4
    assert not coarse[0, 2:].any() and np.array_equal(coarsen(frames, 1), frames)
    with pytest.raises(ValueError, match="low_resolution: expected a factor that divides 4 and 4"):
        coarsen(frames, 3)
    config = data_config(pictures, condition="low_resolution")
    made = load_prior_frames(config, tokenizer, "train")
    # Pictures of one colour look the same at any resolution.
    assert np.array_equal(made.condition, made.tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(classes="scene"), "classes=scene: images have no rooms"),
        (dict(classes="mood"), "classes: expected one of .* or a .npy file, got 'mood'"),
        (dict(classes="no.npy"), "classes=no.npy: cannot be read as an array"),
        (dict(condition="previous"), "condition=previous: .* are images without an order"),
        (dict(condition="images"), "condition_data: condition=images needs it"),
    ],
)
def test_what_images_do_not_have_is_named(pictures, tokenizer, changes, message):
    with pytest.raises(ValueError, match=message):
        load_prior_frames(data_config(pictures, **changes), tokenizer, "train")


def test_too_few_other_images_are_named(pictures, tokenizer):
    config = data_config(
        pictures, condition="images", condition_data=str(pictures.parent / "others" / "red")
    )
    with pytest.raises(ValueError, match="expected as many images as .* 11 of this split, got 5"):
        load_prior_frames(config, tokenizer, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(classes="folder"), "classes: expected auto, none or scene of episodes"),
        (dict(condition="images"), "condition=images: .* are episodes"),
    ],
)
def test_what_episodes_do_not_have_is_named(dataset, tokenizer, changes, message):
    with pytest.raises(ValueError, match=message):
        load_prior_frames(data_config(dataset, **changes), tokenizer, "train")


def train_options(root, data, *more):
    return [
        "env=FakeGame", f"data={data}", f"root={root}", "wandb.mode=disabled", "log_every=2",
        "mixed_precision=no", "budget.max_minutes=null", "budget.max_steps=6", "batch_size=4",
        "evaluations=0", "heldout_frames=8", "model.layers=1", "model.heads=2", "model.width=32",
        *more,
    ]  # fmt: skip


def train(root, data, *more):
    config = compose(TrainPriorConfig, "prior", train_options(root, data, *more))
    train_prior.main(config)
    return root / "FakeGame" / config.run


def picture(path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def draw(root, *more):
    options = ["env=FakeGame", f"root={root}", "count=2", "rows=2", *more]
    sample.main(compose(SampleConfig, "sample", options))
    return root / "FakeGame" / "samples"


def test_a_prior_learns_and_resumes_bit_for_bit(tmp_path, dataset, tokenizer_folder):
    root = tmp_path / "runs"
    straight = train(root, dataset, "run=straight", "evaluations=1")
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
            train(root, dataset, "run=halved", "checkpoint_every_minutes=0")
    halved = train(root, dataset, "run=halved", "checkpoint_every_minutes=0")
    first, second = (FramePrior.from_pretrained(folder) for folder in (straight, halved))
    assert first.fingerprint == second.fingerprint


def test_samples_and_completions_are_written_for_the_right_tokenizer(
    tmp_path, dataset, tokenizer_folder, new_tokenizer
):
    root = tmp_path / "runs"
    train(root, dataset)
    out = draw(root, "larger=[3,5]") / "prior"
    sizes = {path.stem: picture(path).shape[1::-1] for path in out.glob("*.png")}
    assert set(sizes) == {"samples", "completion", "larger"}
    # 2 frames of 32 x 16 pixels, magnified twice; 2 rows of known, held out and 2 drawn.
    assert sizes["samples"] == (70 + 2 * 66, 14 + 34)
    assert sizes["completion"] == (70 + 4 * 66, 14 + 2 * 34)
    assert sizes["larger"] == (70 + 2 * (5 * 8 * 2 + 2), 14 + 3 * 8 * 2 + 2)
    before = (out / "samples.png").read_bytes()
    draw(root)
    assert (out / "samples.png").read_bytes() == before
    draw(root, "seed=1")
    assert (out / "samples.png").read_bytes() != before
    assert json.loads((out / "samples.json").read_text())["settings"]["seed"] == 1
    new_tokenizer(seed=3).save_pretrained(tokenizer_folder / "export")
    for again in (lambda: draw(root), lambda: train(root, dataset)):
        with pytest.raises(ValueError, match="prior was trained on the tokens of tokenizer"):
            again()


def test_the_frame_before_is_shown_beside_what_was_drawn(tmp_path, dataset, tokenizer_folder):
    root = tmp_path / "runs"
    train(root, dataset, "condition=previous", "run=next")
    out = draw(root, "run=next", "keep=0", "scale=1") / "next"
    assert {path.name for path in out.glob("*.png")} == {"conditioned.png"}
    tokenizer = Tokenizer.from_pretrained(tokenizer_folder)
    held = EpisodeDataset(dataset, "heldout")
    shown = picture(out / "conditioned.png")[14:30, 70:102]
    # The first held-out frame with one before it is the second; before it comes the first.
    first = tokenizer.decode(tokenizer.encode(held.read_frames(0, 1))).numpy()[0]
    assert np.array_equal(shown, first)
    with pytest.raises(ValueError, match="larger: run=next needs another image of that size"):
        draw(root, "run=next", "larger=[4,4]")


def test_a_folder_of_images_has_a_row_for_each_class(tmp_path, pictures, tokenizer_folder):
    root = tmp_path / "runs"
    train(root, pictures)
    out = draw(root, "keep=0") / "prior"
    assert picture(out / "samples.png").shape == (14 + 3 * 34, 70 + 2 * 66, 3)
    draw(root, "keep=0", "classes=[red]")
    assert picture(out / "samples.png").shape == (14 + 34, 70 + 2 * 66, 3)
    with pytest.raises(ValueError, match="classes: there is no 'rad'; there are red"):
        draw(root, "classes=[rad]")


@pytest.mark.parametrize(
    ("kind", "name", "option", "message"),
    [
        (SampleConfig, "sample", "count=0", "count: expected at least 1, got 0"),
        (SampleConfig, "sample", "keep=1", "keep: expected a share in .0, 1., got 1"),
        (SampleConfig, "sample", "larger=[8]", r"larger: expected \[rows, columns\] or \[\]"),
        (SampleConfig, "sample", "top_p=2", "top_p: expected a share"),
        (TrainPriorConfig, "prior", "class_dropout=2", "class_dropout: expected a share"),
        (TrainPriorConfig, "prior", "condition=sound", "condition: expected one of"),
        (TrainPriorConfig, "prior", "max_frames=0", "max_frames: expected a positive number"),
        (TrainPriorConfig, "prior", "clases=none", "clases' does not exist in prior.yaml; did you"),
    ],
)
def test_wrong_settings_are_named(kind, name, option, message):
    with pytest.raises(ValueError, match=message):
        compose(kind, name, ["env=FakeGame", option])

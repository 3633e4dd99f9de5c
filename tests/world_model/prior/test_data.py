import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.images import ImageSource
from worldtokens.world_model.prior.data import PriorDataConfig, coarsen, load_prior_frames

SHAPE = (16, 32, 3)


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
    with pytest.raises(ValueError, match=r"classes: expected 20 integers, .* got int64 \(5,\) in"):
        load_prior_frames(config, tokenizer, "train")


def test_images_have_numbers_and_folders(pictures):
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
    loaded = load_prior_frames(config, tokenizer, "train")
    # Pictures of one colour look the same at any resolution.
    assert np.array_equal(loaded.condition, loaded.tokens)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(classes="scene"), "classes: expected .* got scene; images have no rooms"),
        (dict(classes="mood"), "classes: expected one of .* or a .npy file, got 'mood'"),
        (
            dict(classes="no.npy"),
            "classes: expected a .npy file of integers, got no.npy, which cannot",
        ),
        (
            dict(condition="previous"),
            "condition: expected .* images without an order, got previous",
        ),
        (
            dict(condition="images"),
            "condition_data: expected a folder or .npy file with condition=images",
        ),
    ],
)
def test_what_images_do_not_have_is_named(pictures, tokenizer, changes, message):
    with pytest.raises(ValueError, match=message):
        load_prior_frames(data_config(pictures, **changes), tokenizer, "train")


def test_too_few_other_images_are_named(pictures, tokenizer):
    config = data_config(
        pictures, condition="images", condition_data=str(pictures.parent / "others" / "red")
    )
    with pytest.raises(
        ValueError, match="condition_data: expected as many images as .* 11 of this split, got 5"
    ):
        load_prior_frames(config, tokenizer, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(classes="folder"), "classes: expected auto, none or scene .* got 'folder'"),
        (dict(condition="images"), "condition: expected none, .* are episodes, got images"),
    ],
)
def test_what_episodes_do_not_have_is_named(dataset, tokenizer, changes, message):
    with pytest.raises(ValueError, match=message):
        load_prior_frames(data_config(dataset, **changes), tokenizer, "train")


def test_frames_are_spread_over_all_and_batched(dataset, tokenizer):
    frames = load_prior_frames(data_config(dataset), tokenizer, "heldout")
    assert frames.spread(3).tolist() == [0, 12, 25]
    assert [batch.tokens.shape for batch in frames.batches(5, 2)] == [(2, 8), (2, 8), (1, 8)]
    drawn = frames.draw(4, np.random.default_rng(0))
    rows = np.random.default_rng(0).integers(26, size=4)
    assert np.array_equal(drawn.tokens.numpy(), frames.tokens[rows])
    assert drawn.condition is None

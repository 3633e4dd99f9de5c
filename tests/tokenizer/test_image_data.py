import numpy as np
import pytest
from PIL import Image

from worldtokens.tokenizer import Tokenizer, evaluate, train
from worldtokens.tokenizer.data.images import ImageSource, is_image_data, resize
from worldtokens.training.command_line import compose
from worldtokens.training.metric_writers import read_metrics


def split_image():
    """8 rows, 16 columns: the left 4 columns red, the middle green, the right 4 blue."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :4, 0] = pixels[:, 4:12, 1] = pixels[:, 12:, 2] = 200
    return Image.fromarray(pixels)


def test_crop_keeps_the_middle_and_stretch_keeps_all():
    cropped = resize(split_image(), (4, 4, 3), "crop")
    assert (cropped == (0, 200, 0)).all()
    stretched = resize(split_image(), (4, 4, 3), "stretch")
    assert stretched[0].tolist() == [[200, 0, 0], [0, 200, 0], [0, 200, 0], [0, 0, 200]]


def test_a_folder_of_images(tmp_path):
    (tmp_path / "more").mkdir()
    for number in range(11):
        folder = tmp_path / "more" if number % 2 else tmp_path
        Image.new("L", (20, 30), 10 * number).save(folder / f"{number:02d}.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert is_image_data(tmp_path)
    train_images, heldout = (ImageSource(tmp_path, s, (4, 6, 3)) for s in ("train", "heldout"))
    assert (train_images.num_frames, heldout.num_frames) == (10, 1)
    both = [
        source.gather_frames(np.arange(source.num_frames)) for source in (train_images, heldout)
    ]
    assert both[0].shape == (10, 4, 6, 3)
    levels = sorted(int(frame[0, 0, 0]) for frames in both for frame in frames)
    assert levels == [10 * number for number in range(11)]


def test_an_array_of_images(tmp_path):
    path = tmp_path / "digits.npy"
    array = np.arange(20, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    np.save(path, array)
    assert is_image_data(path)
    source = ImageSource(path, "heldout", (4, 4, 3)).in_memory()
    for _ in range(2):
        frames = source.gather_frames(np.array([0, 1, 0]))
        assert frames[:, 0, 0].tolist() == [[9] * 3, [19] * 3, [9] * 3]


def test_grey_digits_of_28_pixels(overrides, tmp_path):
    # A toy set as MNIST is, or the frames of a grey gymnasium environment.
    digits = np.zeros((40, 28, 28, 1), np.uint8)
    for number, digit in enumerate(digits):
        digit[number % 7 * 4 : number % 7 * 4 + 4, 8:20] = 255
    np.save(tmp_path / "digits.npy", digits)
    source = ImageSource(tmp_path / "digits.npy", "heldout", (28, 28, 3))
    assert np.array_equal(source.gather_frames(np.array([0]))[0], digits[9].repeat(3, axis=-1))
    size = ["model.frame_height=28", "model.frame_width=28"]
    more = ["env=digits", f"data={tmp_path}/digits.npy", *size]
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    tokenizer = Tokenizer.from_pretrained(tmp_path / "digits" / "tokenizer")
    assert tokenizer.grid == (4, 4)
    frames = digits.repeat(3, axis=-1)
    error = tokenizer.decode(tokenizer.encode(frames)).numpy().astype(int) - frames
    assert abs(error).mean() < 10


def test_wrong_images(tmp_path):
    with pytest.raises(ValueError, match="expected at least 2 images, found 0"):
        ImageSource(tmp_path, "train", (4, 4, 3))
    with pytest.raises(ValueError, match=r"image_aspect: expected one of .* got 'squeeze'"):
        ImageSource(tmp_path, "train", (4, 4, 3), "squeeze")
    (tmp_path / "a.png").write_text("no image")
    Image.new("L", (4, 4)).save(tmp_path / "b.png")
    source = ImageSource(tmp_path, "train", (4, 4, 3))
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        source.gather_frames(np.array([0]))
    np.save(tmp_path / "floats.npy", np.zeros((5, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"expected uint8 .* got float64 \(5, 4, 4, 3\)"):
        ImageSource(tmp_path / "floats.npy", "train", (4, 4, 3))
    (tmp_path / "broken.npy").write_text("nothing")
    with pytest.raises(ValueError, match="cannot be read as an array"):
        ImageSource(tmp_path / "broken.npy", "train", (4, 4, 3))


def test_a_vqgan_trains_on_images(overrides, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "toys.npy", rng.integers(0, 256, (30, 28, 28), dtype=np.uint8))
    more = [
        "env=toys", f"data={tmp_path}/toys.npy", "tokenizer_preset=vqgan", "budget.max_steps=2",
        "model={frame_height: 16, frame_width: 16, encoder_width: 32, encoder_depth: 1, "
        "channel_multipliers: [1, 2], attention_resolutions: [8], latent_channels: 16, "
        "code_dim: 8, codebook_size: 32}",
        "adversary={weight: 0.5, start: 0, warmup: 0, width: 4, depth: 1}",
    ]  # fmt: skip
    train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))
    folder = tmp_path / "toys" / "tokenizer"
    heldout = read_metrics(folder / "metrics.jsonl")[-1]
    assert "heldout/psnr" in heldout and "heldout/flicker" not in heldout
    assert Tokenizer.from_pretrained(folder).grid == (8, 8)
    asked = ["env=toys", f"data={tmp_path}/toys.npy", f"root={tmp_path}"]
    evaluate.main(compose(evaluate.EvaluateConfig, "tokenizer_evaluate", asked))
    printed = capsys.readouterr().out
    assert "PSNR" in printed and "flicker" not in printed and "foreground" not in printed
    with pytest.raises(ValueError, match="loss.foreground: .* are images, without foreground"):
        more += ["loss.foreground=1", "run=other"]
        train.main(compose(train.TrainConfig, "tokenizer", [*overrides, *more]))

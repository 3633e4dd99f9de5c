import numpy as np
from PIL import Image

from worldtokens.world_model.evaluation.validation import DREAMS, HORIZON, Heldout


def test_every_evaluation_sees_the_same_segments_and_dreams(loaded, dataset, tmp_path):
    model = loaded.model.train()
    pictures, metrics = [], []
    for name in ("a.png", "b.png"):
        heldout = Heldout(str(dataset), loaded.tokenizer, segments=5, length=4, batch=2, context=9)
        metrics.append(heldout.metrics(model))
        heldout.draw(model, tmp_path / name)
        pictures.append((tmp_path / name).read_bytes())
    assert metrics[0] == metrics[1] and pictures[0] == pictures[1]
    assert model.training  # As it was before.
    assert set(metrics[0]) >= {"nats_per_frame", "token_accuracy", "copy_accuracy"}
    # An untrained model predicts that the last frame stays.
    assert metrics[0]["token_accuracy"] == metrics[0]["copy_accuracy"]


def test_a_dream_is_drawn_below_the_real_frames(loaded, dataset, tmp_path):
    heldout = Heldout(str(dataset), loaded.tokenizer, segments=2, length=4, batch=2, context=2)
    heldout.draw(loaded.model, tmp_path / "dreams.png")
    with Image.open(tmp_path / "dreams.png") as image:
        pixels = np.asarray(image)
    # Frames of 16 x 32 pixels, magnified twice.
    assert pixels.shape == (14 + 2 * DREAMS * 34, 70 + HORIZON * 66, 3)
    frames = heldout.dataset.read_frames(0, heldout.dataset.num_frames)
    first = pixels[14:46:2, 70:134:2]
    assert any(np.array_equal(first, frame) for frame in frames)

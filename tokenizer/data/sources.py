"""Opens the value of `data=`: a dataset of episodes, or images."""

from dataclasses import dataclass

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds, fit_backgrounds
from worldtokens.tokenizer.data.frames import FrameSource, check_frame_shape
from worldtokens.tokenizer.data.images import ImageSource, is_image_data


@dataclass(frozen=True)
class Sources:
    """Frames to train on and frames to evaluate on.

    Attributes:
        train: The training split.
        heldout: The held-out split.
        backgrounds: The backgrounds of the scenes; None for images, which have no foreground.
    """

    train: FrameSource
    heldout: FrameSource
    backgrounds: SceneBackgrounds | None


def open_sources(
    data: str, frame_shape: tuple[int, int, int], image_aspect: str, in_memory: bool
) -> Sources:
    """Opens both splits.

    Args:
        data: The folder of a dataset of episodes, a folder of images, or a .npy file.
        frame_shape: (height, width, 3) that the model takes; images are resized to it.
        image_aspect: See ImageSource.
        in_memory: Keep the training frames in memory.

    Raises:
        ValueError: There are no such data, or episodes have frames of another shape.
    """
    if is_image_data(data):
        images, heldout_images = (
            ImageSource(data, split, frame_shape, image_aspect) for split in ("train", "heldout")
        )
        return Sources(images.in_memory() if in_memory else images, heldout_images, None)
    episodes = EpisodeDataset(data, split="train")
    check_frame_shape(data, episodes.frame_shape, frame_shape)
    return Sources(
        train=episodes.in_memory() if in_memory else episodes,
        heldout=EpisodeDataset(data, split="heldout"),
        backgrounds=fit_backgrounds(EpisodeDataset(data)),
    )

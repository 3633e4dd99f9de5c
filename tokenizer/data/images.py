"""Any images as frames: a folder of image files, or an array in a .npy file."""

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from worldtokens.common.images import describe_lack, list_images, read_image

ASPECTS = ("crop", "stretch")
HELDOUT_ONE_IN = 10

Split = Literal["train", "heldout"]


class ImageSource:
    """Images, resized to one shape; a FrameSource.

    Every tenth image is held out. Each image is an episode of one frame: there is no flicker to
    measure, and no scene.

    Attributes:
        game: The name of the folder or file.
        frame_shape: (height, width, 3).
        scene: Zeros, int64 (num_frames,).
        frame_starts: int64 (num_frames + 1,).
        numbers: The number of each image among those of both splits, int64 (num_frames,).
        folders: The folder of each image below `path`, which may name its class; "" for images of
            `path` itself and of arrays.
    """

    def __init__(
        self,
        path: str | Path,
        split: Split,
        frame_shape: tuple[int, int, int],
        aspect: str = "crop",
    ):
        """Lists the images; files are read by `gather_frames`.

        Args:
            path: A folder, searched with all folders below it, or a .npy file of uint8 (n, height,
                width, 3), or grey: (n, height, width) or (n, height, width, 1).
            split: Which images.
            frame_shape: (height, width, 3) that images are resized to.
            aspect: "crop" the middle of an image to the frame's proportions, or "stretch" it.

        Raises:
            ValueError: There are no images, or the array is of another type.
        """
        if aspect not in ASPECTS:
            raise ValueError(f"image_aspect: expected one of {ASPECTS}, got {aspect!r}")
        # Absolute, so that the working folder may change.
        path = Path(path).absolute()
        self.game = path.stem
        self.frame_shape = frame_shape
        self._aspect = aspect
        images = _read_array(path) if path.suffix == ".npy" else _list_files(path)
        if len(images) == 0 and path.is_dir():
            raise ValueError(f"data={path}: {describe_lack(path, recursive=True)}")
        if len(images) < 2:
            raise ValueError(f"data={path}: expected at least 2 images, got {len(images)}")
        index = np.arange(len(images))
        period = min(HELDOUT_ONE_IN, len(images))
        is_heldout = index % period == period - 1
        self._images = images
        self.numbers = index[is_heldout == (split == "heldout")]
        self.folders = [_folder(images[number], path) for number in self.numbers.tolist()]
        self._kept: dict[int, np.ndarray] | None = None
        self.scene = np.zeros(self.num_frames, np.int64)
        self.frame_starts = np.arange(self.num_frames + 1)

    @property
    def num_frames(self) -> int:
        """Number of images of the split."""
        return len(self.numbers)

    def in_memory(self) -> "ImageSource":
        """Makes this source keep the images that it has resized; returns it."""
        self._kept = {}
        return self

    def gather_frames(self, indices: np.ndarray) -> np.ndarray:
        """Returns images at int64 (n,), resized: uint8 (n, height, width, 3).

        Raises:
            ValueError: A file is not an image.
        """
        frames = [self._frame(int(self.numbers[index])) for index in indices]
        return np.stack(frames) if frames else np.zeros((0, *self.frame_shape), np.uint8)

    def _frame(self, number: int) -> np.ndarray:
        if self._kept is not None and number in self._kept:
            return self._kept[number]
        image = self._images[number]
        frame = resize(_open(image), self.frame_shape, self._aspect)
        if self._kept is not None:
            self._kept[number] = frame
        return frame


def resize(image: Image.Image, frame_shape: tuple[int, int, int], aspect: str) -> np.ndarray:
    """Resizes an image to uint8 (height, width, 3) by averages over areas.

    Args:
        image: An image of any size and mode.
        frame_shape: (height, width, 3).
        aspect: "crop" or "stretch".
    """
    height, width, _ = frame_shape
    image = image.convert("RGB")
    box = None
    if aspect == "crop":
        scale = min(image.width / width, image.height / height)
        left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX, box=box))


def is_image_data(path: str | Path) -> bool:
    """Tells whether `path` is a .npy file or a folder of images without dataset.json.

    Raises:
        ValueError: It is a folder of pictures of other kinds.
    """
    path = Path(path)
    if path.is_file():
        return path.suffix == ".npy"
    if not path.is_dir() or (path / "dataset.json").exists() or (path / "shards").exists():
        return False
    if _list_files(path):
        return True
    lack = describe_lack(path, recursive=True)
    if "convert" in lack:
        raise ValueError(f"data={path}: {lack}")
    return False


def _folder(image: Path | np.ndarray, root: Path) -> str:
    if isinstance(image, np.ndarray):
        return ""
    folder = image.parent.relative_to(root).as_posix()
    return "" if folder == "." else folder


def _open(image: Path | np.ndarray) -> Image.Image:
    if isinstance(image, np.ndarray):
        return Image.fromarray(np.ascontiguousarray(image))
    return read_image(image)


def _list_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        what = "another file" if folder.exists() else "nothing there"
        raise ValueError(f"data={folder}: expected a folder of images or a .npy file, got {what}")
    # The plain order decides which images are held out; runs of before go on with it.
    return sorted(list_images(folder, recursive=True))


def _read_array(path: Path) -> np.ndarray:
    try:
        # Memory-mapped, since arrays may be larger than the memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"data={path}: expected an array, got a damaged file ({error})") from error
    is_image = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3))
    if array.dtype != np.uint8 or not is_image:
        raise ValueError(
            f"data={path}: expected uint8 (n, height, width, 3), or grey (n, height, width) or "
            f"(n, height, width, 1), got {array.dtype} {array.shape}"
        )
    return array[..., 0] if array.shape[3:] == (1,) else array

"""The one reader of image files: 8-bit RGB as every viewer shows it, or an error in one line."""

import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
LOSSY_ENDINGS = (".jpeg", ".jpg", ".webp")
# Pictures and videos in other formats, to name what is missing.
_OTHER_ENDINGS = (
    ".apng", ".avi", ".avif", ".gif", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".mkv", ".mov",
    ".mp4", ".pgm", ".ppm", ".psd", ".svg", ".tga", ".webm",
)  # fmt: skip


def list_images(folder: Path, recursive: bool) -> list[Path]:
    """Returns the image files of a folder in the natural order of their names.

    Files and folders that begin with a dot are no pictures: macOS puts one beside each.

    Args:
        folder: It must exist.
        recursive: Whether to look into the folders below, too.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(_files(folder, ENDINGS, recursive), key=lambda path: natural_order(path, folder))


def natural_order(path: Path, folder: Path) -> list[list[tuple[int, int | str]]]:
    """Returns what sorts frame2 before frame10, folder by folder."""
    return [
        [(0, int(part)) if re.fullmatch("[0-9]+", part) else (1, part) for part in parts if part]
        for parts in (re.split("([0-9]+)", name) for name in path.relative_to(folder).parts)
    ]


def describe_lack(folder: Path, recursive: bool) -> str:
    """Says which files that look like pictures a folder has instead of those that are read."""
    others = sorted({path.suffix.lower() for path in _files(folder, _OTHER_ENDINGS, recursive)})
    found = f"got {', '.join(others)} files; convert them to PNG" if others else "got none"
    return f"expected images ({', '.join(ENDINGS)}) in {folder}, {found}"


def read_image(path: str | Path) -> Image.Image:
    """Reads a picture as 8-bit RGB.

    It is turned as its EXIF data say; where it is transparent it is black; of 16 bits the upper 8
    are kept, floats from 0 to 1 are scaled.

    Raises:
        ValueError: The file is damaged, too large, or of a kind whose values have no fixed range.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        try:
            with warnings.catch_warnings():
                # Pillow warns from half of the size on that it refuses.
                warnings.simplefilter("ignore")
                with Image.open(file) as image:
                    return _as_rgb(image)
        except Image.DecompressionBombError as error:
            raise ValueError(
                f"{path}: expected an image of at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels "
                f"(twice PIL.Image.MAX_IMAGE_PIXELS), got a larger one ({error}); shrink it"
            ) from None
        except MemoryError:
            raise ValueError(f"{path}: expected an image that fits in memory; shrink it") from None
        except Exception as error:  # Pillow's readers raise exceptions of many types
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(
                f"{path}: expected an image, got a file that cannot be read as one ({reason:.200})"
            ) from None


def _as_rgb(image: Image.Image) -> Image.Image:
    # Phones store a second view behind the first.
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":
        raise ValueError(f"it holds {pictures} pictures; save each to a file of its own")
    image.load()
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _from_unit_range(image)
    else:
        image = _turned(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("RGB")


def _from_unit_range(image: Image.Image) -> Image.Image:
    """Reads 32 bits a pixel: floats from 0 to 1, the one range that all agree on."""
    values = np.asarray(image)
    if image.mode != "F" or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(
            f"its values are of mode {image.mode} (32 bits) from {values.min():g} to "
            f"{values.max():g}, a range that is not known; save it with 8 or 16 bits"
        )
    return Image.fromarray(np.rint(values * 255).astype(np.uint8))


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data say nothing of the orientation
        return image


def _files(folder: Path, endings: tuple[str, ...], recursive: bool) -> list[Path]:
    paths = folder.rglob("*") if recursive else folder.iterdir()
    return [
        path
        for path in paths
        if path.suffix.lower() in endings
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]

"""Frames to look at: in a notebook, or as a file."""

import base64
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from worldtokens.common.atomic import replacing
from worldtokens.common.checks import check_at_least
from worldtokens.world_model.video.writer import (
    BACKGROUND,
    COLUMNS,
    write_gif,
    write_mp4,
)

# What H.264 can hold, and more than any screen has.
LARGEST_SIDE = 8192
LARGEST_FPS = 1000
# Browsers play faster GIFs at 10 frames/s.
FASTEST_GIF = 50
GAP = 2


@dataclass(frozen=True, repr=False)
class Picture:
    """One frame; a notebook shows it.

    Attributes:
        frame: uint8 (height, width, 3).
        scale: Screen pixels per pixel.
    """

    frame: np.ndarray
    scale: int

    def save(self, path: str | Path) -> None:
        """Writes the frame, enlarged, as a PNG; whole or not at all.

        Raises:
            ValueError: `path` does not end in .png.
        """
        _check_ending(path, (".png",))
        with replacing(path) as partial:
            self._image().save(partial, format="PNG")

    def __repr__(self) -> str:
        """Says what it is in one line."""
        height, width = self.frame.shape[:2]
        return f"Picture({height} x {width})"

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self._image().save(content, format="PNG")
        return content.getvalue()

    def _image(self) -> Image.Image:
        return Image.fromarray(_enlarge(self.frame, self.scale))


@dataclass(frozen=True, repr=False)
class Clip:
    """A clip; a notebook plays it.

    Attributes:
        frames: uint8 (T, height, width, 3).
        fps: Frames per second.
        scale: Screen pixels per pixel.
        num_clips: How many clips play side by side in it.
    """

    frames: np.ndarray
    fps: int
    scale: int
    num_clips: int = 1

    def save(self, path: str | Path) -> None:
        """Writes a .mp4 (H.264, yuv420p) or a .gif, by the ending; whole or not at all.

        Raises:
            ValueError: `path` has another ending, or a GIF cannot be that fast.
        """
        ending = _check_ending(path, (".mp4", ".gif"))
        if ending == ".gif" and self.fps > FASTEST_GIF:
            raise ValueError(
                f"fps: expected at most {FASTEST_GIF} in a .gif, got {self.fps}; write a .mp4"
            )
        enlarged = [_enlarge(frame, self.scale) for frame in self.frames]
        if ending == ".gif":
            write_gif(Path(path), enlarged, self.fps)
        else:
            write_mp4(Path(path), [_pad_to_even(frame) for frame in enlarged], self.fps)

    def __repr__(self) -> str:
        """Says what it is in one line."""
        count, height, width = self.frames.shape[:3]
        clips = f"{self.num_clips} clips, " if self.num_clips > 1 else ""
        return (
            f"Clip({clips}{count_noun(count, 'frame')} of {height} x {width}, {self.fps} frames/s)"
        )

    def _repr_html_(self) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            self.save(path)
            content = base64.b64encode(path.read_bytes()).decode()
        return (
            '<video autoplay loop muted playsinline controls style="max-width: 100%" '
            f'src="data:video/mp4;base64,{content}"></video>'
        )


def show(frames: Tensor | np.ndarray, fps: int = 15, scale: int = 4) -> Picture | Clip:
    """Makes frames visible in a notebook: the last line of a cell shows what this returns.

    Outside of a notebook nothing opens; `save` of what comes back writes a file.

    Args:
        frames: What `Tokenizer.decode` returns: uint8 (H, W, 3), a picture; (T, H, W, 3), a clip;
            or (B, T, H, W, 3), clips side by side, at most four in a row. On any device.
        fps: Frames per second.
        scale: Screen pixels per pixel; pixels stay sharp.

    Returns:
        A Picture for one frame, otherwise a Clip.

    Raises:
        ValueError: Another dtype or shape, no frame, a number below 1, or a result that is too
            large for a video.
    """
    array = as_frames(frames)
    check_at_least(1, fps=fps, scale=scale)
    if fps > LARGEST_FPS:
        raise ValueError(f"fps: expected at most {LARGEST_FPS}, got {fps}")
    laid_out = _side_by_side(array) if array.ndim == 5 else array
    check_size(laid_out.shape[-3:-1], scale)
    if array.ndim == 3:
        return Picture(laid_out, scale)
    return Clip(laid_out, fps, scale, len(array) if array.ndim == 5 else 1)


def save_video(
    frames: Tensor | np.ndarray, path: str | Path, fps: int = 15, scale: int = 4
) -> None:
    """Writes frames as a video; the file appears whole or not at all.

    Args:
        frames: See `show`; one frame makes a video of one frame.
        path: Ends in .mp4 (H.264 with yuv420p, which every browser plays) or .gif.
        fps: Frames per second.
        scale: Screen pixels per pixel; pixels stay sharp.

    Raises:
        ValueError: See `show`; or another ending of `path`.
    """
    _check_ending(path, (".mp4", ".gif"))
    array = as_frames(frames)
    shown = show(array[None] if array.ndim == 3 else array, fps, scale)
    shown.save(path)


def count_noun(number: int, noun: str) -> str:
    """Returns a number with its noun, in the plural where it is not 1."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def as_frames(frames: Tensor | np.ndarray) -> np.ndarray:
    """Checks frames, see `show`, and returns them as an array.

    Raises:
        ValueError: Another type, dtype or shape, or no frame.
    """
    if isinstance(frames, Tensor):
        frames = frames.detach().cpu().numpy()
    if not isinstance(frames, np.ndarray):
        raise ValueError(f"frames: expected a tensor or a numpy array, got {type(frames).__name__}")
    if frames.dtype != np.uint8:
        raise ValueError(f"frames: expected uint8 in [0, 255], got {frames.dtype}")
    if frames.ndim not in (3, 4, 5) or frames.shape[-1] != 3:
        raise ValueError(
            f"frames: expected (H, W, 3), (T, H, W, 3) or (B, T, H, W, 3), got {frames.shape}"
        )
    if not frames.size:
        raise ValueError(f"frames: expected at least one frame, got shape {frames.shape}")
    return frames


def _side_by_side(clips: np.ndarray) -> np.ndarray:
    """Lays out (B, T, H, W, 3) in rows of at most COLUMNS with a gap between: (T, ..., 3)."""
    count, frames, height, width, _ = clips.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    shape = (frames, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    canvas = np.empty(shape, np.uint8)
    canvas[:] = BACKGROUND
    for index, clip in enumerate(clips):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        canvas[:, top : top + height, left : left + width] = clip
    return canvas


def check_size(shape: tuple[int, ...], scale: int) -> None:
    """Raises a ValueError if a side of (height, width) is too large for a video at this scale."""
    largest = max(shape)
    if largest * scale > LARGEST_SIDE:
        raise ValueError(
            f"scale: expected at most {LARGEST_SIDE // largest} for a side of {largest} pixels "
            f"(all clips together), got {scale}; give a smaller scale or fewer clips"
        )


def _enlarge(frame: np.ndarray, scale: int) -> np.ndarray:
    return frame.repeat(scale, axis=0).repeat(scale, axis=1)


def _pad_to_even(frame: np.ndarray) -> np.ndarray:
    """Repeats the last row and column where a side is odd: H.264's 4:2:0 needs even sides."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _check_ending(path: str | Path, endings: tuple[str, ...]) -> str:
    if not isinstance(path, str | Path):
        raise ValueError(f"path: expected a path, got {type(path).__name__} {path!r:.80}")
    ending = Path(path).suffix.lower()
    if ending not in endings:
        raise ValueError(
            f"path: expected a name that ends in {' or '.join(endings)}, got {str(path)!r}"
        )
    return ending

"""Videos of dreams: panels side by side with captions, as MP4 and GIF."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldtokens.common.atomic import replacing

BACKGROUND = (18, 18, 22)
WHITE = (240, 240, 240)
GREY = (150, 150, 160)
GOLD = (255, 200, 60)
RED = (255, 80, 80)
GAP = 8
CAPTION = 22
COLUMNS = 4
# Frames, evenly from all, that decide on the 256 colours of a GIF.
PALETTE_FRAMES = 16


@dataclass(frozen=True)
class Panel:
    """One of the clips that play side by side.

    Attributes:
        title: Written above it.
        frames: uint8 (n, height, width, 3).
        captions: One per frame, written below it; red if it starts with `!`, gold if with `$`.
    """

    title: str
    frames: np.ndarray
    captions: Sequence[str]


def step_caption(reward: float, end: bool, life_lost: bool = False, action: str = "") -> str:
    """Returns the caption of a step: its action, its reward, a lost life, the end of the game."""
    words = f"{action}  reward {reward:g}".strip()
    if life_lost:
        words += "  LIFE LOST"
    if end or life_lost:
        return f"!{words}{'  END' if end else ''}"
    return f"{'$' if reward else ''}{words}"


def compose_clip(panels: Sequence[Panel], header: Sequence[str], scale: int) -> list[np.ndarray]:
    """Composes the frames of a video: enlarged panels, four in a row, and a line above all.

    Args:
        panels: Clips of equal length and frame size.
        header: The line above, one per frame.
        scale: Screen pixels per pixel; pixels stay sharp.

    Returns:
        uint8 (even height, even width, 3) each, as H.264 needs them.
    """
    font = ImageFont.load_default(13)
    height, width = (side * scale for side in panels[0].frames.shape[1:3])
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    cell = (width + GAP, CAPTION + height + CAPTION)
    size = (GAP + cell[0] * columns, CAPTION + cell[1] * rows)
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    clip = []
    for t, line in enumerate(header):
        image = Image.new("RGB", size, BACKGROUND)
        draw = ImageDraw.Draw(image)
        draw.text((GAP, 3), line, fill=WHITE, font=font)
        for index, panel in enumerate(panels):
            left, top = GAP + index % columns * cell[0], CAPTION + index // columns * cell[1]
            enlarged = panel.frames[t].repeat(scale, axis=0).repeat(scale, axis=1)
            image.paste(Image.fromarray(enlarged), (left, top + CAPTION))
            caption = panel.captions[t]
            color = {"!": RED, "$": GOLD}.get(caption[:1], WHITE)
            draw.text((left, top + 3), panel.title, fill=GREY, font=font)
            below = (left, top + CAPTION + height + 3)
            draw.text(below, caption.lstrip("!$"), fill=color, font=font)
        clip.append(np.asarray(image))
    return clip


def write_mp4(path: Path, frames: Sequence[np.ndarray], fps: int) -> None:
    """Writes H.264 with 4:2:0 colour and the index in front, which every browser plays.

    Args:
        path: The file, which ends in .mp4.
        frames: uint8 (even height, even width, 3), all of one size.
        fps: Frames per second.
    """
    height, width = frames[0].shape[:2]
    with replacing(path) as partial:
        with av.open(str(partial), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            # The macroblock tree reads memory that nobody wrote: equal frames, different files.
            stream.options = {"crf": "16", "preset": "medium", "mbtree": "0"}
            for frame in frames:
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)


def write_gif(path: Path, frames: Sequence[np.ndarray], fps: int) -> None:
    """Writes a GIF that repeats for ever.

    Args:
        path: The file, which ends in .gif.
        frames: uint8 (height, width, 3), all of one size.
        fps: Frames per second.
    """
    # One palette for all frames: a palette per frame would make still colours flicker.
    chosen = np.unique(np.linspace(0, len(frames) - 1, PALETTE_FRAMES).round().astype(int))
    sample = np.concatenate([frames[index] for index in chosen.tolist()])
    palette = Image.fromarray(sample).quantize(256)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    with replacing(path) as partial:
        images[0].save(
            partial, format="GIF", save_all=True, append_images=images[1:],
            duration=round(1000 / fps), loop=0,
        )  # fmt: skip

"""Videos of dreams: panels side by side with captions, as MP4 and GIF."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.atomic import replacing

BACKGROUND = (18, 18, 22)
WHITE = (240, 240, 240)
GREY = (150, 150, 160)
GOLD = (255, 200, 60)
RED = (255, 80, 80)
GAP = 8
CAPTION = 22


def compose_frame(
    panels: Sequence[np.ndarray], titles: Sequence[str], lines: Sequence[str], scale: int
) -> np.ndarray:
    """One frame of a video: enlarged panels side by side, a title above, captions below.

    Args:
        panels: uint8 (height, width, 3), all of one size.
        titles: One per panel.
        lines: Captions below the panels, one per panel; a caption that starts with `!` is drawn in
            red, with `$` in gold.
        scale: Screen pixels per pixel; pixels stay sharp.

    Returns:
        uint8 (even height, even width, 3), as H.264 wants it.
    """
    height, width = (side * scale for side in panels[0].shape[:2])
    size = (GAP + (width + GAP) * len(panels), CAPTION + height + CAPTION)
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    image = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for index, (panel, title, line) in enumerate(zip(panels, titles, lines, strict=True)):
        left = GAP + index * (width + GAP)
        enlarged = panel.repeat(scale, axis=0).repeat(scale, axis=1)
        image.paste(Image.fromarray(enlarged), (left, CAPTION))
        draw.text((left, 3), title, fill=GREY, font=font)
        color = {"!": RED, "$": GOLD}.get(line[:1], WHITE)
        draw.text((left, CAPTION + height + 3), line.lstrip("!$"), fill=color, font=font)
    return np.asarray(image)


def write_mp4(path: Path, frames: Sequence[np.ndarray], fps: int) -> None:
    """Writes H.264 with 4:2:0 colour and the index in front, which every browser plays.

    Args:
        path: Where it goes; ends in .mp4.
        frames: uint8 (even height, even width, 3), all of one size.
        fps: Frames per second.
    """
    height, width = frames[0].shape[:2]
    with replacing(path) as partial:
        with av.open(str(partial), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": "16", "preset": "medium"}
            for frame in frames:
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)


def write_gif(path: Path, frames: Sequence[np.ndarray], fps: int) -> None:
    """Writes a GIF that repeats for ever, of uint8 (height, width, 3) frames."""
    # One palette for all frames: a palette per frame would make still colours flicker.
    sample = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
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

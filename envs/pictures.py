"""The rule by which an environment's pictures become frames."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.spaces import Dict as DictSpace

from worldtokens.envs.config import AUTO, OBSERVATION, RENDER

# Smaller arrays are grids of objects, such as MiniGrid's 7 x 7, rather than pictures.
LEAST_SIDE = 16
_COLORS = {1: "grey", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class PictureRule:
    """Where the picture is found, and how it becomes a frame.

    Attributes:
        key: Key of a Dict observation; None for the observation itself, or for render().
        is_rendered: Whether it is what `render()` returns.
        layout: Its axes, one of LAYOUTS without auto.
        low: Value of black.
        high: Value of full brightness.
        words: The rule for people.
    """

    key: str | None
    is_rendered: bool
    layout: str
    low: float
    high: float
    words: str

    def to_rgb(self, picture: np.ndarray) -> np.ndarray:
        """Turns a picture of the rule's layout into uint8 (H, W, 3).

        Raises:
            ValueError: It has other axes.
        """
        picture = np.asarray(picture)
        if picture.ndim != len(self.layout):
            raise ValueError(
                f"picture: expected axes {self.layout}, got shape {picture.shape}; set "
                "env_config.layout"
            )
        picture = _to_colors(picture, self.layout)
        if picture.dtype != np.uint8 or (self.low, self.high) != (0, 255):
            scaled = (picture.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
            picture = np.rint(np.nan_to_num(scaled).clip(0, 255)).astype(np.uint8)
        if picture.shape[2] == 1:
            return picture.repeat(3, axis=2)
        if picture.shape[2] == 4:
            # Over black, as transparent pixels show nothing.
            shown = picture[..., :3].astype(np.float32) * (picture[..., 3:] / np.float32(255))
            return np.rint(shown).astype(np.uint8)
        return picture


def resize(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns uint8 (H, W, 3) at another (height, width), by area interpolation."""
    if picture.shape[:2] == shape:
        return np.array(picture)
    contiguous = np.ascontiguousarray(picture)
    return cv2.resize(contiguous, shape[::-1], interpolation=cv2.INTER_AREA)


def find_picture(
    space: gymnasium.Space, wanted: str, layout: str, shape: tuple[int, int], label: str
) -> PictureRule | None:
    """Finds the picture in an observation.

    Args:
        space: The observation space.
        wanted: "auto", "observation" or a key.
        layout: "auto", or the picture's axes.
        shape: (height, width) of the frames.
        label: The environment in errors.

    Returns:
        The rule; None where "auto" finds no picture, so that render() has to show one.

    Raises:
        ValueError: There is no such key, or what it holds is no picture.
    """
    if wanted == AUTO:
        candidates = space.spaces if isinstance(space, DictSpace) else {None: space}
        for key, part in candidates.items():
            if isinstance(part, Box) and _guess_layout(part.shape, LEAST_SIDE) is not None:
                return _rule(part, key, layout, shape, label)
        return None
    if wanted == OBSERVATION:
        return _rule(space, None, layout, shape, label)
    if not isinstance(space, DictSpace) or wanted not in space.spaces:
        keys = ", ".join(space.spaces) if isinstance(space, DictSpace) else "no keys"
        raise ValueError(
            f"env_config.picture: expected auto, observation, render or a key of the observation "
            f"of {label} ({keys}), got {wanted!r}"
        )
    return _rule(space.spaces[wanted], wanted, layout, shape, label)


def rendered_picture(picture: Any, layout: str, shape: tuple[int, int], label: str) -> PictureRule:
    """Returns the rule for what render() shows.

    Args:
        picture: What it returned once.
        layout: As for `find_picture`.
        shape: As for `find_picture`.
        label: As for `find_picture`.

    Raises:
        ValueError: It is no picture.
    """
    if not isinstance(picture, np.ndarray):
        raise ValueError(
            f"env: expected a picture from render() of {label}, whose observations are none, got "
            f"{type(picture).__name__}; it needs the render mode rgb_array"
        )
    space = Box(0, 255, picture.shape, np.uint8)
    if picture.dtype.kind == "f":
        space = Box(0.0, 1.0, picture.shape, np.float32)
    return _rule(space, None, layout, shape, label, is_rendered=True)


def take(rule: PictureRule, observation: Any, render: Callable[[], Any]) -> np.ndarray:
    """Returns the picture of a moment, as the environment gives it."""
    if rule.is_rendered:
        return np.asarray(render())
    return np.asarray(observation if rule.key is None else observation[rule.key])


def _rule(
    space: gymnasium.Space,
    key: str | None,
    layout: str,
    shape: tuple[int, int],
    label: str,
    is_rendered: bool = False,
) -> PictureRule:
    where = RENDER + "()" if is_rendered else "observation" + (f" {key!r}" if key else "")
    found = _guess_layout(space.shape, 1) if isinstance(space, Box) else None
    chosen = found if layout == AUTO else layout
    if not isinstance(space, Box) or chosen is None or len(chosen) != len(space.shape):
        raise ValueError(
            f"env_config.picture: expected a picture in the {where} of {label}, got {space}; set "
            "env_config.picture or env_config.layout"
        )
    low, high = _range(space, where, label)
    example = _to_colors(np.zeros(space.shape, np.uint8), chosen)
    height, width, channels = example.shape
    if channels not in _COLORS:
        raise ValueError(
            f"env_config.layout: expected 1, 3 or 4 colours in the {where} of {label}, got "
            f"{channels} with axes {chosen}"
        )
    last = ", the last of the stack" if "N" in chosen else ""
    scaled = "" if (low, high) == (0, 255) else f", {low:g} to {high:g} become 0 to 255"
    resized = f"area resize to {shape[0]}x{shape[1]}"
    words = (
        f"{where}: {space.dtype} {tuple(space.shape)}, axes {chosen}, {_COLORS[channels]}{last}"
        f"{scaled}; {'as it is' if (height, width) == shape else resized}"
    )
    return PictureRule(key, is_rendered, chosen, low, high, words)


def _range(space: Box, where: str, label: str) -> tuple[float, float]:
    """Returns the values of black and of full brightness.

    Raises:
        ValueError: The space does not say.
    """
    if space.dtype == np.bool_:
        return 0.0, 1.0
    low, high = float(np.min(space.low)), float(np.max(space.high))
    if space.dtype == np.uint8 and high > 1:
        return 0.0, 255.0
    # Floats without bounds say infinity, whole numbers the range of their type.
    if not np.isfinite([low, high]).all() or high - low > 1e6 or low >= high:
        raise ValueError(
            f"env_config.picture: expected bounds of the values in the {where} of {label}, got "
            f"{low:g} to {high:g}; wrap the environment so that its Box says them"
        )
    return low, high


def _guess_layout(shape: tuple[int, ...], least: int) -> str | None:
    """Guesses the axes; None where a shape is no picture of at least this size."""
    layout = None
    if len(shape) == 2:
        layout = "HW"
    elif len(shape) == 3:
        if shape[2] in _COLORS:
            layout = "HWC"
        elif shape[0] in (1, 3):
            layout = "CHW"
        else:
            layout = "HWN" if shape[2] < shape[0] else "NHW"
    elif len(shape) == 4:
        layout = "NHWC" if shape[3] in _COLORS else "NCHW" if shape[1] in _COLORS else None
    if layout is None:
        return None
    sides = [shape[layout.index(side)] for side in "HW"]
    return layout if min(sides) >= least else None


def _to_colors(picture: np.ndarray, layout: str) -> np.ndarray:
    """Returns (H, W, C): the last picture of a stack, with colours behind."""
    if layout == "HWN":
        # Frames in colour that were put side by side along the channels, else grey ones.
        colors = 3 if picture.shape[2] % 3 == 0 else 1
        return picture[..., -colors:]
    if "N" in layout:
        picture, layout = picture[-1], layout[1:]
    if layout == "HW":
        return picture[..., None]
    return picture.transpose(1, 2, 0) if layout == "CHW" else picture

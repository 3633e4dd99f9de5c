"""What the spaces of a Minari dataset say: where its pictures are, and what its actions mean."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from worldtokens.envs.actions import space_parts
from worldtokens.envs.pictures import PictureRule, find_picture


class Pictures:
    """The pictures in the observations of a dataset.

    Attributes:
        rule: Where they are, and how they become RGB.
    """

    rule: PictureRule

    def __init__(self, space: gymnasium.Space, folder: Path) -> None:
        """Finds them; small ones count too, since nothing can be rendered.

        Raises:
            ValueError: The observations hold none.
        """
        try:
            rule = find_picture(space, "auto", "auto", (0, 0), str(folder))
            if rule is None and isinstance(space, Box) and len(space.shape) > 1:
                rule = find_picture(space, "observation", "auto", (0, 0), str(folder))
        except ValueError:
            rule = None
        if rule is None:
            raise ValueError(
                f"source: expected observations that are images, or a Dict with images, got "
                f"{space} in {folder}"
            )
        self.rule = rule

    def to_frames(self, observations: Any) -> np.ndarray:
        """Converts the observations of an episode to uint8 (T + 1, H, W, 3)."""
        pictures = observations if self.rule.key is None else observations[self.rule.key]
        pictures = np.asarray(pictures)
        if pictures.dtype == np.uint8 and self.rule.layout == "HWC" and pictures.shape[-1] == 3:
            return pictures
        return np.stack([self.rule.to_rgb(picture) for picture in pictures])


class FlatActions:
    """The actions of a dataset as numbers from 0.

    Attributes:
        count: How many there are.
    """

    def __init__(self, space: gymnasium.Space, folder: Path) -> None:
        """Reads the space.

        Raises:
            ValueError: The actions are continuous.
        """
        parts = space_parts(space)
        if parts is None:
            raise ValueError(
                f"source: expected actions of a Discrete space, got {space} in {folder}"
            )
        self._start, sizes = parts
        self._sizes = tuple(sizes.tolist())
        self.count = int(np.prod(sizes.astype(object)))

    def flatten(self, actions: np.ndarray) -> np.ndarray:
        """Returns (T,) numbers from 0, of (T,) numbers or (T, parts)."""
        if len(self._sizes) == 1:
            return actions.reshape(len(actions), -1)[:, 0] - self._start[0]
        parts = actions.reshape(len(actions), -1).astype(np.int64) - self._start
        return np.asarray(np.ravel_multi_index(tuple(parts.T), self._sizes))

"""A scorer by a text: CLIP (Radford et al. 2021, arXiv 2103.00020), by the package open_clip."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from worldtokens.common.checks import check_at_least


@dataclass
class ClipConfig:
    """Which CLIP, and what it looks at.

    Attributes:
        model: A name of open_clip.
        weights: Path of its weights; nothing is downloaded.
        cutouts: Random parts of a frame that it sees at each step.
    """

    model: str = "ViT-B-32"
    weights: str | None = None
    cutouts: int = 16

    def __post_init__(self) -> None:
        """Checks the number of cutouts."""
        check_at_least(1, **{"clip.cutouts": self.cutouts})


class ClipScorer:
    """The similarity of a text and of random parts of a frame, mean over the parts."""

    def __init__(self, config: ClipConfig, text: str, generator: torch.Generator):
        """Loads the model and encodes the text.

        Args:
            config: Which model.
            text: What the frame shall show.
            generator: On the CPU, draws the parts.

        Raises:
            ValueError: The package or the weights are missing, or there is no such model.
        """
        try:
            import open_clip
        except ImportError as error:
            raise ValueError(
                "scorer=clip: expected the package open_clip_torch, got none; install it with "
                "pip install 'worldtokens[clip]'"
            ) from error
        if config.weights is None or not Path(config.weights).is_file():
            raise ValueError(
                f"clip.weights: expected a file with the weights of {config.model}, got "
                f"{config.weights}; download one that open_clip.list_pretrained() names"
            )
        if config.model not in open_clip.list_models():
            raise ValueError(
                f"clip.model: expected one of open_clip.list_models(), got {config.model!r}"
            )
        try:
            model: Any = open_clip.create_model(config.model, pretrained=config.weights)
        except (RuntimeError, OSError, KeyError) as error:
            raise ValueError(
                f"clip.weights: expected weights of {config.model}, got {config.weights}, which "
                f"cannot be read ({type(error).__name__})"
            ) from error
        model.requires_grad_(False).eval()
        self._model = model
        self._cutouts = config.cutouts
        self._generator = generator
        visual = self._model.visual
        size = visual.image_size
        self._size = int(size[0] if isinstance(size, tuple | list) else size)
        self._mean, self._deviation = (
            torch.tensor(values).view(3, 1, 1) for values in (visual.image_mean, visual.image_std)
        )
        words = open_clip.get_tokenizer(config.model)([text])
        with torch.no_grad():
            self._text = functional.normalize(self._model.encode_text(words), dim=-1)

    def __call__(self, pixels: Tensor) -> Tensor:
        """See Scorer.__call__."""
        parts = torch.cat([self._part(pixels) for _ in range(self._cutouts)])
        scaled = ((parts + 1) / 2 - self._mean) / self._deviation
        images = functional.normalize(self._model.encode_image(scaled), dim=-1)
        return (images @ self._text.T).view(self._cutouts, len(pixels)).mean(0)

    def _part(self, pixels: Tensor) -> Tensor:
        """Cuts a random square of at least 70% of the frame's side, enlarged to CLIP's size."""
        height, width = pixels.shape[2:]
        draws = torch.rand(3, generator=self._generator).tolist()
        side = round(min(height, width) * (0.7 + 0.3 * draws[0]))
        top, left = round(draws[1] * (height - side)), round(draws[2] * (width - side))
        square = pixels[:, :, top : top + side, left : left + side]
        return functional.interpolate(
            square, size=(self._size, self._size), mode="bicubic", align_corners=False
        )

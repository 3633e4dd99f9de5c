"""The perceptual distance LPIPS (Zhang et al. 2018, arXiv 1801.03924), with trained weights."""

import inspect
import pickle
import urllib.error
import warnings
from pathlib import Path

import lpips
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG16_Weights

# VGG pools four times: smaller frames are enlarged to this height or width first.
SMALLEST = 32


class MissingWeightsError(ValueError):
    """VGG16's weights are not at hand."""


class Perceptual(nn.Module):
    """LPIPS over VGG16, frozen: it stays in eval mode, or its dropout would make it random."""

    def __init__(self, trunk: dict[str, Tensor]):
        """Takes the trunk's weights; the heads' come with the package lpips.

        Args:
            trunk: torchvision's VGG16 weights, "features.0.weight" and so on.

        Raises:
            ValueError: A weight is missing or of another shape.
        """
        super().__init__()
        # Without `pnet_rand` lpips would download; its own loading leaves missing weights random.
        with warnings.catch_warnings():
            # lpips calls torchvision in a deprecated way.
            warnings.simplefilter("ignore", UserWarning)
            self.distance = lpips.LPIPS(net="vgg", pnet_rand=True, pretrained=False, verbose=False)
        # Mean and deviation of VGG's training images are constants of the package.
        constants = self.distance.scaling_layer.state_dict(prefix="scaling_layer.")
        self.distance.load_state_dict({**constants, **self._trunk(trunk), **self._heads()})
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> "Perceptual":
        """Stays in eval mode."""
        return self

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Measures the distance of each pair of frames.

        Args:
            reconstruction: float (n, 3, height, width) in [-1, 1].
            target: Frames of that shape.

        Returns:
            float32 (n,), at least 0.
        """
        pair = (reconstruction, target)
        side = min(target.shape[2:])
        if side < SMALLEST:
            pair = (functional.interpolate(x, scale_factor=SMALLEST / side) for x in pair)
        return self.distance(*pair).flatten().float()

    def _trunk(self, trunk: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns the trunk's weights under the names of lpips."""
        renamed = {}
        for name, value in self.distance.net.state_dict().items():
            _, layer, kind = name.split(".")
            source = f"features.{layer}.{kind}"
            if source not in trunk or trunk[source].shape != value.shape:
                raise ValueError(f"perceptual weights: {source} is missing or of another shape")
            renamed[f"net.{name}"] = trunk[source]
        return renamed

    def _heads(self) -> dict[str, Tensor]:
        path = Path(inspect.getfile(lpips.LPIPS)).parent / "weights" / "v0.1" / "vgg.pth"
        heads = torch.load(path, map_location="cpu", weights_only=True)
        # Each head is registered twice, by its own name and in a list.
        return heads | {name.replace("lin", "lins.", 1): value for name, value in heads.items()}


def load_perceptual(weights: str | None, download: bool = True) -> Perceptual:
    """Loads LPIPS with its trained weights.

    Args:
        weights: Path of torchvision's VGG16 weights (vgg16-397923af.pth; its "features" suffice).
            None: the file of torchvision's own downloads (below TORCH_HOME).
        download: Whether to download that file if it is missing.

    Raises:
        MissingWeightsError: The weights are missing and cannot be downloaded.
        ValueError: They are damaged.
    """
    if weights is not None:
        return Perceptual(_read(Path(weights)))
    url = VGG16_Weights.IMAGENET1K_V1.url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not cached.exists() and not download:
        raise MissingWeightsError(f"perceptual weights: {cached} is missing")
    if not cached.exists():
        try:
            torch.hub.load_state_dict_from_url(url, progress=False, check_hash=True)
        except (urllib.error.URLError, OSError, RuntimeError) as error:
            raise MissingWeightsError(
                f"perceptual weights: {cached} is missing and cannot be downloaded ({error}); put "
                f"{url} there, or name a local copy with loss.perceptual_weights=PATH, or set "
                "loss.perceptual=0"
            ) from error
    return Perceptual(_read(cached))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        trunk = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"perceptual weights: {path} cannot be read ({error})") from error
    if not isinstance(trunk, dict):
        raise ValueError(f"perceptual weights: {path} does not hold VGG16's weights")
    return trunk

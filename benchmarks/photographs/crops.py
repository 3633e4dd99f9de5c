"""Writes crops of the photographs that come with scikit-image, as data for tokenizers.

    python benchmarks/photographs/crops.py --out data/photographs.npy
    python benchmarks/tokenizer_table.py --data data/photographs.npy --minutes 5 \
        --designs benchmarks/designs/beyond_sprites.yaml --frames 300

Needs the extra `pictures`. Every tenth image of an array is held out (tokenizer/data/images.py), so
every tenth crop comes from the right fifth of a photograph, and the others from the rest of it: no
held-out crop shows what a training crop shows.
"""

import argparse
from pathlib import Path

import numpy as np

from worldtokens.common.atomic import replacing

# In the package itself; scikit-image would download others.
PHOTOGRAPHS = ("astronaut", "cat", "coffee", "retina", "rocket", "hubble_deep_field")
SIDE = 64
HELDOUT_ONE_IN = 10
HELDOUT_SHARE = 0.2


def main() -> None:
    """Writes the array."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("data/photographs.npy"))
    parser.add_argument("--count", type=int, default=6000, help="crops in all")
    options = parser.parse_args()
    crops = draw_crops(load_photographs(), options.count, np.random.default_rng(0))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(options.out) as partial, open(partial, "wb") as file:
        np.save(file, crops)
    print(f"{options.out}: {len(crops):,} crops of {SIDE}x{SIDE} of {', '.join(PHOTOGRAPHS)}")


def load_photographs() -> list[np.ndarray]:
    """Loads the photographs, uint8 (height, width, 3)."""
    from skimage import data

    return [np.asarray(getattr(data, name)())[..., :3] for name in PHOTOGRAPHS]


def draw_crops(photographs: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws crops at random, from each photograph equally often.

    Args:
        photographs: uint8 (height, width, 3), higher and wider than SIDE / HELDOUT_SHARE.
        count: Number of crops.
        rng: Draws them.

    Returns:
        uint8 (count, SIDE, SIDE, 3); every tenth comes from the right fifth.
    """
    crops = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for index in range(count):
        image = photographs[rng.integers(len(photographs))]
        edge = round(image.shape[1] * (1 - HELDOUT_SHARE))
        is_heldout = index % HELDOUT_ONE_IN == HELDOUT_ONE_IN - 1
        part = image[:, edge:] if is_heldout else image[:, :edge]
        top = rng.integers(part.shape[0] - SIDE + 1)
        left = rng.integers(part.shape[1] - SIDE + 1)
        crops[index] = part[top : top + SIDE, left : left + SIDE]
    return crops


if __name__ == "__main__":
    main()

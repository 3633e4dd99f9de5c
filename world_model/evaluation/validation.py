"""Held-out evaluation between training steps: metrics, and a short dream as a picture."""

from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.metrics import count_predictions
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.plots import save_clip_grid
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel

SEED = 0
DREAMS = 3
HORIZON = 10


class Heldout:
    """Held-out episodes: the same segments and the same dreams at every evaluation.

    Attributes:
        dataset: The episodes.
        tokens: The same as tokens.
    """

    def __init__(
        self, data: str, tokenizer: Tokenizer, segments: int, length: int, batch: int, context: int
    ):
        """Draws the segments and the starts of the dreams.

        Args:
            data: The dataset's folder or name.
            tokenizer: Whose tokens are predicted.
            segments: Segments to predict, rounded up to whole batches.
            length: Frames of a segment.
            batch: Segments at a time.
            context: Most frames before a dream.
        """
        self.dataset = EpisodeDataset(data, "heldout")
        self._tokenizer = tokenizer
        self.tokens = tokens = load_tokens(self.dataset, tokenizer)
        rng = np.random.default_rng(SEED)
        self._batches = [tokens.sample(batch, length, rng) for _ in range(0, segments, batch)]
        self._context = min(4, context)
        self._starts = tokens.starts(DREAMS, self._context, 2, rng)

    def metrics(self, model: WorldModel) -> dict[str, float]:
        """Measures one-step metrics, by name; see `PredictionCounts.metrics`."""
        return count_predictions(model, self._batches).metrics()

    def draw(self, model: WorldModel, picture: Path) -> None:
        """Writes a PNG of short greedy dreams, each below what really came."""
        was_training = model.training
        model.eval()
        greedy = Sampling(top_k=1)
        open_loop = roll_out(model, self._starts, self._context, HORIZON, sampling=greedy)
        model.train(was_training)
        dreams = self._tokenizer.decode(open_loop.rollout.tokens).cpu().numpy()
        clips, names = [], []
        for number, dream in enumerate(dreams):
            real = self.dataset.gather_frames(open_loop.frame_numbers[number, self._context :])
            real[~open_loop.truth.mask[number, self._context :].numpy()] = 0
            clips += [real, dream]
            names += ["real", "imagined"]
        save_clip_grid(picture, clips, names, [f"+{h + 1}" for h in range(HORIZON)])

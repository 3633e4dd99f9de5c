"""What training looks at between steps: figures and a short dream of held-out episodes."""

from pathlib import Path

import numpy as np

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model.data.token_cache import load_tokens
from worldtokens.world_model.evaluation.metrics import count_predictions
from worldtokens.world_model.evaluation.open_loop import roll_out
from worldtokens.world_model.evaluation.plots import save_strips
from worldtokens.world_model.model import WorldModel

SEED = 0
DREAMS = 3
STRIP = 10


class Heldout:
    """Held-out episodes: the same segments and the same dreams at every evaluation."""

    def __init__(
        self, data: str, tokenizer: Tokenizer, segments: int, length: int, batch: int, context: int
    ):
        """Draws the segments and the starts of the dreams.

        Args:
            data: The dataset's folder.
            tokenizer: Whose tokens are predicted.
            segments: Segments to predict, rounded up to whole batches.
            length: Frames of a segment.
            batch: Segments at a time.
            context: Most frames before a dream.
        """
        self.dataset = EpisodeDataset(data, "heldout")
        self._tokenizer = tokenizer
        tokens = load_tokens(self.dataset, tokenizer)
        rng = np.random.default_rng(SEED)
        self._batches = [tokens.sample(batch, length, rng) for _ in range(0, segments, batch)]
        self._context = min(4, context)
        self._starts = tokens.starts(DREAMS, self._context, 2, rng)

    def figures(self, model: WorldModel) -> dict[str, float]:
        """One-step figures by name, see `PredictionCounts.figures`."""
        return count_predictions(model, self._batches).figures()

    def draw(self, model: WorldModel, picture: Path) -> None:
        """Writes a PNG of short greedy dreams, each below what really came."""
        was_training = model.training
        model.eval()
        found = roll_out(model, self._starts, self._context, STRIP, top_k=1)
        model.train(was_training)
        dreams = self._tokenizer.decode(found.rollout.tokens).cpu().numpy()
        rows, names = [], []
        for number, dream in enumerate(dreams):
            real = self.dataset.gather_frames(found.frame_numbers[number, self._context :])
            real[~found.truth.mask[number, self._context :].numpy()] = 0
            rows += [real, dream]
            names += ["real", "imagined"]
        save_strips(picture, rows, names, [f"+{h + 1}" for h in range(STRIP)])

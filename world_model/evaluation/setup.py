"""What all parts of an evaluation share: the models, the episodes and what reads frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from worldtokens.collect import EpisodeDataset
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.data.backgrounds import SceneBackgrounds
from worldtokens.world_model.data.segments import TokenDataset
from worldtokens.world_model.evaluation.probe import PositionProbe
from worldtokens.world_model.evaluation.readers import LivesReader, SceneReader, evenly_by_class
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel

GREEDY, DRAWN = "greedy", "drawn"
SAMPLINGS = {GREEDY: Sampling(top_k=1), DRAWN: Sampling()}
READ_FRAMES = 1000


@dataclass(frozen=True)
class Setup:
    """What all parts of an evaluation share.

    Attributes:
        model: What is evaluated.
        tokenizer: Its tokenizer.
        heldout: Episodes that the model was not trained on.
        tokens: The same as tokens.
        training: Episodes that the model was trained on.
        training_tokens: The same as tokens.
        backgrounds: Medians of the scenes.
        probes: Read the player's position, by axis.
        context: Known frames before a dream.
        seed: Of the windows and of the dreams.
    """

    model: WorldModel
    tokenizer: Tokenizer
    heldout: EpisodeDataset
    tokens: TokenDataset
    training: EpisodeDataset
    training_tokens: TokenDataset
    backgrounds: SceneBackgrounds
    probes: Mapping[str, PositionProbe]
    context: int
    seed: int

    def decode(self, tokens: Tensor | np.ndarray) -> np.ndarray:
        """Decodes tokens, integers (..., K), to frames uint8 (..., height, width, 3)."""
        if isinstance(tokens, np.ndarray):
            tokens = tokens.astype(np.int64)
        return self.tokenizer.decode(tokens).cpu().numpy()

    def as_tensor(self, tokens: np.ndarray) -> Tensor:
        """Returns tokens as int64 on the model's device."""
        return torch.from_numpy(tokens.astype(np.int64)).to(self.model.device)

    @cached_property
    def scene_reader(self) -> SceneReader:
        """Reads which scene a decoded frame shows."""
        return SceneReader(self.backgrounds)

    @cached_property
    def lives_reader(self) -> LivesReader | None:
        """Reads the lives from decoded frames; None where they are not visible."""
        lives = self.training.read("lives", 0, self.training.num_frames)
        tokens = np.concatenate([episode.tokens for episode in self.training_tokens.episodes])
        numbers = self._numbers(self.training_tokens)
        chosen = evenly_by_class(lives[numbers])
        frames = self.decode(tokens[chosen])
        return LivesReader.fit(frames, lives[numbers[chosen]], self.backgrounds.score_rows)

    @cached_property
    def known_tokens(self) -> np.ndarray:
        """Which tokens the training episodes have at which position, bool (K, V)."""
        k = self.tokenizer.tokens_per_frame
        known = np.zeros((k, self.tokenizer.vocab_size), bool)
        for episode in self.training_tokens.episodes:
            known[np.arange(k), episode.tokens] = True
        return known

    def strange(self, tokens: Tensor | np.ndarray) -> np.ndarray:
        """Marks (position, token) pairs that no training frame has: (..., K) -> bool (..., K)."""
        return ~self.known_tokens[np.arange(len(self.known_tokens)), np.asarray(tokens)]

    @cached_property
    def reading_accuracy(self) -> dict[str, float]:
        """How often held-out true frames, reconstructed, are read correctly: scene and lives."""
        tokens = np.concatenate([episode.tokens for episode in self.tokens.episodes])
        numbers = self._numbers(self.tokens)
        chosen = np.unique(np.linspace(0, len(tokens) - 1, READ_FRAMES).astype(int))
        frames, numbers = self.decode(tokens[chosen]), numbers[chosen]
        accuracy = {}
        if len(self.backgrounds.scenes) > 1:
            read = self.scene_reader.read(frames)
            accuracy["scene_reading_accuracy"] = float((read == self.heldout.scene[numbers]).mean())
        if self.lives_reader is not None:
            lives = self.heldout.read("lives", 0, self.heldout.num_frames)[numbers]
            correct = self.lives_reader.read(frames) == lives
            accuracy["lives_reading_accuracy"] = float(correct.mean())
        return accuracy

    def _numbers(self, tokens: TokenDataset) -> np.ndarray:
        """Numbers of all frames in their dataset, in the order of the tokens."""
        return np.concatenate([e.first_frame + np.arange(len(e.tokens)) for e in tokens.episodes])

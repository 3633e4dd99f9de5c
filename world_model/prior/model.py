"""A prior over single frames: the world model's transformer over a class and the tokens."""

import difflib
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldtokens.common.checks import is_whole_number
from worldtokens.hub.model_card import CardModel
from worldtokens.hub.model_files import Kind
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.world_model.imagination.sampling import (
    Generators,
    Sampling,
    check_generator,
    draw,
)
from worldtokens.world_model.networks.attention import residual_outputs
from worldtokens.world_model.networks.transformer import Transformer
from worldtokens.world_model.prior.card import prior_card
from worldtokens.world_model.prior.checks import check_classes, check_condition, check_known
from worldtokens.world_model.prior.config import FramePriorConfig

ANY_CLASS = 0
# Far above all use: every token is a pass through the network.
LARGEST_SIDE = 1024


class FramePrior(PretrainedModel):
    """Draws frames from p(s), p(s | class) or p(s | another image), token after token.

    This is the second stage of VQGAN (Esser et al. 2021, arXiv:2012.09841, sections 3.2 and 3.3).
    A block of the transformer is [class | tokens]; where another image is given, its block stands
    before. Each position sees those before it, in the order of rows.
    """

    kind = Kind("frame_prior", FramePriorConfig, "train-prior")
    config: FramePriorConfig

    def __init__(self, config: FramePriorConfig):
        """Creates an untrained prior."""
        super().__init__(config)
        self.transformer = Transformer(config.transformer)
        # In a block of the world model the action stands last; here the class stands first.
        self.transformer.coordinates = self.transformer.coordinates.roll(1, dims=0)
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.class_embedding = nn.Embedding(1 + len(config.classes), config.width)
        self.head = nn.Linear(config.width, config.width)
        self.token_bias = nn.Parameter(torch.zeros(config.vocab_size))
        if config.conditioned:
            self.image_mark = nn.Parameter(torch.zeros(config.width))
            self.copy_gate = nn.Linear(config.width, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights, scaled by their inputs, with small residual branches."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.1)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.8 / math.sqrt(module.in_features))
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for layer in residual_outputs(self):
                layer.weight /= math.sqrt(2 * self.config.layers)
            if self.config.conditioned:
                self.copy_gate.weight.zero_()
            if self.config.condition == "previous":
                # As in the world model: the frame before gets 0.88 against V equal logits.
                self.copy_gate.bias.fill_(math.log(self.config.vocab_size) + 2.0)

    @torch.no_grad()
    def set_codes(self, vectors: Tensor) -> None:
        """Starts the tokens' vectors from the tokenizer's, float (V, D): alike if they look alike.

        They go through a random projection, which keeps distances in expectation.
        """
        assert len(vectors) == self.config.vocab_size
        vectors = (vectors - vectors.mean(dim=0)) / vectors.std(dim=0).mean().clamp(min=1e-6)
        projection = torch.randn(vectors.shape[1], self.config.width) / vectors.shape[1] ** 0.5
        self.token_embedding.weight.copy_(0.1 * vectors @ projection)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.token_bias.device

    def class_numbers(self, names: Sequence[str | None]) -> Tensor:
        """Returns the numbers of classes by name, int64 (n,); None stands for any class.

        Raises:
            ValueError: No class of that name; the message lists those there are.
        """
        known = self.config.classes
        if isinstance(names, str) or not isinstance(names, Sequence):
            raise ValueError(f"names: expected a list of names or None, got {names!r:.80}")
        for name in names:
            if name is not None and name not in known:
                if not known:
                    raise ValueError(
                        f"classes: expected None, since this prior was trained without any, got "
                        f"{name!r}"
                    )
                close = difflib.get_close_matches(str(name), known, n=3) or known[:12]
                raise ValueError(
                    f"classes: expected names such as {', '.join(close)}, got {name!r}"
                )
        numbers = [ANY_CLASS if name is None else 1 + known.index(name) for name in names]
        return torch.tensor(numbers, dtype=torch.int64, device=self.device)

    def check_tokenizer(self, fingerprint: str) -> None:
        """Raises a ValueError unless this is the tokenizer that the prior was trained on."""
        if fingerprint != self.config.tokenizer:
            raise ValueError(
                f"tokenizer: expected {self.config.tokenizer!r}, which this prior was trained on, "
                f"got {fingerprint!r}; give that tokenizer, or train a prior on this one"
            )

    def forward(
        self, tokens_bk: Tensor, classes: Tensor, condition_bk: Tensor | None = None
    ) -> Tensor:
        """Predicts every token from the class, the other image and the tokens before it.

        Args:
            tokens_bk: int64 (B, K).
            classes: int64 (B,), see `class_numbers`.
            condition_bk: The other image's tokens, int64 (B, K); None for priors without.

        Returns:
            Logits, float32 (B, K, V).
        """
        features = self._features(tokens_bk, classes, condition_bk)
        return self._logits(features[:, :-1], condition_bk)

    @torch.no_grad()
    def sample(
        self,
        classes: Tensor,
        condition: Tensor | None = None,
        known: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Generators = None,
    ) -> Tensor:
        """Draws frames.

        Args:
            classes: int64 (B,), see `class_numbers`.
            condition: The other image's tokens, int64 (B, K); for priors that were trained with.
            known: First tokens of the frames, int64 (B, n) with n at most K; the rest is drawn.
            temperature: See `Sampling`.
            top_k: See `Sampling`; 1 is greedy.
            top_p: See `Sampling`.
            generator: One generator, or one per row.

        Returns:
            int64 (B, K).

        Raises:
            ValueError: An argument of another type, dtype, shape, range or device.
        """
        sampling = Sampling(temperature, top_k, top_p)
        check_classes(classes, self.config, self.device)
        k, batch = self.config.tokens_per_frame, len(classes)
        check_generator(generator, batch)
        check_condition(condition, (batch, k), self.config, self.device)
        if known is None:
            known = torch.zeros(batch, 0, dtype=torch.int64, device=self.device)
        else:
            check_known(known, batch, self.config, self.device)
        tokens = known
        cache = self.transformer.new_cache(len(classes))
        if condition is not None:
            self.transformer.step(self._image_block(condition), cache)
        fed = 0
        x = self.class_embedding(classes)[:, None]
        while (position := tokens.shape[1]) < self.config.tokens_per_frame:
            x = torch.cat((x, self.token_embedding(tokens[:, fed:])), dim=1)
            last = self.transformer.step(x, cache)[:, -1:]
            here = None if condition is None else condition[:, position : position + 1]
            drawn = draw(self._logits(last, here), sampling, generator)
            fed, x = position, x[:, :0]
            tokens = torch.cat((tokens, drawn), dim=1)
        return tokens

    @torch.no_grad()
    def sample_larger(
        self,
        rows: int,
        columns: int,
        classes: Tensor,
        condition: Tensor | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Generators = None,
    ) -> Tensor:
        """Draws frames of more tokens than the prior was trained on, in a sliding window.

        Each token is drawn from the window of the trained size around it, as far as it lies inside
        of the frame (VQGAN, section 3.3 and figure 3).

        Args:
            rows: Rows of tokens, at least `config.grid[0]`.
            columns: Columns of tokens, at least `config.grid[1]`.
            classes: int64 (B,), see `class_numbers`.
            condition: The other images' tokens, int64 (B, rows, columns).
            temperature: See `Sampling`.
            top_k: See `Sampling`; 1 is greedy.
            top_p: See `Sampling`.
            generator: One generator, or one per row.

        Returns:
            int64 (B, rows, columns).

        Raises:
            ValueError: A size below the trained one, or an argument as in `sample`.
        """
        sampling, (height, width) = Sampling(temperature, top_k, top_p), self.config.grid
        for name, size, least in (("rows", rows, height), ("columns", columns, width)):
            if not is_whole_number(size) or not least <= size <= LARGEST_SIDE:
                raise ValueError(
                    f"{name}: expected a whole number from {least}, the prior's own, to "
                    f"{LARGEST_SIDE}, got {size!r}"
                )
        check_classes(classes, self.config, self.device)
        check_condition(condition, (len(classes), rows, columns), self.config, self.device)
        check_generator(generator, len(classes))
        canvas = torch.zeros(len(classes), rows, columns, dtype=torch.int64, device=self.device)
        for row in range(rows):
            top = window_start(row, rows, height)
            for column in range(columns):
                left = window_start(column, columns, width)
                area = (slice(None), slice(top, top + height), slice(left, left + width))
                position = (row - top) * width + column - left
                seen = None if condition is None else condition[area].flatten(1)
                features = self._features(canvas[area].flatten(1), classes, seen)
                here = None if seen is None else seen[:, position : position + 1]
                logits = self._logits(features[:, position : position + 1], here)
                canvas[:, row, column] = draw(logits, sampling, generator)[:, 0]
        return canvas

    def _features(self, tokens: Tensor, classes: Tensor, condition: Tensor | None) -> Tensor:
        """Returns the transformer's output of the last block, (B, K + 1, D)."""
        assert (condition is not None) == self.config.conditioned
        start = self.class_embedding(classes)[:, None]
        blocks = [torch.cat((start, self.token_embedding(tokens)), dim=1)]
        if condition is not None:
            blocks.insert(0, self._image_block(condition))
        return self.transformer(torch.stack(blocks, dim=1))[:, -1]

    def _image_block(self, condition: Tensor) -> Tensor:
        start = self.image_mark.expand(len(condition), 1, -1)
        return torch.cat((start, self.token_embedding(condition)), dim=1)

    def _logits(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Returns logits (B, n, V) of (B, n, D); the other image's token there gets a bonus."""
        hidden = F.gelu(self.head(x))
        logits = F.linear(hidden, self.token_embedding.weight, self.token_bias).float()
        if condition is None:
            return logits
        return logits.scatter_add(-1, condition[..., None], self.copy_gate(x).float())

    def _card_model(self) -> CardModel:
        return prior_card(self.config)


def window_start(position: int, size: int, window: int) -> int:
    """Returns the start of a window around a position that stays inside a side of a frame."""
    return min(max(position - window // 2, 0), size - window)

"""The tokenizer: frames to tokens and back."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from worldtokens.common.devices import native_autocast_dtype
from worldtokens.common.forks import settle_after_fork
from worldtokens.hub.eval_view import eval_view
from worldtokens.hub.model_card import CardModel
from worldtokens.hub.model_files import Kind
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.tokenizer.card import summarize, tokenizer_card
from worldtokens.tokenizer.checks import as_frames, as_tokens
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.networks import build_network
from worldtokens.tokenizer.output import TokenizerOutput
from worldtokens.tokenizer.pixels import (
    change_weights,
    crop_pixels,
    pad_pixels,
    scale_frames,
    unscale_frames,
)
from worldtokens.tokenizer.quantizers import Quantized, Quantizer, build_quantizer

# Frames that one pass takes: of encode and decode on a GPU, and of `start`.
GPU_CHUNK = 512
START_CHUNK = 256


class Tokenizer(PretrainedModel, tags=["image-tokenizer"]):
    """Turns a frame into `tokens_per_frame` tokens, row-major over `grid`, and back.

    Attributes:
        config: Its architecture.
        grid: (rows, columns) of the tokens. For several levels, or several tokens per position, it
            is a layout without further meaning; see `levels`.
        levels: (rows, columns, depth) of each level; its tokens are row-major over its rows and
            columns, `depth` of them at each position, and the levels follow one another.
        vocab_size: Tokens are in [0, vocab_size).
        tokens_per_frame: K.
        frame_shape: (height, width, 3).
        uses_autocast: Whether encode and decode run in bfloat16 where the device multiplies it in
            hardware. Quantization is float32 either way.
    """

    kind = Kind(
        "tokenizer",
        TokenizerConfig,
        "train-tokenizer",
        legacy_values={"encoder_scope": "patch", "codebook_dead_share": 0.03},
    )
    config: TokenizerConfig

    def __init__(self, config: TokenizerConfig):
        """Builds the network with fresh weights."""
        super().__init__(config)
        first = build_quantizer(config)
        self.network = build_network(config, first.latent_dim, first.code_dim)
        others = (build_quantizer(config) for _ in self.network.grids[1:])
        self.quantizers = nn.ModuleList([first, *others])
        self.levels = tuple((*grid, first.depth) for grid in self.network.grids)
        self.vocab_size = first.vocab_size
        self.tokens_per_frame = sum(rows * columns * depth for rows, columns, depth in self.levels)
        # The narrowest level's columns always divide: the wider ones are multiples of it.
        columns = max(c for _, c, _ in self.levels if self.tokens_per_frame % c == 0)
        self.grid = (self.tokens_per_frame // columns, columns)
        self.frame_shape = (config.frame_height, config.frame_width, 3)
        self.uses_autocast = True
        self.to(memory_format=torch.channels_last)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @property
    def last_layer(self) -> Tensor:
        """The weight of the decoder's last layer."""
        weight = self.network.last_layer.weight
        assert isinstance(weight, Tensor)
        return weight

    def forward(self, frames: Tensor) -> TokenizerOutput:
        """Runs the differentiable pass that training needs.

        Args:
            frames: uint8 (n, height, width, 3) on the model's device.
        """
        target = scale_frames(frames)
        levels = self._quantize(target)
        return TokenizerOutput(
            target=target,
            reconstruction=self._decode([quantized.vectors for quantized in levels]),
            tokens=_join(levels),
            codebook=torch.stack([quantized.codebook for quantized in levels]).sum(),
            commitment=torch.stack([quantized.commitment for quantized in levels]).sum(),
            entropy=torch.stack([quantized.entropy for quantized in levels]).sum(),
        )

    def encode(self, frames: Tensor | np.ndarray) -> Tensor:
        """Encodes frames chunk by chunk, without gradients.

        A frame's tokens do not depend on the frames beside it: every chunk has the same size, and
        a smaller last one is padded, since kernels may round differently for other sizes.

        Args:
            frames: uint8 (..., height, width, 3), an array or a tensor on the CPU or the model's
                device.

        Returns:
            int64 (..., K) on the model's device.

        Raises:
            ValueError: `frames` has another type, dtype, shape or device.
        """
        frames = as_frames(frames, self.frame_shape, self.device)
        flat = frames.reshape(-1, *self.frame_shape)
        tokens = torch.empty(
            len(flat), self.tokens_per_frame, dtype=torch.int64, device=self.device
        )
        with self._inference() as model:
            for start, chunk in self._chunks(flat):
                if not self.network.is_exact:
                    rest = self._chunk_size() - len(chunk)
                    chunk = torch.cat([chunk, chunk[-1:].expand(rest, -1, -1, -1)])
                encoded = model.tokens_of(chunk)[: len(flat) - start]
                tokens[start : start + len(encoded)] = encoded
        return tokens.reshape(*frames.shape[:-3], self.tokens_per_frame)

    def decode(self, tokens: Tensor | np.ndarray) -> Tensor:
        """Decodes tokens chunk by chunk, without gradients.

        Args:
            tokens: int64 (..., K) in [0, vocab_size).

        Returns:
            uint8 (..., height, width, 3) on the model's device.

        Raises:
            ValueError: `tokens` has another type, dtype, shape, range or device.
        """
        tokens = as_tokens(tokens, self.tokens_per_frame, self.vocab_size, self.device)
        flat = tokens.reshape(-1, self.tokens_per_frame)
        frames = torch.empty(len(flat), *self.frame_shape, dtype=torch.uint8, device=self.device)
        with self._inference() as model:
            for start, chunk in self._chunks(flat):
                frames[start : start + len(chunk)] = model.frames_of(chunk)
        return frames.reshape(*tokens.shape[:-1], *self.frame_shape)

    def embed(self, tokens: Tensor | np.ndarray) -> Tensor:
        """Looks up the code vectors of tokens.

        Args:
            tokens: int64 (..., K) in [0, vocab_size).

        Returns:
            float32 (..., K, D) on the model's device.

        Raises:
            ValueError: `tokens` has another type, dtype, shape, range or device.
        """
        tokens = as_tokens(tokens, self.tokens_per_frame, self.vocab_size, self.device)
        settle_after_fork()
        with torch.no_grad():
            parts = [q.lookup(part) for q, part in self._split(tokens.to(self.device))]
        leading = tokens.shape[:-1]
        flat = [part.flatten(len(leading), -2) for part in parts]
        return torch.cat(flat, dim=-2)

    def tokens_of(self, frames: Tensor) -> Tensor:
        """Encodes without checks and chunks: uint8 (n, height, width, 3) to int64 (n, K)."""
        return _join(self._quantize(scale_frames(frames)))

    def frames_of(self, tokens: Tensor) -> Tensor:
        """Decodes without checks and chunks: int64 (n, K) to uint8 (n, height, width, 3)."""
        vectors = [quantizer.dequantize(part) for quantizer, part in self._split(tokens)]
        return unscale_frames(self._decode(vectors))

    @property
    def weighs_changes(self) -> bool:
        """Whether `start` looks at the frames before the frames."""
        return any(quantizer.uses_weights for quantizer in self._levels())

    @torch.no_grad()
    def start(
        self,
        frames: Tensor | np.ndarray,
        generator: torch.Generator,
        previous: Tensor | np.ndarray | None = None,
    ) -> None:
        """Sets the quantizers' first codes from training frames, by k-means for example.

        Args:
            frames: uint8 (n, height, width, 3).
            generator: A CPU generator.
            previous: The frame before each of them, of that shape: patches that just changed, as
                what moves does, then count more than the background. None where none is known.
        """
        frames = as_frames(frames, self.frame_shape, self.device)
        if previous is not None:
            previous = as_frames(previous, self.frame_shape, self.device)
        with self._inference() as model:
            for level, quantizer in enumerate(self._levels()):
                weights = None
                if previous is not None:
                    pairs = zip(frames.split(START_CHUNK), previous.split(START_CHUNK), strict=True)
                    grid = self.network.grids[level]
                    weights = (change_weights(now, before, grid) for now, before in pairs)
                quantizer.start(model._latents(frames, level), generator, weights)

    def first_names(self) -> Mapping[str, str]:
        """See PretrainedModel.first_names."""
        names = self.network.first_names().items()
        return {f"network.{name}": f"network.{first_name}" for name, first_name in names}

    def _card_model(self) -> CardModel:
        return tokenizer_card(self.config, self.grid, self.vocab_size)

    def _summary(self) -> list[str]:
        return summarize(self.config, self.levels, self.vocab_size)

    def _quantize(self, pixels: Tensor) -> list[Quantized]:
        """Encodes pixels (n, 3, height, width) level by level."""
        return self.network.quantize(pad_pixels(pixels, self.config.padded_shape), self._levels())

    def _decode(self, vectors: list[Tensor]) -> Tensor:
        """Decodes code vectors of each level to pixels (n, 3, height, width)."""
        height, width, _ = self.frame_shape
        return crop_pixels(self.network.decode(vectors), (height, width))

    def _levels(self) -> list[Quantizer]:
        return [quantizer for quantizer in self.quantizers if isinstance(quantizer, Quantizer)]

    def _latents(self, frames: Tensor, level: int) -> Iterator[Tensor]:
        """Yields latents float32 (n, rows x columns, C) of a level, chunk by chunk."""
        for chunk in frames.split(START_CHUNK):
            pixels = pad_pixels(scale_frames(chunk.to(self.device)), self.config.padded_shape)
            above = self.network.quantize(pixels, self._levels()[:level])
            yield self.network.latents(pixels, above).float()

    def _split(self, tokens: Tensor) -> Iterator[tuple[Quantizer, Tensor]]:
        """Yields each level's quantizer and part of tokens (..., K): (..., positions[, depth])."""
        sizes = [rows * columns * depth for rows, columns, depth in self.levels]
        for quantizer, part in zip(self._levels(), tokens.split(sizes, dim=-1), strict=True):
            depth = quantizer.depth
            yield quantizer, part.unflatten(-1, (-1, depth)) if depth > 1 else part

    @contextmanager
    def _inference(self) -> Iterator[Self]:
        """Yields this model in eval mode, without gradients, with autocast where it is faster."""
        settle_after_fork()
        dtype = next(self.parameters()).dtype
        if dtype != torch.float32:
            raise ValueError(
                f"tokenizer: expected weights of torch.float32, got {dtype}; use .float(), encode "
                "and decode choose a faster type by themselves (uses_autocast)"
            )
        with torch.no_grad(), self._autocast():
            yield eval_view(self)

    def _autocast(self) -> AbstractContextManager:
        dtype = native_autocast_dtype(self.device) if self.uses_autocast else None
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()

    def _chunk_size(self) -> int:
        return self.network.chunk if self.device.type == "cpu" else GPU_CHUNK

    def _chunks(self, flat: Tensor) -> Iterator[tuple[int, Tensor]]:
        size = self._chunk_size()
        for start in range(0, len(flat), size):
            # Kernels round differently for other strides.
            yield start, flat[start : start + size].to(self.device).contiguous()


def _join(levels: list[Quantized]) -> Tensor:
    """Joins the tokens of all levels to int64 (n, K)."""
    return torch.cat([quantized.tokens.flatten(1) for quantized in levels], dim=1)

"""The KV cache of an imagining transformer: keys and values of the last frames."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


class LayerCache:
    """Keys and values of one attention layer, preallocated.

    A frame's slots are overwritten when the context has passed it, so the cache never grows and a
    frame costs the same at any time of the dream. The order of the slots does not matter, since
    each key was rotated by its own position before it was stored.
    """

    def __init__(self, rows: int, heads: int, slots: int, channels: int, like: Tensor):
        """Allocates (rows, heads, slots, channels) twice, with the dtype and device of `like`."""
        self.keys = like.new_zeros(rows, heads, slots, channels)
        self.values = like.new_zeros(rows, heads, slots, channels)

    @property
    def size(self) -> int:
        """Number of slots."""
        return self.keys.shape[2]

    def write(self, where: "int | Tensor", keys: Tensor, values: Tensor) -> None:
        """Stores keys and values (rows, heads, n, channels).

        Args:
            where: The first slot; or, for compiled passes, which must not depend on a number that
                changes, all of them, int64 (n,).
            keys: What to store, of any float dtype.
            values: As keys.
        """
        if isinstance(where, Tensor):
            self.keys.index_copy_(2, where, keys.to(self.keys.dtype))
            self.values.index_copy_(2, where, values.to(self.values.dtype))
            return
        last = where + keys.shape[2]
        self.keys[:, :, where:last] = keys
        self.values[:, :, where:last] = values

    def read(self, used: int) -> tuple[Tensor, Tensor]:
        """Returns the first `used` slots of keys and of values, as views."""
        return self.keys[:, :, :used], self.values[:, :, :used]

    def replace_rows(self, rows: Tensor, other: "LayerCache") -> None:
        """Copies a cache of fewer dreams, in order, into the dreams int64 (n,) of this one."""
        per_dream = other.keys.shape[0] // len(rows)
        for to, source in ((self.keys, other.keys), (self.values, other.values)):
            to.unflatten(0, (-1, per_dream))[rows] = source.unflatten(0, (-1, per_dream))


@dataclass(frozen=True)
class CacheSlots:
    """Which slots of a layer's cache a pass uses.

    Attributes:
        written: First slot that it writes; or all of them, int64 (n,).
        read: It reads the slots before this one.
    """

    written: int | Tensor
    read: int

    def static(self, positions: int, size: int, device: torch.device) -> "CacheSlots":
        """Returns all slots, for compiled passes; the mask leaves out the unwritten ones.

        Args:
            positions: Slots that are written.
            size: Slots of the cache.
            device: Of the cache.
        """
        assert isinstance(self.written, int)
        written = torch.arange(positions, device=device) + self.written
        return CacheSlots(written, size)


@dataclass(kw_only=True)
class KVCache:
    """The caches of all layers, and how far a batch of dreams has been read into them.

    Attributes:
        layers: One per attention layer that looks back, in order.
        context: Frames that they hold.
        block_size: Positions of a frame's block.
        frames: Whole blocks read so far; grows without end.
        position: Positions of the current block read so far.
        first_frames: Per dream the first frame that belongs to it, int64 (B,); None if all began
            at 0.
    """

    layers: list[LayerCache]
    context: int
    block_size: int
    frames: int = 0
    position: int = 0
    first_frames: Tensor | None = None

    @property
    def slot(self) -> int:
        """The current frame's position in the cache, in frames."""
        return self.frames % self.context

    @property
    def used(self) -> int:
        """Frames in the cache, the current one included."""
        return min(self.frames + 1, self.context)

    def advance(self, positions: int) -> None:
        """Counts positions of the current block as read."""
        self.position += positions
        if self.position == self.block_size:
            self.frames, self.position = self.frames + 1, 0

    def clear(self) -> None:
        """Forgets all frames."""
        self.frames = self.position = 0
        self.first_frames = None

    def replace_rows(self, rows: Tensor, other: "KVCache", dreams: int) -> None:
        """Replaces some dreams by those of another cache that was read up to the same position.

        Args:
            rows: int64 (n,), which dreams to replace.
            other: Cache of n dreams with `first_frames` set.
            dreams: Number of dreams of this cache.
        """
        assert (self.frames, self.position) == (other.frames, other.position)
        assert other.first_frames is not None
        for mine, its in zip(self.layers, other.layers, strict=True):
            mine.replace_rows(rows, its)
        if self.first_frames is None:
            self.first_frames = torch.zeros(dreams, dtype=torch.int64, device=rows.device)
        self.first_frames[rows] = other.first_frames

    def stale_mask(self) -> Tensor | None:
        """Returns which frames belong to an earlier dream: bool (B, used); None if none does.

        A frame is found at the slot of the same index.
        """
        if self.first_frames is None:
            return None
        if int(self.first_frames.max()) <= max(0, self.frames + 1 - self.context):
            return None
        slots = torch.arange(self.used, device=self.first_frames.device)
        frame_of_slot = self.frames - (self.slot - slots) % self.context
        return frame_of_slot[None] < self.first_frames[:, None]

    def nbytes(self) -> int:
        """Returns the bytes that keys and values take."""
        return sum(2 * layer.keys.numel() * layer.keys.element_size() for layer in self.layers)


def causal_mask(frames: int, block_size: int, context: int, device: torch.device) -> Tensor:
    """Returns who sees whom in a sequence, bool (S, S), True = sees; S = frames * block_size.

    A position sees itself and every earlier position of its frame and of the context - 1 frames
    before.
    """
    size = frames * block_size
    triangle = torch.ones(size, size, dtype=torch.bool, device=device).tril_()
    return block_mask(frames, block_size, context, device) & triangle


def block_mask(frames: int, block_size: int, context: int, device: torch.device) -> Tensor:
    """Returns a `causal_mask` in which a position sees all of its own frame's block."""
    frame = torch.arange(frames * block_size, device=device) // block_size
    distance = frame[:, None] - frame[None, :]
    return (distance >= 0) & (distance < context)


def block_slots(cache: KVCache, positions: int) -> CacheSlots:
    """Returns the slots of a full-attention cache for the next `positions` of the block."""
    first = cache.slot * cache.block_size + cache.position
    if cache.frames < cache.context:
        # Nothing was written behind these yet.
        return CacheSlots(first, first + positions)
    return CacheSlots(first, cache.context * cache.block_size)


def cache_mask(
    cache: KVCache,
    positions: int,
    causal: bool,
    read: int,
    device: torch.device,
    static: bool = False,
) -> Tensor | None:
    """Returns which slots of a full-attention cache the next `positions` of the block see.

    Args:
        cache: Before these positions are read.
        positions: How many.
        causal: Whether they see those before them only.
        read: Slots that are read.
        device: Of the mask.
        static: Whether to return a mask of all slots, whatever it holds.

    Returns:
        Bool (positions, slots) or (B, 1, positions, slots), True = sees; None where all of them
        see all.
    """
    stale = cache.stale_mask()
    first = cache.slot * cache.block_size + cache.position
    fresh = read == first + positions
    if not static and stale is None and fresh and (positions == 1 or not causal):
        return None
    slots = cache.context * cache.block_size if static else read
    visible = torch.ones(positions, slots, dtype=torch.bool, device=device)
    visible[:, read:] = False
    # Slots of this block that were not written yet still hold the frame that left the context.
    block = cache.slot * cache.block_size
    visible[:, first + positions : block + cache.block_size] = False
    if causal:
        visible[:, first : first + positions].tril_()
    if stale is not None:
        known = ~stale.repeat_interleave(cache.block_size, dim=1)
        known = F.pad(known[:, :slots], (0, max(0, slots - known.shape[1])))
        return visible[None, None] & known[:, None, None]
    return None if not static and bool(visible.all()) else visible


def factorised_cache_mask(cache: KVCache, static: bool = False) -> Tensor | None:
    """Returns a `cache_mask` where positions see their own past: (B * block_size, 1, 1, slots)."""
    stale = cache.stale_mask()
    if not static:
        if stale is None:
            return None
        return ~stale.repeat_interleave(cache.block_size, dim=0)[:, None, None]
    keys = cache.layers[0].keys
    visible = torch.arange(cache.context, device=keys.device) < cache.used
    visible = visible.expand(keys.shape[0], 1, 1, -1)
    if stale is None:
        # Of the shape that it has beside stale frames, so that nothing is compiled again.
        return visible.contiguous()
    known = F.pad(~stale, (0, cache.context - cache.used))
    return visible & known.repeat_interleave(cache.block_size, dim=0)[:, None, None]

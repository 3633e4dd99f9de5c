"""What a dreaming transformer remembers: keys and values of the last frames, in a ring."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


class Ring:
    """Keys and values of one attention layer, preallocated.

    A frame's slots are written over when the window has passed it, so memory never grows and a
    frame costs the same at any time of the dream. The order of the slots does not matter, since
    each key was turned by its own position before it was stored.
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
        """The first `used` slots of keys and of values, as views."""
        return self.keys[:, :, :used], self.values[:, :, :used]


@dataclass(frozen=True)
class Slots:
    """Which slots of a ring a pass uses.

    Attributes:
        written: First slot that it writes; or all of them, int64 (n,).
        read: It reads the slots before this one.
    """

    written: int | Tensor
    read: int

    def static(self, positions: int, size: int, device: torch.device) -> "Slots":
        """The same for compiled passes, which read every slot; the mask leaves out the unwritten.

        Args:
            positions: Slots that are written.
            size: Slots of the ring.
            device: Of the ring.
        """
        assert isinstance(self.written, int)
        written = torch.arange(positions, device=device) + self.written
        return Slots(written, size)


@dataclass(kw_only=True)
class Memory:
    """The state of a dream between two frames.

    Attributes:
        rings: One per attention layer that looks back, in order.
        context: Frames that the rings hold.
        places: Positions of a frame's block.
        frames: Whole blocks read so far; grows without end.
        place: Positions of the current block read so far.
        tokens: The last frames read, newest last, int64 (B, K) each.
        since: Per dream the first frame that belongs to it, int64 (B,); None if all began at 0.
        compiled: The compiled pass through all blocks, where passes are compiled.
    """

    rings: list[Ring]
    context: int
    places: int
    frames: int = 0
    place: int = 0
    tokens: list[Tensor] = field(default_factory=list)
    since: Tensor | None = None
    compiled: Callable[..., Tensor] | None = None

    @property
    def slot(self) -> int:
        """The ring's place for the current frame."""
        return self.frames % self.context

    @property
    def used(self) -> int:
        """Frames in the ring, the current one included."""
        return min(self.frames + 1, self.context)

    def advance(self, positions: int) -> None:
        """Counts positions of the current block as read."""
        self.place += positions
        if self.place == self.places:
            self.frames, self.place = self.frames + 1, 0

    def adopt(self, rows: Tensor, fresh: "Memory") -> None:
        """Puts the dreams of `fresh`, read up to the same position, in the place of some rows.

        Args:
            rows: int64 (n,), which dreams to replace.
            fresh: Memory of n dreams with `since` set, and as many of `tokens` as this one has.
        """
        assert (self.frames, self.place) == (fresh.frames, fresh.place)
        assert fresh.since is not None and len(fresh.tokens) == len(self.tokens)
        for mine, its in zip(self.rings, fresh.rings, strict=True):
            per_dream = its.keys.shape[0] // len(rows)
            for to, source in ((mine.keys, its.keys), (mine.values, its.values)):
                to.unflatten(0, (-1, per_dream))[rows] = source.unflatten(0, (-1, per_dream))
        # Copies, since these tensors may be the caller's.
        self.tokens = [frame.clone() for frame in self.tokens]
        for to, source in zip(self.tokens, fresh.tokens, strict=True):
            to[rows] = source
        if self.since is None:
            self.since = torch.zeros(len(self.tokens[0]), dtype=torch.int64, device=rows.device)
        self.since[rows] = fresh.since

    def strangers(self) -> Tensor | None:
        """Which frames in the ring belong to an earlier dream: bool (B, used); None if none does.

        A frame is found at the ring's slot of the same index.
        """
        if self.since is None or int(self.since.max()) <= max(0, self.frames + 1 - self.context):
            return None
        slots = torch.arange(self.used, device=self.since.device)
        frame_of_slot = self.frames - (self.slot - slots) % self.context
        return frame_of_slot[None] < self.since[:, None]

    def nbytes(self) -> int:
        """Bytes that the rings take."""
        return sum(2 * ring.keys.numel() * ring.keys.element_size() for ring in self.rings)


def causal_mask(frames: int, places: int, context: int, device: torch.device) -> Tensor:
    """Who sees whom in a whole sequence, (S, S) bool with True = sees; S = frames * places.

    A position sees itself and every earlier position of its frame and of the context - 1 frames
    before.
    """
    return (
        _window(frames, places, context, device)
        & torch.ones(frames * places, frames * places, dtype=torch.bool, device=device).tril_()
    )


def block_mask(frames: int, places: int, context: int, device: torch.device) -> Tensor:
    """As `causal_mask`, but a position sees all of its own frame's block."""
    return _window(frames, places, context, device)


def _window(frames: int, places: int, context: int, device: torch.device) -> Tensor:
    frame = torch.arange(frames * places, device=device) // places
    distance = frame[:, None] - frame[None, :]
    return (distance >= 0) & (distance < context)


def block_slots(memory: Memory, positions: int) -> Slots:
    """The slots of a full-attention ring for the next `positions` of the current block."""
    first = memory.slot * memory.places + memory.place
    if memory.frames < memory.context:
        # Nothing was written behind these yet.
        return Slots(first, first + positions)
    return Slots(first, memory.context * memory.places)


def ring_mask(
    memory: Memory,
    positions: int,
    causal: bool,
    read: int,
    device: torch.device,
    static: bool = False,
) -> Tensor | None:
    """Which slots of a full-attention ring the next `positions` of the current block see.

    Args:
        memory: Before these positions are read.
        positions: How many.
        causal: Whether they see those before them only.
        read: Slots that are read.
        device: Of the mask.
        static: Whether to return a mask of all slots, whatever it holds.

    Returns:
        Bool (positions, slots) or (B, 1, positions, slots), True = sees; None where all of them
        see all.
    """
    strangers = memory.strangers()
    first = memory.slot * memory.places + memory.place
    fresh = read == first + positions
    if not static and strangers is None and fresh and (positions == 1 or not causal):
        return None
    slots = memory.context * memory.places if static else read
    visible = torch.ones(positions, slots, dtype=torch.bool, device=device)
    visible[:, read:] = False
    # Slots of this block that were not written yet still hold the frame that left the window.
    block = memory.slot * memory.places
    visible[:, first + positions : block + memory.places] = False
    if causal:
        visible[:, first : first + positions].tril_()
    if strangers is not None:
        known = ~strangers.repeat_interleave(memory.places, dim=1)
        known = F.pad(known[:, :slots], (0, max(0, slots - known.shape[1])))
        return visible[None, None] & known[:, None, None]
    return None if not static and bool(visible.all()) else visible


def ring_mask_of_places(memory: Memory, static: bool = False) -> Tensor | None:
    """As `ring_mask`, for places that look back at themselves: (B * places, 1, 1, slots)."""
    strangers = memory.strangers()
    if not static:
        if strangers is None:
            return None
        return ~strangers.repeat_interleave(memory.places, dim=0)[:, None, None]
    keys = memory.rings[0].keys
    visible = torch.arange(memory.context, device=keys.device) < memory.used
    visible = visible.expand(keys.shape[0], 1, 1, -1)
    if strangers is None:
        # Of the shape that it has beside strangers, so that nothing is compiled again.
        return visible.contiguous()
    known = F.pad(~strangers, (0, memory.context - memory.used))
    return visible & known.repeat_interleave(memory.places, dim=0)[:, None, None]

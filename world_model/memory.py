"""What a dreaming transformer remembers: keys and values of the last frames, in a ring."""

from dataclasses import dataclass, field

import torch
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

    def write(self, first: int, keys: Tensor, values: Tensor) -> None:
        """Stores keys and values (rows, heads, n, channels) from slot `first` on."""
        last = first + keys.shape[2]
        self.keys[:, :, first:last] = keys
        self.values[:, :, first:last] = values

    def read(self, used: int) -> tuple[Tensor, Tensor]:
        """The first `used` slots of keys and of values, as views."""
        return self.keys[:, :, :used], self.values[:, :, :used]


@dataclass
class Memory:
    """The state of a dream between two frames.

    Attributes:
        rings: One per attention layer that looks back, in order.
        context: Frames that the rings hold.
        places: Positions of a frame's block.
        frames: Whole blocks read so far; grows without end.
        place: Positions of the current block read so far.
        tokens: The last `copies` frames read, newest last, int64 (B, copies, K).
    """

    rings: list[Ring]
    context: int
    places: int
    frames: int = 0
    place: int = 0
    tokens: list[Tensor] = field(default_factory=list)

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


def ring_mask(memory: Memory, positions: int, causal: bool, device: torch.device) -> Tensor | None:
    """Which slots of a full-attention ring the next `positions` of the current block see.

    Returns:
        (positions, used * places) bool, True = sees; None where all of them see all.
    """
    visible = torch.ones(positions, memory.used * memory.places, dtype=torch.bool, device=device)
    first = memory.slot * memory.places
    own = visible[:, first : first + memory.places]
    # Slots of this block that were not written yet still hold the frame that left the window.
    own[:, memory.place + positions :] = False
    if causal:
        own[:, memory.place : memory.place + positions].tril_()
    return None if bool(visible.all()) else visible

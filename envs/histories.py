"""Saved states of environments that cannot save themselves: all that was played since a reset."""

import json
import struct
from dataclasses import dataclass, field


@dataclass
class History:
    """What has to be played again to come to the same moment.

    Attributes:
        seed: Of the reset.
        actions: One byte for each action since.
        reseeds: (number of actions before it, seed): the generator got another seed there.
    """

    seed: int
    actions: bytearray = field(default_factory=bytearray)
    reseeds: list[tuple[int, int]] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """Returns it as bytes, the same ones for the same history."""
        header = json.dumps({"seed": self.seed, "reseeds": self.reseeds}).encode()
        return struct.pack("<I", len(header)) + header + bytes(self.actions)

    @classmethod
    def from_bytes(cls, data: bytes) -> "History":
        """Reads what `to_bytes` returned.

        Raises:
            ValueError: The bytes are no history.
        """
        try:
            (size,) = struct.unpack_from("<I", data)
            header = json.loads(data[4 : 4 + size])
            reseeds = [(int(step), int(seed)) for step, seed in header["reseeds"]]
            return cls(int(header["seed"]), bytearray(data[4 + size :]), reseeds)
        except (struct.error, ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(
                f"state: expected a state of this environment, got {len(data)} other bytes "
                f"({error})"
            ) from None

    def copy(self) -> "History":
        """Returns a history that goes on by itself."""
        return History(self.seed, bytearray(self.actions), list(self.reseeds))

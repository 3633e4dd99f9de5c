"""Saved states of an environment."""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

# Bytes of an inflated state, far above those of any game and frame.
_LARGEST = 1 << 28


@dataclass(frozen=True)
class EnvState:
    """Everything that decides how an episode goes on, and the frame at this moment.

    Attributes:
        emulator: The emulator's own saved state.
        frame: uint8 (height, width, 3), the observation at this moment.
        steps: Steps since the reset.
        lives: Lives left.
        last_action: The action played last, which sticky actions may repeat.
        generator: State of the environment's random generator, as NumPy gives it.
    """

    emulator: bytes
    frame: np.ndarray
    steps: int
    lives: int
    last_action: int
    generator: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Returns the state as bytes (about 5 kB for most games)."""
        header = json.dumps(
            {
                "emulator_bytes": len(self.emulator),
                "frame_shape": self.frame.shape,
                "steps": self.steps,
                "lives": self.lives,
                "last_action": self.last_action,
                "generator": self.generator,
            }
        ).encode()
        payload = zlib.compress(self.emulator + self.frame.tobytes(), level=1)
        return struct.pack("<I", len(header)) + header + payload

    @classmethod
    def from_bytes(cls, data: bytes) -> "EnvState":
        """Reads what `to_bytes` returned.

        Raises:
            ValueError: The bytes are no saved state.
        """
        try:
            (header_size,) = struct.unpack_from("<I", data)
            header = json.loads(data[4 : 4 + header_size])
            content = zlib.decompressobj().decompress(data[4 + header_size :], _LARGEST)
            emulator_bytes = header["emulator_bytes"]
            frame = np.frombuffer(content, np.uint8, offset=emulator_bytes)
            return cls(
                emulator=content[:emulator_bytes],
                frame=frame.reshape(header["frame_shape"]),
                steps=header["steps"],
                lives=header["lives"],
                last_action=header["last_action"],
                generator=header["generator"],
            )
        except (
            struct.error, ValueError, LookupError, TypeError, AttributeError, zlib.error,
            RecursionError,
        ) as error:  # fmt: skip
            raise ValueError(
                f"state: expected a saved EnvState, got {len(data)} other bytes ({error})"
            ) from None

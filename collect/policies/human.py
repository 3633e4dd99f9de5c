"""A person as the policy: play in a window, recorded like any other.

Arrow keys (or WASD) move, space fires, escape or closing the window ends the recording. Needs the
package pygame: pip install 'worldtokens[human]'.
"""

from typing import Any

import numpy as np

from worldtokens.collect.policies.policy import PolicyStopped
from worldtokens.common.buttons import assign_buttons

_MAGNIFICATION = 10


class HumanPolicy:
    """Shows frames in a window and takes the keys that are held down as the action."""

    def __init__(self, action_meanings: tuple[str, ...], steps_per_second: float) -> None:
        """Prepares the clock; the window opens with the first frame.

        Args:
            action_meanings: Atari's names of the actions.
            steps_per_second: How fast the game goes; 15 is the console's own speed.

        Raises:
            ValueError: The package pygame is not installed.
        """
        try:
            import pygame
        except ImportError:
            raise ValueError(
                "policy=human: expected the package pygame, got none; "
                "pip install 'worldtokens[human]'"
            ) from None
        self._pygame: Any = pygame
        self._meanings = action_meanings
        self._steps_per_second = steps_per_second
        self._window: Any = None
        self._clock = pygame.time.Clock()

    def begin(self, rng: np.random.Generator) -> None:
        """See `Policy.begin`."""

    def act(self, frame: np.ndarray) -> int:
        """Shows the frame, waits for the step's time and returns the action of the keys.

        Raises:
            PolicyStopped: The person closed the window or pressed escape.
        """
        pygame = self._pygame
        if self._window is None:
            pygame.init()
            size = (frame.shape[1] * _MAGNIFICATION, frame.shape[0] * _MAGNIFICATION)
            self._window = pygame.display.set_mode(size)
            pygame.display.set_caption("arrows or WASD, space; escape ends")
        picture = pygame.surfarray.make_surface(frame.transpose(1, 0, 2))
        pygame.transform.scale(picture, self._window.get_size(), self._window)
        pygame.display.flip()
        self._clock.tick(self._steps_per_second)
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                raise PolicyStopped
        keys = pygame.key.get_pressed()
        if keys[pygame.K_ESCAPE]:
            raise PolicyStopped
        held = {
            "UP": keys[pygame.K_UP] or keys[pygame.K_w],
            "DOWN": keys[pygame.K_DOWN] or keys[pygame.K_s],
            "LEFT": keys[pygame.K_LEFT] or keys[pygame.K_a],
            "RIGHT": keys[pygame.K_RIGHT] or keys[pygame.K_d],
            "FIRE": keys[pygame.K_SPACE],
        }
        return action_of({name for name, is_held in held.items() if is_held}, self._meanings)


def action_of(held: set[str], action_meanings: tuple[str, ...]) -> int:
    """Returns the action that does most of what is held down and nothing else.

    Args:
        held: Some of UP, DOWN, LEFT, RIGHT and FIRE.
        action_meanings: Names of the actions, such as "UPRIGHTFIRE"; see `assign_buttons`.
    """
    best, best_count = 0, -1
    for action, buttons in enumerate(assign_buttons(action_meanings)):
        parts = set(buttons)
        if parts <= held and len(parts) > best_count:
            best, best_count = action, len(parts)
    return best

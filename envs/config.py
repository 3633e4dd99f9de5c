"""The settings of an environment."""

from dataclasses import dataclass

from worldtokens.common.checks import check_at_least, check_type, is_number
from worldtokens.envs.games import usual_name


class UnknownArgumentError(TypeError, ValueError):
    """An argument that no setting has.

    A TypeError, as Python raises for unknown keyword arguments, whose text TorchRL's GymEnv reads.
    """


# Far above all use; larger values, of a slip or in a damaged file, fill the memory.
_LARGEST = {
    "frame_skip": 10_000, "frame_height": 4096, "frame_width": 4096, "noop_max": 100_000,
    "max_episode_steps": 2**40,
}  # fmt: skip


@dataclass
class EnvConfig:
    """What makes two environments the same; stored with every dataset.

    Attributes:
        name: The game's usual name, for example "MontezumaRevenge", or "FakeGame".
        frame_skip: Emulated frames per step; the frame shows the last two of them.
        frame_height: Height of a frame in pixels.
        frame_width: Width of a frame in pixels.
        repeat_action_probability: Probability, per emulated frame, that the action before it
            is played instead ("sticky actions"; Machado et al. 2018, section 5; 0.25 there).
        terminate_on_life_loss: A lost life ends the episode.
        full_action_space: All 18 actions instead of those that the game uses.
        max_episode_steps: Steps after which an episode is truncated.
        noop_max: Largest number of emulated frames without action after a reset; drawn uniformly.
    """

    name: str
    frame_skip: int = 4
    frame_height: int = 64
    frame_width: int = 64
    repeat_action_probability: float = 0.0
    terminate_on_life_loss: bool = False
    full_action_space: bool = False
    max_episode_steps: int = 18_000
    noop_max: int = 0

    def __post_init__(self) -> None:
        """Gives the name its usual spelling and checks the ranges.

        Raises:
            ValueError: A value is out of range, or there is no game of that name.
        """
        self.name = usual_name(self.name)
        check_at_least(
            1,
            frame_skip=self.frame_skip,
            frame_height=self.frame_height,
            frame_width=self.frame_width,
            max_episode_steps=self.max_episode_steps,
        )
        check_at_least(0, noop_max=self.noop_max)
        for name, largest in _LARGEST.items():
            if getattr(self, name) > largest:
                raise ValueError(f"{name}: expected at most {largest}, got {getattr(self, name)}")
        check_type(
            bool,
            terminate_on_life_loss=self.terminate_on_life_loss,
            full_action_space=self.full_action_space,
        )
        # At 1 the first action would be repeated until the end.
        if (
            not is_number(self.repeat_action_probability)
            or not 0.0 <= self.repeat_action_probability < 1.0
        ):
            raise ValueError(
                "repeat_action_probability: expected a number in [0, 1), "
                f"got {self.repeat_action_probability!r}"
            )

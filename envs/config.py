"""The settings of an environment."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from worldtokens.common.checks import check_at_least, check_type, is_number
from worldtokens.common.env_names import GYMNASIUM, gymnasium_id, is_gymnasium
from worldtokens.envs.games import is_game, usual_name


class UnknownArgumentError(TypeError, ValueError):
    """An argument that no setting has.

    A TypeError, as Python raises for unknown keyword arguments, whose text TorchRL's GymEnv reads.
    """


# Far above all use; larger values, of a slip or in a damaged file, fill the memory.
_LARGEST = {
    "frame_skip": 10_000, "frame_height": 4096, "frame_width": 4096, "noop_max": 100_000,
    "max_episode_steps": 2**40, "action_repeat": 10_000,
}  # fmt: skip
# What a game of Atari has and other environments have not, and the other way round.
_OF_ATARI = ("frame_skip", "repeat_action_probability", "full_action_space", "noop_max")
_OF_OTHERS = ("_target_", "kwargs", "picture", "layout", "action_repeat", "action_names")
AUTO, OBSERVATION, RENDER = "auto", "observation", "render"
LAYOUTS = (AUTO, "HW", "HWC", "CHW", "HWN", "NHW", "NHWC", "NCHW")


@dataclass
class EnvConfig:
    """What makes two environments the same; stored with every dataset.

    Attributes:
        name: The game's usual name, for example "MontezumaRevenge", or "FakeGame"; or
            "gymnasium:ID" for an environment of gymnasium, "gymnasium:MODULE:ID" for one that a
            module registers. With `_target_` it is a name of your choice.
        frame_skip: Emulated frames per step; the frame shows the last two of them. Atari only.
        frame_height: Height of a frame in pixels.
        frame_width: Width of a frame in pixels.
        repeat_action_probability: Probability, per emulated frame, that the action before it
            is played instead ("sticky actions"; Machado et al. 2018, section 5; 0.25 there). Atari
            only.
        terminate_on_life_loss: A lost life ends the episode.
        full_action_space: All 18 actions instead of those that the game uses. Atari only.
        max_episode_steps: Steps after which an episode is truncated.
        noop_max: Largest number of emulated frames without action after a reset; drawn uniformly.
            Atari only.
        _target_: The dotted name of a function or class that makes the environment, not for Atari.
        kwargs: Arguments of the environment's maker, such as {continuous: false}, not for Atari.
        picture: Where frames come from: auto, observation, render or a key of a Dict observation.
            auto takes the first picture of the observation, else render(). Not for Atari.
        layout: Axes of that picture, LAYOUTS; H height, W width, C colours, N frames in a
            stack, of which the last one is taken. Not for Atari.
        action_repeat: Steps of the environment per recorded step, not for Atari.
        action_names: Names of the actions in the place of the environment's own, not for Atari.
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
    _target_: str | None = None
    kwargs: dict[str, Any] | None = None
    picture: str = AUTO
    layout: str = AUTO
    action_repeat: int = 1
    action_names: list[str] | None = None

    def __post_init__(self) -> None:
        """Gives the name its usual spelling and checks the ranges.

        Raises:
            ValueError: A value is out of range, or there is no game of that name.
        """
        self._check_kind()
        check_at_least(
            1,
            action_repeat=self.action_repeat,
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

    @property
    def is_atari(self) -> bool:
        """Whether this is a game of Atari, or the fake one that stands for them in tests."""
        return not is_gymnasium(self.name)

    def stored(self) -> dict[str, Any]:
        """Returns the settings that this kind of environment has, as dataset.json holds them."""
        others = _OF_OTHERS if self.is_atari else _OF_ATARI
        return {name: value for name, value in asdict(self).items() if name not in others}

    def _check_kind(self) -> None:
        """Gives the name its spelling and refuses settings of another kind of environment."""
        if self._target_ is not None and isinstance(self.name, str):
            own = gymnasium_id(self.name)
            if is_game(own):
                raise ValueError(
                    f"env: expected a name of your choice beside env_config._target_, got {own}, a "
                    "game of ale-py; choose another name"
                )
            self.name = GYMNASIUM + own
        if not is_gymnasium(self.name):
            self.name = usual_name(self.name)
        elif not gymnasium_id(self.name):
            raise ValueError(
                f"env: expected {GYMNASIUM}ID, for example {GYMNASIUM}CartPole-v1, got "
                f"{self.name!r}"
            )
        elif self.layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        defaults = {entry.name: entry for entry in fields(self)}
        wrong = _OF_OTHERS if self.is_atari else _OF_ATARI
        for name in wrong:
            if getattr(self, name) != defaults[name].default:
                kind = "a game of Atari has not" if self.is_atari else "only a game of Atari has"
                instead = "; set action_repeat" if name == "frame_skip" else ""
                raise ValueError(
                    f"env_config: expected settings of {self.name}, got {name}, which {kind}"
                    f"{instead}"
                )

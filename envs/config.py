"""The settings of an environment."""

from dataclasses import dataclass

from worldtokens.envs.games import usual_name


@dataclass
class EnvConfig:
    """What makes two environments the same; stored with every dataset.

    Attributes:
        name: the game's usual name, for example "MontezumaRevenge", or "FakeGame".
        frame_skip: emulated frames per step; the frame shows the last two of them.
        frame_height: height of a frame in pixels.
        frame_width: width of a frame in pixels.
        repeat_action_probability: probability, per emulated frame, that the action before it
            is played instead ("sticky actions"; Machado et al. 2018, section 5; 0.25 there).
        terminate_on_life_loss: a lost life ends the episode.
        full_action_space: all 18 actions instead of those that the game uses.
        max_episode_steps: steps after which an episode is truncated.
        noop_max: at most so many emulated frames without action follow a reset, drawn uniformly.
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
        """Spell the name as usual and check the ranges.

        Raises:
            ValueError: names the field and the range, or the games with names like this.
        """
        self.name = usual_name(self.name)
        for field, low in (
            ("frame_skip", 1),
            ("frame_height", 1),
            ("frame_width", 1),
            ("max_episode_steps", 1),
            ("noop_max", 0),
        ):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(f"{field} must be an integer of at least {low}, got {value!r}.")
        if not 0.0 <= self.repeat_action_probability < 1.0:
            raise ValueError(
                "repeat_action_probability must be at least 0 and below 1, "
                f"got {self.repeat_action_probability!r}."
            )

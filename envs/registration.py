"""The games under gymnasium's own names: "worldtokens/MontezumaRevenge", "worldtokens/Pong" ...

`import worldtokens.envs` registers them; nothing is loaded before an environment is made.

    import worldtokens.envs
    env = gymnasium.make("worldtokens/MontezumaRevenge", terminate_on_life_loss=True)
    vector_env = gymnasium.make_vec("worldtokens/MontezumaRevenge", num_envs=8)
"""

from collections.abc import Mapping

import gymnasium

from worldtokens.envs.config import UnknownArgumentError
from worldtokens.envs.frame_env import FrameEnv
from worldtokens.envs.games import list_games
from worldtokens.envs.make import Value, make_env

NAMESPACE = "worldtokens"


def register_games() -> None:
    """Registers every game of `list_games`; a second call changes nothing."""
    for name in list_games():
        id = f"{NAMESPACE}/{name}"
        if id not in gymnasium.registry:
            gymnasium.register(id, entry_point=f"{__name__}:make_registered", kwargs={"name": name})


def make_registered(name: str, render_mode: str | None = None, **overrides: Value) -> FrameEnv:
    """Makes an environment for `gymnasium.make`.

    Args:
        name: The game's usual name.
        render_mode: None or "rgb_array", which an `AtariEnv` always has.
        **overrides: Other values for fields of `EnvConfig`.

    Raises:
        ValueError: Another render mode, or a value out of range.
        UnknownArgumentError: No such field.
    """
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode: expected None or 'rgb_array', got {render_mode!r}")
    refuse_frameskip(overrides)
    return make_env(name, **overrides)


def refuse_frameskip(overrides: Mapping[str, object]) -> None:
    """Refuses `frameskip`, which `make_env` takes.

    TorchRL's GymEnv passes frameskip=1 to whatever it makes by its name, unless it is refused;
    the game would then be played at another speed than everywhere else.

    Raises:
        UnknownArgumentError: It is there.
    """
    if "frameskip" in overrides:
        raise UnknownArgumentError(
            "env_config: expected fields of EnvConfig, got an unexpected keyword argument "
            "'frameskip'; did you mean frame_skip?"
        )

"""What gymnasium makes by the names of registration.py."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from worldtokens.collect import EpisodeDataset
from worldtokens.envs import make_env
from worldtokens.envs.registration import refuse_frameskip
from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.observations import ObservationMode
from worldtokens.tokenizer.wrappers import TokenObservation, VectorTokenObservation
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.rl.autoreset import parse_autoreset_mode
from worldtokens.world_model.rl.imagined_env import ImaginedVectorEnv
from worldtokens.world_model.rl.starts import Start


class Dream(gymnasium.Env):
    """One dream as an environment: an `ImaginedVectorEnv` of one."""

    def __init__(self, dreams: ImaginedVectorEnv):
        """Takes a vector of one environment that does not reset itself."""
        self.dreams = dreams
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": dreams.metadata["render_fps"]}
        self.render_mode = "rgb_array"
        self.observation_space = dreams.single_observation_space
        self.action_space = dreams.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts a dream; there are no options."""
        super().reset(seed=seed)
        observations, _ = self.dreams.reset(seed=seed, options=options)
        return observations[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Dreams one step on."""
        observations, rewards, terminated, truncated, info = self.dreams.step(np.array([action]))
        shown = {name: values[0] for name, values in info.items() if not name.startswith("_")}
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), shown

    def render(self) -> np.ndarray:
        """Returns the frame, uint8 (height, width, 3)."""
        return self.dreams.render()[0]


def make_dream(
    model: str | WorldModel,
    tokenizer: str | Tokenizer | None = None,
    start: str | Start | None = None,
    horizon: int = 50,
    render_mode: str | None = None,
    **settings: Any,
) -> Dream:
    """Makes one dream for `gymnasium.make`.

    Args:
        model: The world model, or where it lies: a run folder, a shipped name or a Hub repo id.
        tokenizer: Likewise; by default the one of the same name.
        start: Where dreams begin: a dataset or its folder, or frames; by default the start frames
            that come with a shipped model.
        horizon: Steps of a dream.
        render_mode: None or "rgb_array", which a dream always has.
        **settings: Other arguments of `ImaginedVectorEnv`.
    """
    check_render_mode(render_mode)
    mode = AutoresetMode.DISABLED
    return Dream(make_dreams(1, model, tokenizer, start, horizon, autoreset_mode=mode, **settings))


def make_dreams(
    num_envs: int,
    model: str | WorldModel,
    tokenizer: str | Tokenizer | None = None,
    start: str | Start | None = None,
    horizon: int = 50,
    render_mode: str | None = None,
    **settings: Any,
) -> ImaginedVectorEnv:
    """Makes dreams for `gymnasium.make_vec`; arguments as for `make_dream`.

    Raises:
        ValueError: A model without a name leaves open where its tokenizer or its starts are.
    """
    check_render_mode(render_mode)
    for name, given in (("tokenizer", tokenizer), ("start", start)):
        if given is None and not isinstance(model, str):
            raise ValueError(f"{name}: expected one beside a model that is no name, got None")
    tokenizer, start = tokenizer or str(model), str(model) if start is None else start
    world_model = WorldModel.from_pretrained(model) if isinstance(model, str) else model
    return ImaginedVectorEnv(
        world_model,
        load_tokenizer(tokenizer),
        EpisodeDataset(start) if isinstance(start, str) else start,
        num_envs,
        horizon,
        **settings,
    )


def make_tokens(
    game: str,
    tokenizer: str | Tokenizer,
    observation: ObservationMode = "tokens",
    render_mode: str | None = None,
    **settings: Any,
) -> TokenObservation:
    """Makes a game whose frames a tokenizer reads, for `gymnasium.make`.

    Args:
        game: The game's usual name.
        tokenizer: The tokenizer, or where it lies.
        observation: What the agent sees.
        render_mode: None or "rgb_array", which a game always has.
        **settings: Of `make_env`; the frames have the tokenizer's shape.
    """
    check_render_mode(render_mode)
    refuse_frameskip(settings)
    loaded = load_tokenizer(tokenizer)
    height, width, _ = loaded.frame_shape
    env = make_env(game, **{"frame_height": height, "frame_width": width, **settings})
    return TokenObservation(env, loaded, observation)


def make_token_vector(
    num_envs: int,
    game: str,
    tokenizer: str | Tokenizer,
    observation: ObservationMode = "tokens",
    render_mode: str | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **settings: Any,
) -> VectorTokenObservation:
    """Makes several such games for `gymnasium.make_vec`; arguments as for `make_tokens`."""
    check_render_mode(render_mode)
    refuse_frameskip(settings)
    loaded = load_tokenizer(tokenizer)
    height, width, _ = loaded.frame_shape
    settings = {"frame_height": height, "frame_width": width, **settings}
    mode = parse_autoreset_mode(autoreset_mode)
    games = SyncVectorEnv([lambda: make_env(game, **settings)] * num_envs, autoreset_mode=mode)
    return VectorTokenObservation(games, loaded, observation)


def load_tokenizer(tokenizer: str | Tokenizer) -> Tokenizer:
    """Returns the tokenizer, loaded if it is a name."""
    return Tokenizer.from_pretrained(tokenizer) if isinstance(tokenizer, str) else tokenizer


def check_render_mode(render_mode: str | None) -> None:
    """Checks the argument that gymnasium passes.

    Raises:
        ValueError: Another render mode than "rgb_array".
    """
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode: expected None or 'rgb_array', got {render_mode!r}")

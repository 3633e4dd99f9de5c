"""Makes environments of gymnasium by their id, or by a callable of the user."""

import inspect
import os
import sys
import warnings
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import gymnasium

from worldtokens.common.env_names import gymnasium_id
from worldtokens.envs.config import RENDER, EnvConfig
from worldtokens.envs.pictures import PictureRule, find_picture, rendered_picture

_RGB_ARRAY = "rgb_array"


def make_inner(config: EnvConfig) -> tuple[gymnasium.Env, PictureRule]:
    """Makes the environment that a config names, with the rule for its pictures.

    It is made without a render mode first; where its observation holds no picture, it is made
    again with `render_mode="rgb_array"`.

    Raises:
        ValueError: It cannot be made, or it shows no picture.
    """
    label = gymnasium_id(config.name)
    shape = (config.frame_height, config.frame_width)
    if config.picture != RENDER:
        env = _make(config, label, None)
        rule = find_picture(env.observation_space, config.picture, config.layout, shape, label)
        if rule is not None:
            return env, rule
        env.close()
    if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        # Pygame would print that there is no screen, which pictures do not need.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    env = _make(config, label, _RGB_ARRAY)
    env.reset(seed=0)
    return env, rendered_picture(env.render(), config.layout, shape, label)


def _make(config: EnvConfig, label: str, render_mode: str | None) -> gymnasium.Env:
    maker = _target(config._target_) if config._target_ else _registered(label)
    arguments: dict[str, Any] = dict(config.kwargs or {})
    if render_mode is not None and (config._target_ is None or _takes(maker, "render_mode")):
        arguments.setdefault("render_mode", render_mode)
    try:
        with warnings.catch_warnings():
            # Of old versions and of render modes; what counts ends in an error here.
            warnings.simplefilter("ignore")
            env = maker(**arguments)
    except Exception as error:  # of many types, by what the environment does when it is made
        reason = (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
        way = ""
        if isinstance(error, gymnasium.error.UnregisteredEnv) and ":" not in label:
            way = f"; where a module registers it, write gymnasium:MODULE:{label}"
        raise ValueError(f"env: {label} cannot be made ({reason:.300}){way}") from None
    if not isinstance(env, gymnasium.Env):
        raise ValueError(
            f"env_config._target_: expected {config._target_ or label} to return a gymnasium.Env, "
            f"got {type(env).__name__}"
        )
    return env


def _registered(id: str) -> Callable[..., Any]:
    def make(**arguments: Any) -> gymnasium.Env:
        return gymnasium.make(id, disable_env_checker=True, **arguments)

    return make


def _target(name: str) -> Callable[..., Any]:
    """Finds a callable by its dotted name; a module may lie in the present folder.

    Raises:
        ValueError: There is none.
    """
    if name.split(".")[0].split(":")[0] in sys.stdlib_module_names:
        # A dataset of others could name os.system, say.
        raise ValueError(
            f"env_config._target_: expected a function or class that makes an environment, got "
            f"{name} of Python's own library"
        )
    if os.getcwd() not in sys.path:
        # Behind all others, so that no file there hides a module.
        sys.path.append(os.getcwd())
    try:
        target = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"env_config._target_: {name} cannot be imported ({error})") from None
    if not callable(target):
        raise ValueError(
            f"env_config._target_: expected a function or class, got {name}, which is "
            f"{type(target).__name__}"
        )
    return target


def _takes(maker: Callable[..., Any], argument: str) -> bool:
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in parameters}
    names = {parameter.name for parameter in parameters}
    return argument in names or inspect.Parameter.VAR_KEYWORD in kinds

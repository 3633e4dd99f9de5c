"""Vector environments of gymnasium for agents of Stable-Baselines3."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise ImportError(
        "to_sb3: expected stable-baselines3, which is not installed; pip install 'worldtokens[sb3]'"
    ) from error

Indices = None | int | Iterable[int]


def to_sb3(vector_env: VectorEnv) -> "SB3VecEnv":
    """Makes a vector environment one that Stable-Baselines3's agents take.

    Ended episodes begin anew within the step, as SB3 expects it, whatever the autoreset mode of
    `vector_env` is; their last observations are in `infos[i]["terminal_observation"]`, and
    `infos[i]["TimeLimit.truncated"]` tells truncation from an end of the game. The other entries of
    `infos[i]` are those of the vector environment.

    SB3 reads embeddings with its "MlpPolicy" and frames with its "CnnPolicy". It turns tokens,
    MultiDiscrete (K,), into one-hot vectors of K x vocab_size numbers.

    Args:
        vector_env: An `ImaginedVectorEnv`, a `VectorTokenObservation` or another vector environment
            of gymnasium; from now on only this adapter may step it.

    Raises:
        ImportError: stable-baselines3 is not installed.
        TypeError: `vector_env` is no vector environment of gymnasium.
        ValueError: It does not say what its autoreset mode is.
    """
    if not isinstance(vector_env, VectorEnv):
        raise TypeError(
            "vector_env: expected a gymnasium.vector.VectorEnv, got "
            f"{type(vector_env).__name__}; SB3's make_vec_env takes single environments"
        )
    return SB3VecEnv(vector_env)


class SB3VecEnv(VecEnv):
    """What `to_sb3` returns; see there.

    Attributes:
        vector_env: The environment inside.
    """

    def __init__(self, vector_env: VectorEnv):
        """Keeps the environment."""
        mode = (vector_env.metadata or {}).get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise ValueError(
                "vector_env: expected one of gymnasium's AutoresetMode in "
                f"metadata['autoreset_mode'], got {mode!r}"
            )
        self.vector_env = vector_env
        self._resets_itself = mode == AutoresetMode.SAME_STEP
        super().__init__(
            vector_env.num_envs, vector_env.single_observation_space, vector_env.single_action_space
        )
        self.metadata = {**vector_env.metadata, **self.metadata}

    def reset(self) -> np.ndarray:
        """Resets all environments, with the seeds of `seed` if it was called since the last one."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        options = [one for one in self._options if one]
        if options:
            raise ValueError(f"options: expected none, got {options[0]}")
        observations, infos = self.vector_env.reset(seed=seeds)  # pyright: ignore[reportArgumentType]
        self.reset_infos = _split(infos, self.num_envs)
        self._reset_seeds()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps; begins new episodes where old ones ended."""
        observations, rewards, terminated, truncated, infos = self.vector_env.step(self._actions)
        ended = np.asarray(terminated | truncated)
        each = _split(infos, self.num_envs)
        rows = np.nonzero(ended)[0].tolist()
        if self._resets_itself:
            for row in rows:
                final, final_info = each[row].pop("final_obs"), each[row].pop("final_info", {})
                self.reset_infos[row] = each[row]
                each[row] = {**final_info, "terminal_observation": final}
        elif rows:
            for row in rows:
                each[row]["terminal_observation"] = np.array(observations[row])
            observations, infos = self.vector_env.reset(options={"reset_mask": ended})
            for row, info in enumerate(_split(infos, self.num_envs)):
                self.reset_infos[row] = info if ended[row] else self.reset_infos[row]
        for row in range(self.num_envs):
            each[row]["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
        return observations, rewards.astype(np.float32), ended, each

    def close(self) -> None:
        """Closes the environment inside."""
        self.vector_env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Returns the frame of each environment."""
        frames = self.vector_env.render()
        return [None] * self.num_envs if frames is None else list(frames)  # pyright: ignore

    def has_attr(self, attr_name: str) -> bool:
        """Tells whether the environment inside has an attribute."""
        return hasattr(self.vector_env, attr_name)

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """Returns an attribute of the environment inside, once for each index."""
        return [getattr(self.vector_env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Sets an attribute of the environment inside, which all share.

        Raises:
            ValueError: `indices` are not all environments.
        """
        self._check_all("set_attr", indices)
        setattr(self.vector_env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Indices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of the environment inside, once for all.

        Raises:
            ValueError: `indices` are not all environments.
        """
        self._check_all("env_method", indices)
        result = getattr(self.vector_env, method_name)(*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: Indices = None
    ) -> list[bool]:
        """Returns False for each index: single environments have no wrapper here."""
        return [False for _ in self._get_indices(indices)]

    def _check_all(self, name: str, indices: Indices) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(
                f"{name}: expected indices=None, since all environments are one, got {indices}"
            )


def _split(infos: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Returns the infos of each environment, without the masks of gymnasium's batched ones."""
    each: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, values in infos.items():
        mask = infos.get(f"_{name}")
        if mask is None:
            continue
        nested = _split(values, num_envs) if isinstance(values, dict) else values
        for row in np.nonzero(mask)[0].tolist():
            each[row][name] = deepcopy(nested[row])
    return each

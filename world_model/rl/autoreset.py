"""When environments that ended begin anew: gymnasium's three autoreset modes."""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from worldtokens.common.checks import check_type


def parse_autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Returns the mode.

    Args:
        mode: NEXT_STEP, SAME_STEP or DISABLED: gymnasium's enum, or its name or value in any case.

    Raises:
        ValueError: It is none of these.
    """
    for known in AutoresetMode:
        if mode is known:
            return known
        if isinstance(mode, str) and mode.lower() in (known.name.lower(), known.value.lower()):
            return known
    names = ", ".join(known.name for known in AutoresetMode)
    raise ValueError(f"autoreset_mode: expected one of {names}, got {mode!r}")


def read_reset_mask(options: dict[str, Any] | None, num_envs: int) -> np.ndarray | None:
    """Returns the mask of the environments to reset, bool (num_envs,); None for all of them.

    Args:
        options: Of `reset`: None, empty or {"reset_mask": mask}.
        num_envs: Number of environments.

    Raises:
        ValueError: Another option, or a mask that selects none or has another shape.
        TypeError: Options or a mask of another type.
    """
    if options is None:
        return None
    check_type(dict, options=options)
    if unknown := sorted(set(options) - {"reset_mask"}):
        raise ValueError(f"options: expected reset_mask or nothing, got {unknown}")
    mask = options.get("reset_mask")
    if mask is None:
        return None
    expected = f"options['reset_mask']: expected a NumPy array of bool ({num_envs},)"
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"{expected}, got {type(mask).__name__}")
    if mask.dtype != np.bool_:
        raise TypeError(f"{expected}, got dtype {mask.dtype}")
    if mask.shape != (num_envs,):
        raise ValueError(f"{expected}, got shape {mask.shape}")
    if not mask.any():
        raise ValueError(f"{expected} with at least one True, got none")
    return mask


def masked_info(info: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what some environments have to say, as gymnasium batches it.

    Args:
        info: Arrays (num_envs, ...) by their names.
        mask: bool (num_envs,), the environments.

    Returns:
        The arrays, 0 in the other environments, and the mask of each as "_name".
    """
    batched = {}
    for name, values in info.items():
        shown = np.zeros_like(values)
        shown[mask] = values[mask]
        batched |= {name: shown, f"_{name}": mask.copy()}
    return batched

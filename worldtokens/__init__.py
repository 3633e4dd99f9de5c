"""A world-model tokenizer component for reinforcement learning.

The public names load their modules when they are first used, so `import worldtokens` is instant and
a worker process that only steps an environment never loads torch.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldtokens.collect import Episode, EpisodeDataset, SegmentBatch
    from worldtokens.envs import EnvConfig, make_env
    from worldtokens.tokenizer import Tokenizer, TokenizerConfig
    from worldtokens.tokenizer.wrappers import TokenObservation, VectorTokenObservation
    from worldtokens.world_model import (
        FramePrior,
        FramePriorConfig,
        ImaginedVectorEnv,
        Rollout,
        Sampling,
        WorldModel,
        WorldModelConfig,
    )
    from worldtokens.world_model.rl.sb3 import to_sb3
    from worldtokens.world_model.video.display import save_video, show

# In a clone the packages lie beside this folder, which programs that run there import even after
# `pip install .`.
_CLONE = Path(__file__).resolve().parents[1]
if (_CLONE / "pyproject.toml").is_file() and (_CLONE / "tokenizer" / "__init__.py").is_file():
    __path__.append(str(_CLONE))

_MODULES = {
    "EnvConfig": "envs",
    "Episode": "collect",
    "EpisodeDataset": "collect",
    "FramePrior": "world_model",
    "FramePriorConfig": "world_model",
    "ImaginedVectorEnv": "world_model",
    "Rollout": "world_model",
    "Sampling": "world_model",
    "SegmentBatch": "collect",
    "TokenObservation": "tokenizer.wrappers",
    "Tokenizer": "tokenizer",
    "TokenizerConfig": "tokenizer",
    "VectorTokenObservation": "tokenizer.wrappers",
    "WorldModel": "world_model",
    "WorldModelConfig": "world_model",
    "make_env": "envs",
    "save_video": "world_model.video.display",
    "show": "world_model.video.display",
    "to_sb3": "world_model.rl.sb3",
}

__all__ = [
    "EnvConfig",
    "Episode",
    "EpisodeDataset",
    "FramePrior",
    "FramePriorConfig",
    "ImaginedVectorEnv",
    "Rollout",
    "Sampling",
    "SegmentBatch",
    "TokenObservation",
    "Tokenizer",
    "TokenizerConfig",
    "VectorTokenObservation",
    "WorldModel",
    "WorldModelConfig",
    "make_env",
    "save_video",
    "show",
    "to_sb3",
]


def __getattr__(name: str) -> Any:
    """Loads a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Returns the public names, for completion."""
    return sorted({*globals(), *__all__})

"""World models over frame tokens and actions: training, dreams and what dreams are used for."""

from world_model.configuration import WorldModelConfig
from world_model.imagined_env import ImaginedVectorEnv
from world_model.model import WorldModel
from world_model.predictions import ImaginedFrame, Prediction, Rollout
from world_model.sampling import Sampling

__all__ = [
    "ImaginedFrame",
    "ImaginedVectorEnv",
    "Prediction",
    "Rollout",
    "Sampling",
    "WorldModel",
    "WorldModelConfig",
]

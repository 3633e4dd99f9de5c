"""World models over frame tokens and actions: training, dreams and what dreams are used for."""

from world_model.configuration import WorldModelConfig
from world_model.imagined_env import ImaginedVectorEnv
from world_model.model import WorldModel
from world_model.predictions import ImaginedFrame, Prediction, Rollout
from world_model.prior import FramePrior
from world_model.prior_configuration import FramePriorConfig
from world_model.sampling import Sampling

__all__ = [
    "FramePrior",
    "FramePriorConfig",
    "ImaginedFrame",
    "ImaginedVectorEnv",
    "Prediction",
    "Rollout",
    "Sampling",
    "WorldModel",
    "WorldModelConfig",
]

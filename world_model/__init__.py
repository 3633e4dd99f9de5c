"""World models over frame tokens and actions: training, dreams and what dreams are used for."""

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.networks.predictions import ImaginedFrame, Prediction, Rollout
from worldtokens.world_model.prior.config import FramePriorConfig
from worldtokens.world_model.prior.model import FramePrior
from worldtokens.world_model.rl.imagined_env import ImaginedVectorEnv

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

"""World models over frame tokens and actions: training, imagination and what it is used for."""

from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.imagination.imaginer import Imaginer
from worldtokens.world_model.imagination.rollout import ImaginedFrame, Rollout
from worldtokens.world_model.imagination.sampling import Sampling
from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.networks.predictions import Prediction
from worldtokens.world_model.prior.config import FramePriorConfig
from worldtokens.world_model.prior.model import FramePrior
from worldtokens.world_model.rl.imagined_env import ImaginedVectorEnv

__all__ = [
    "FramePrior",
    "FramePriorConfig",
    "ImaginedFrame",
    "ImaginedVectorEnv",
    "Imaginer",
    "Prediction",
    "Rollout",
    "Sampling",
    "WorldModel",
    "WorldModelConfig",
]

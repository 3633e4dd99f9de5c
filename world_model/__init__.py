"""World models over frame tokens and actions: training, dreams and what dreams are used for."""

from world_model.configuration import WorldModelConfig
from world_model.model import ImaginedFrame, Prediction, Rollout, WorldModel

__all__ = ["ImaginedFrame", "Prediction", "Rollout", "WorldModel", "WorldModelConfig"]

import dataclasses

import pytest
import torch

from worldtokens.world_model.networks.predictions import Prediction


def test_a_prediction_cannot_be_changed():
    prediction = Prediction(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    assert prediction.features is prediction.refined is prediction.stays is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.tokens = torch.ones(1)

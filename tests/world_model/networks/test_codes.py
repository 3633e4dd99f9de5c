import dataclasses

import pytest
import torch

from worldtokens.world_model.networks.codes import LatentCodes, Outcomes


def test_codes_and_outcomes_cannot_be_changed():
    nothing = torch.zeros(1)
    for value in (LatentCodes(nothing, nothing, nothing), Outcomes(nothing, nothing, None)):
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, nothing)

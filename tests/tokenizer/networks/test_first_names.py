"""Weights of the first version, whose layers had numbers, still load; golden names are its own."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from worldtokens.hub.part_names import rename
from worldtokens.tokenizer import Tokenizer, TokenizerConfig
from worldtokens.tokenizer.networks.first_names import count_layers, count_named_layers

# Made by the first version: the shapes of all tensors by name, in the order of its state dict, and
# the fingerprint of a model with the values of `first_state`.
FIRST = json.loads(Path(__file__).with_name("first_names.json").read_text())


def first_state(network):
    """A state dict of the first version."""
    return {
        name: (torch.arange(torch.Size(shape).numel()) % 61 + number).view(shape) / 32
        for number, (name, shape) in enumerate(FIRST[network]["shapes"].items())
    }


@pytest.fixture(params=FIRST)
def network(request) -> str:
    return request.param


@pytest.fixture
def tokenizer(network) -> Tokenizer:
    return Tokenizer(TokenizerConfig(**FIRST[network]["config"]))


def test_every_tensor_has_its_first_name_in_the_same_order(network, tokenizer):
    # The optimizer's state in a checkpoint belongs to parameters by their order.
    names = [rename(name, tokenizer.first_names()) for name in tokenizer.state_dict()]
    assert names == list(FIRST[network]["shapes"])
    assert not any(".layers." in name or name[-1].isdigit() for name in tokenizer.state_dict())


def test_a_state_of_the_first_version_loads_with_its_fingerprint(network, tokenizer):
    state = first_state(network)
    tokenizer.load_state_dict(state)
    assert tokenizer.fingerprint == FIRST[network]["fingerprint"]
    values = zip(tokenizer.state_dict().values(), state.values(), strict=True)
    assert all(torch.equal(now, first) for now, first in values)
    again = Tokenizer(tokenizer.config)
    again.load_state_dict(tokenizer.state_dict())
    assert again.fingerprint == tokenizer.fingerprint


def test_a_state_loads_inside_of_another_module(network, tokenizer):
    agent = nn.ModuleDict({"tokenizer": tokenizer})
    agent.load_state_dict({f"tokenizer.{k}": v for k, v in first_state(network).items()})
    assert tokenizer.fingerprint == FIRST[network]["fingerprint"]


def test_counting_layers():
    assert count_layers("encoder", ["a", None, "b.c"]) == {"a": "encoder.0", "b.c": "encoder.2"}
    layers = nn.Sequential()
    layers.add_module("first", nn.Identity())
    layers.add_module("second", nn.Identity())
    assert count_named_layers("decoder", layers) == {
        "decoder.first": "decoder.0", "decoder.second": "decoder.1",
    }  # fmt: skip

"""The weights in pretrained/ do what their cards say, on the frames that lie beside them."""

import dataclasses

import numpy as np
import pytest
import torch

from worldtokens.collect import EpisodeDataset
from worldtokens.hub.locations import SHIPPED
from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel
from worldtokens.world_model.evaluation.report import with_current_names

NAMES = ("montezuma_revenge", "montezuma_revenge_vqgan")


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_fit_each_other_and_the_game(name):
    tokenizer, world_model = Tokenizer.from_pretrained(name), WorldModel.from_pretrained(name)
    world_model.check_tokenizer(tokenizer.fingerprint)
    starts = EpisodeDataset(SHIPPED / name / "starts").episodes
    episode = max(starts, key=lambda episode: episode.num_steps)
    tokens = tokenizer.encode(episode.frames)
    decoded = tokenizer.decode(tokens).numpy()
    error = (decoded.astype(np.float64) - episode.frames) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > 38

    known = 4
    actions = torch.from_numpy(episode.actions)[None]
    rollout = world_model.imagine(
        tokens[None, :known], actions[:, : known - 1], actions[:, known - 1 : known + 3], top_k=1
    )
    right = (rollout.tokens[0] == tokens[known : known + 4]).float().mean()
    assert right > 0.85


def test_all_pairs_together_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 40_000_000


def test_the_second_pair_is_a_vqgan():
    config = Tokenizer.from_pretrained("montezuma_revenge_vqgan").config
    assert (config.network, config.quantizer, config.encoder_scope) == ("resnet", "vq", "patch")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model_type", [Tokenizer, WorldModel])
def test_the_cards_are_those_of_this_version(name, model_type):
    model = model_type.from_pretrained(name)
    metrics = with_current_names(model.facts.metrics)
    model.facts = dataclasses.replace(model.facts, metrics=metrics)
    card = SHIPPED / name / model.kind.name / "README.md"
    assert card.read_text() == str(model.generate_model_card())

"""The world model: what users load, train, save and imagine with."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from worldtokens.hub.model_card import CardModel
from worldtokens.hub.model_files import Kind
from worldtokens.hub.pretrained_model import PretrainedModel
from worldtokens.world_model.card import world_model_card
from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.imagination.imaginer import Imaginer, Policy
from worldtokens.world_model.imagination.rollout import Rollout
from worldtokens.world_model.imagination.sampling import Generators, Sampling
from worldtokens.world_model.networks.network import WorldModelNetwork
from worldtokens.world_model.networks.predictions import Prediction
from worldtokens.world_model.networks.refinement import Draft

# Exports of earlier versions lack these fields; this is what those models do.
LEGACY_VALUES = {
    "refine_layers": 0, "refine_passes": 3, "stay_gate": False, "latents": 0, "latent_classes": 64,
    "latent_dropout": 0.0, "outcomes": "action", "predicts_lives": False,
}  # fmt: skip
# Names of weights in memory and in files, which keep the names of the first version.
NAME_IN_MEMORY, NAME_IN_FILES = "network.position_embedding", "place_embedding"


class WorldModel(PretrainedModel):
    """Predicts the next frame's tokens, the reward and the end from frames and actions so far.

    Attributes:
        config: Its architecture, and the tokenizer and game that it was made for.
        network: Its layers.
        imaginer: Rolls the network out; its attributes choose precision, compilation and
            speculative decoding.
    """

    kind = Kind("world_model", WorldModelConfig, "train-world-model", LEGACY_VALUES)
    config: WorldModelConfig

    def __init__(self, config: WorldModelConfig):
        """Creates an untrained model."""
        super().__init__(config)
        self.network = WorldModelNetwork(config)
        self.imaginer = Imaginer(self.network)
        self.register_state_dict_post_hook(_to_file_names)
        self.register_load_state_dict_pre_hook(_from_file_names)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.network.device

    @property
    def reward_values(self) -> Tensor:
        """The rewards that the reward head tells apart, float32 (R,), ascending."""
        return self.network.reward_values

    def forward(
        self,
        tokens_btk: Tensor,
        actions: Tensor,
        predict_mask: Tensor | None = None,
        draft: Draft | None = None,
        from_prior: bool = False,
        if_changed: bool = False,
    ) -> Prediction:
        """Predicts every frame of a sequence after the first; see `WorldModelNetwork.forward`."""
        return self.network(tokens_btk, actions, predict_mask, draft, from_prior, if_changed)

    def imagine(
        self,
        context_tokens: Tensor,
        context_actions: Tensor,
        actions: Tensor | Policy,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Generators = None,
        horizon: int | None = None,
    ) -> Rollout:
        """Imagines how a context goes on under given actions.

        Args:
            context_tokens: Known frames, int64 (B, T, K), T at most `config.context`.
            context_actions: Actions between them, int64 (B, T - 1).
            actions: int64 (B, H): action h is taken at the last known or imagined frame and leads
                to imagined frame h. Or a policy, called with the last frame's tokens (B, K), that
                returns int64 (B,).
            temperature: See `Sampling`; rewards and ends are drawn as tokens are.
            top_k: See `Sampling`; 1 is greedy.
            top_p: See `Sampling`.
            generator: One generator, or one per row: a row's dream then does not depend on the
                rows beside it.
            horizon: Frames to imagine; with a policy only.

        Raises:
            ValueError: An argument of another type, dtype, shape, range or device.
        """
        sampling = Sampling(temperature, top_k, top_p)
        return self.imaginer.imagine(
            context_tokens, context_actions, actions, sampling, generator, horizon
        )

    def check_tokenizer(self, fingerprint: str) -> None:
        """Checks that this is the tokenizer that the model was trained on.

        Raises:
            ValueError: It is another.
        """
        if fingerprint != self.config.tokenizer:
            raise ValueError(
                f"this world model was trained on the tokens of tokenizer "
                f"{self.config.tokenizer!r}, not of {fingerprint!r}; give the tokenizer it was "
                "trained on, or train a world model on this one"
            )

    def check_actions(self, num_actions: int) -> None:
        """Checks that the model was trained on that many actions.

        Raises:
            ValueError: It was trained on another number.
        """
        if num_actions != self.config.num_actions:
            raise ValueError(
                f"this world model was trained on {self.config.num_actions} actions of "
                f"{self.config.game}, the dataset has {num_actions}; give a dataset of that game"
            )

    def __repr__(self) -> str:
        """Says in one line what it predicts, and its size."""
        config = self.config
        weights = sum(math.prod(weight.shape) for weight in self.parameters())
        return (
            f"WorldModel({config.game or 'no game'}, {config.tokens_per_frame} tokens of "
            f"{config.vocab_size}, {config.num_actions} actions, {config.prediction}, "
            f"{weights:,} weights)"
        )

    def _card_model(self) -> CardModel:
        return world_model_card(self.config)


def _to_file_names(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Renames the weights of a state dict, in place, to what they are called in files."""
    for name in [name for name in state if name.startswith(f"{prefix}network.")]:
        short = name.removeprefix(prefix)
        short = NAME_IN_FILES if short == NAME_IN_MEMORY else short.removeprefix("network.")
        state[prefix + short] = state.pop(name)


def _from_file_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Undoes `_to_file_names`."""
    for name in [name for name in state if name.startswith(prefix)]:
        short = name.removeprefix(prefix)
        full = NAME_IN_MEMORY if short == NAME_IN_FILES else f"network.{short}"
        state[prefix + full] = state.pop(name)

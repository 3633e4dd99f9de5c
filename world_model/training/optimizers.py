"""The optimizer of a world model: Muon for the transformer's matrices, AdamW for the rest."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from worldtokens.world_model.model import WorldModel
from worldtokens.world_model.prior.model import FramePrior


class MuonAdamW(Optimizer):
    """Two optimizers as one.

    Muon (Jordan et al. 2024; scaled to AdamW's step size as in Moonlight, arXiv:2502.16982, so that
    one learning rate serves both) orthogonalises the update of a matrix. On Montezuma's Revenge it
    reached a held-out loss in less than half of AdamW's CPU time.
    """

    def __init__(self, model: WorldModel | FramePrior, learning_rate: float, weight_decay: float):
        """Gives each parameter to one of the two.

        Args:
            model: Whose parameters are updated.
            learning_rate: Of every group until it is set otherwise.
            weight_decay: Of matrices inside of the transformer.
        """
        chosen = {id(weight) for weight in _matrices(model)}
        matrices = [p for p in model.parameters() if id(p) in chosen]
        others = [p for p in model.parameters() if id(p) not in chosen]
        self._parts: list[Optimizer] = [
            Muon(
                matrices,
                lr=learning_rate,
                weight_decay=weight_decay,
                momentum=0.95,
                ns_steps=4,
                adjust_lr_fn="match_rms_adamw",
            ),
            AdamW(others, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
        ]
        super().__init__([*matrices, *others], {"lr": learning_rate})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Updates the parameters from their gradients."""
        assert closure is None
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Returns the states of both."""
        return {str(index): part.state_dict() for index, part in enumerate(self._parts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the states of both."""
        for index, part in enumerate(self._parts):
            part.load_state_dict(state_dict[str(index)])
        # Loading replaces the groups.
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def _matrices(model: WorldModel | FramePrior) -> list[torch.Tensor]:
    """Returns weights of linear layers that map features to features, not tokens or classes."""
    network = model if isinstance(model, FramePrior) else model.network
    layers = [m for m in network.transformer.blocks.modules() if isinstance(m, nn.Linear)]
    if isinstance(network, FramePrior):
        return [layer.weight for layer in layers]
    if network.config.prediction == "parallel":
        layers += [network.merge, network.unmerge]
    if network.config.refine_layers:
        layers += [m for m in network.refiner.modules() if isinstance(m, nn.Linear)]
    if network.config.latents:
        layers += [m for m in network.latents.modules() if isinstance(m, nn.Linear)]
    if network.config.outcomes == "frame":
        layers += [m for m in network.outcome_summary.modules() if isinstance(m, nn.Linear)]
    return [layer.weight for layer in layers]

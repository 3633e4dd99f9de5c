"""What all trained models share: loading, saving, the Hub, the fingerprint and the card."""

import dataclasses
import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_model
from torch import nn

from worldtokens.hub.locations import locate
from worldtokens.hub.model_card import CardFacts, CardModel, make_card
from worldtokens.hub.model_files import (
    CARD,
    CONFIG,
    WEIGHTS,
    Kind,
    check_weights,
    config_tree,
    read_config,
    read_weights,
    write_config,
)


class PretrainedModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="worldtokens",
    license="mit",
    tags=["atari", "world-model"],
):
    """A model that is made of a config and can be saved, loaded and pushed to the Hub.

    `save_pretrained(folder)` and `push_to_hub("owner/name")` write config.json, model.safetensors
    and the card.

    Attributes:
        kind: What its files say that they hold.
        config: What it is made of.
        facts: What its card tells beside that; it is saved and loaded with the weights.
    """

    kind: ClassVar[Kind]
    config: Any
    facts: CardFacts

    def __init__(self, config: Any) -> None:
        """Makes a model that nothing is known of but its config."""
        super().__init__()
        self.config = config
        self.facts = CardFacts()

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        place: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Loads a trained model in float32, on the CPU and in eval mode.

        Args:
            place: A run folder, an export folder, the name of weights that come with the project
                ("montezuma_revenge") or a Hub repo id ("owner/name").
            revision: Branch, tag or commit of the Hub repo.
            token: Hub access token; by default the one of this machine.
            local_files_only: Use the Hub's cache only.

        Raises:
            ValueError: There is no such model, or its files are damaged or of another kind.
        """
        folder = locate(
            cls.kind, place, revision=revision, token=token, local_files_only=local_files_only
        )
        config, facts = read_config(folder, cls.kind)
        weights = read_weights(folder, cls.kind)
        place = f"{cls.kind.words} {folder}"
        # Without memory, since a damaged config may ask for more than there is.
        with torch.device("meta"):
            try:
                expected = cls(config).state_dict()
            except RuntimeError as error:
                raise ValueError(f"{place}: {CONFIG} describes no model ({error})") from error
        check_weights(place, weights, expected)
        model = cls(config)
        model.load_state_dict(weights)
        model.facts = facts
        return model.eval()

    @property
    def fingerprint(self) -> str:
        """16 hex digits of a hash over config and weights: another model, other digits."""
        tree = json.dumps(config_tree(self.config, self.kind), sort_keys=True)
        digest = hashlib.sha256(tree.encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def record_training(
        self,
        *,
        game: str,
        data: str,
        command: str,
        training: str,
        metrics: Mapping[str, object],
    ) -> None:
        """Notes for the card how the model was trained; see CardFacts."""
        self.facts = dataclasses.replace(
            self.facts, game=game, data=data, command=command, training=training,
            metrics=dict(metrics),
        )  # fmt: skip

    def record_metrics(self, place: str | Path, metrics: Mapping[str, object]) -> None:
        """Adds figures to the card, and writes config.json and the card of an export anew.

        Args:
            place: The run or export folder that this model was loaded from.
            metrics: Figures on held-out episodes by name; see CardFacts.
        """
        self.facts = dataclasses.replace(self.facts, metrics={**self.facts.metrics, **metrics})
        self._write_papers(locate(self.kind, place))

    def generate_model_card(self) -> ModelCard:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The card, which `save_pretrained` writes as README.md."""
        common = [
            ("weights", f"{sum(parameter.numel() for parameter in self.parameters()):,}"),
            ("fingerprint", f"`{self.fingerprint}`"),
        ]
        model = self._card_model()
        model = dataclasses.replace(model, rows=[*model.rows, *common])
        return make_card(self._hub_mixin_info.model_card_data, model, self.facts)

    @abstractmethod
    def _card_model(self) -> CardModel:
        """What the card says of every model of this kind and config."""

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(self, str(save_directory / WEIGHTS))
        self._write_papers(save_directory)

    def _write_papers(self, folder: Path) -> None:
        """Writes config.json and the card; the mixin would keep an older card."""
        write_config(folder, self.kind, self.config, self.facts)
        self.generate_model_card().save(folder / CARD)

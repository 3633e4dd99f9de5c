"""The base of all trained models: loading, saving, the Hub, the fingerprint and the card."""

import dataclasses
import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin
from torch import nn

from worldtokens.common.atomic import replacing
from worldtokens.common.checks import check_path, check_type
from worldtokens.hub.locations import locate
from worldtokens.hub.model_card import CardFacts, CardModel, make_card
from worldtokens.hub.model_files import (
    CARD,
    CONFIG,
    Kind,
    check_weights,
    config_tree,
    read_config,
    read_weights,
    write_config,
    write_weights,
)
from worldtokens.hub.part_names import to_first_names, to_present_names


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
        kind: The kind of model that its files hold.
        config: Its architecture.
        facts: What its card says beside that; saved and loaded with the weights.
    """

    kind: ClassVar[Kind]
    config: Any
    facts: CardFacts

    def __init__(self, config: Any) -> None:
        """Stores the config; the facts are unknown."""
        check_type(self.kind.config, config=config)
        super().__init__()
        self.config = config
        self.facts = CardFacts()

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
    ) -> Self:
        """Loads a trained model in float32, on the CPU and in eval mode.

        Args:
            path: A run folder, an export folder, the name of weights that come with the project
                ("montezuma_revenge") or a Hub repo id ("owner/name").
            revision: Branch, tag or commit of the Hub repo.
            token: Hub access token; by default the one of this machine.
            local_files_only: Use the Hub's cache only.

        Raises:
            ValueError: There is no such model, or its files are damaged or of another kind.
        """
        folder = locate(
            cls.kind, path, revision=revision, token=token, local_files_only=local_files_only
        )
        config, facts = read_config(folder, cls.kind)
        weights = read_weights(folder, cls.kind)
        label = f"{cls.kind.label} {folder}"
        # Without memory, since a damaged config may ask for more than there is.
        with torch.device("meta"):
            try:
                expected = cls(config)
            except (RuntimeError, MemoryError, OverflowError) as error:
                raise ValueError(f"{label}: {CONFIG} describes no model ({error})") from error
        weights = to_present_names(weights, expected.first_names())
        check_weights(label, weights, expected.state_dict())
        model = cls(config)
        model.load_state_dict(weights)
        model.facts = facts
        return model.eval()

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Writes config.json, model.safetensors and the card; see the mixin of huggingface_hub.

        Args:
            save_directory: A folder; it is made where there is none.
            **options: Of the mixin: repo_id, push_to_hub and more.

        Raises:
            ValueError: `save_directory` is no path.
            OSError: It cannot be written.
        """
        check_path(save_directory=save_directory)
        return super().save_pretrained(save_directory, **options)

    def first_names(self) -> Mapping[str, str]:
        """Names that the first version gave to parts of the state dict, by their names of today.

        Parts that kept their names are left out; see worldtokens.hub.part_names.
        """
        return {}

    @property
    def fingerprint(self) -> str:
        """A hash over config and weights, 16 hex digits: another model has another one.

        Tensors are hashed under the names of the first version, so that it outlives a renaming.
        """
        tree = json.dumps(config_tree(self.config, self.kind), sort_keys=True)
        digest = hashlib.sha256(tree.encode())
        state = to_first_names(self.state_dict(), self.first_names())
        for name, value in sorted(state.items()):
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

    def record_metrics(self, path: str | Path, metrics: Mapping[str, object]) -> None:
        """Adds metrics to the card, and writes config.json and the card of an export anew.

        Args:
            path: The run or export folder that this model was loaded from.
            metrics: Metrics on held-out episodes by name; see CardFacts.
        """
        self.facts = dataclasses.replace(self.facts, metrics={**self.facts.metrics, **metrics})
        self._write_config_and_card(locate(self.kind, path))

    def generate_model_card(self) -> ModelCard:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Makes the card, which `save_pretrained` writes as README.md."""
        common = [
            ("weights", f"{self._num_weights():,}"),
            ("fingerprint", f"`{self.fingerprint}`"),
        ]
        model = self._card_model()
        model = dataclasses.replace(model, rows=[*model.rows, *common])
        return make_card(self._hub_mixin_info.model_card_data, model, self.facts)

    def __repr__(self) -> str:
        """Says in one line what the model is; the tree of its modules would fill a screen."""
        parts = (
            *self._summary(),
            f"{self._num_weights():,} weights",
            f"fingerprint {self.fingerprint[:8]}",
        )
        return f"{type(self).__name__}({', '.join(parts)})"

    @abstractmethod
    def _card_model(self) -> CardModel:
        """Describes what the card says of every model of this kind and config."""

    def _summary(self) -> Sequence[str]:
        """Describes the architecture in a few words each, for `repr`."""
        return ()

    def _num_weights(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Renames tensors of the first version before they are loaded, in checkpoints too."""
        own = {k[len(prefix) :]: k for k in state_dict if k.startswith(prefix)}
        for name, key in to_present_names(own, self.first_names()).items():
            state_dict[prefix + name] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        write_weights(save_directory, self.state_dict())
        self._write_config_and_card(save_directory)

    def _write_config_and_card(self, folder: Path) -> None:
        """Writes config.json and the card; the mixin would keep an older card."""
        write_config(folder, self.kind, self.config, self.facts)
        with replacing(folder / CARD) as partial:
            self.generate_model_card().save(partial)

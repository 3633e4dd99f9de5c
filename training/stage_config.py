"""The config of a stage: YAML for the main keys, dataclasses for the defaults of nested ones."""

import dataclasses
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

# The name under which a YAML's list of defaults finds the node.
DEFAULTS_NODE = "dataclass_defaults"


@dataclass(frozen=True)
class StageConfig:
    """Where the config of a stage comes from.

    Attributes:
        type: A dataclass whose fields are the keys of the YAML file.
        name: Name of the primary config, without its ending.
        module: The package that holds the YAML files.
    """

    type: type
    name: str
    module: str = "worldtokens.configs"

    def register_defaults(self) -> None:
        """Makes the defaults of nested dataclasses known to Hydra, in place of earlier ones."""
        ConfigStore.instance().store(name=DEFAULTS_NODE, node=nested_defaults(self.type))

    def compose(self, overrides: Sequence[str] = (), hydra_keys: bool = False) -> DictConfig:
        """Returns the untyped config for these overrides.

        Args:
            overrides: KEY=VALUE, as on a command line.
            hydra_keys: Keep the node `hydra` with Hydra's own keys.

        Raises:
            HydraException: An override names no key, or a choice that does not exist.
        """
        with self.loading():
            return hydra.compose(
                self.name, overrides=list(overrides), return_hydra_config=hydra_keys
            )

    def loading(self) -> hydra.initialize_config_module:
        """Returns the context in which Hydra finds the YAML files."""
        self.register_defaults()
        GlobalHydra.instance().clear()
        return hydra.initialize_config_module(self.module, version_base="1.3")

    def keys(self) -> list[str]:
        """Returns the dotted keys of the stage, those with a value before the inner nodes."""
        tree = OmegaConf.to_container(self.compose(), resolve=False)
        assert isinstance(tree, dict)
        flat = flatten(typing.cast(dict[str, Any], tree), branches=True)
        return sorted(flat, key=lambda key: isinstance(flat[key], dict))


def nested_defaults(config_type: type) -> dict[str, Any]:
    """Returns the defaults of the fields that are dataclasses themselves.

    Args:
        config_type: A dataclass; the defaults of its plain fields are left out.

    Returns:
        By field name, the values of the nested fields that have a default.
    """
    defaults = {}
    for name, nested in nested_types(config_type):
        values = {}
        for field in dataclasses.fields(nested):
            if field.default is not dataclasses.MISSING:
                values[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                values[field.name] = field.default_factory()
        if values:
            defaults[name] = values
    return defaults


def nested_types(config_type: type) -> Iterator[tuple[str, type]]:
    """Yields name and type of the fields that are dataclasses themselves."""
    for name, hint in typing.get_type_hints(config_type).items():
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield name, hint


def flatten(tree: dict[str, Any], prefix: str = "", branches: bool = False) -> dict[str, Any]:
    """Returns a nested dict as one level of dotted keys; with `branches`, the inner nodes too."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= {prefix + str(key): value} if branches else {}
            flat |= flatten(value, f"{prefix}{key}.", branches)
        else:
            flat[prefix + str(key)] = value
    return flat

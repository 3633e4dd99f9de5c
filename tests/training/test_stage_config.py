from dataclasses import dataclass, field

import pytest
from omegaconf import OmegaConf

from worldtokens.collect.run import CollectConfig
from worldtokens.common.commands import STAGES
from worldtokens.envs import EnvConfig
from worldtokens.tokenizer.config import TokenizerConfig
from worldtokens.tokenizer.train import TrainConfig as TokenizerTrainConfig
from worldtokens.training.command_line import compose
from worldtokens.training.stage_config import StageConfig, flatten, nested_defaults
from worldtokens.world_model.config import Architecture, WorldModelConfig
from worldtokens.world_model.prior.config import PriorArchitecture
from worldtokens.world_model.train_prior import TrainPriorConfig
from worldtokens.world_model.training.config import TrainConfig as WorldModelTrainConfig

TOKENIZER_PRESETS = ("fast", "iris", "iris64", "patch_fsq", "vqgan", "vqgan256", "vqvae", "vqvae2")
WORLD_MODEL_PRESETS = ("default", "autoregressive", "iris")


@dataclass
class Inner:
    name: str
    width: int = 8
    levels: list[int] = field(default_factory=lambda: [1, 2])


@dataclass
class Outer:
    seed: int
    inner: Inner
    rate: float = 0.5


def test_nested_defaults_are_those_of_the_nested_fields_alone():
    assert nested_defaults(Outer) == {"inner": {"width": 8, "levels": [1, 2]}}


def test_flatten_gives_dotted_keys():
    tree = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert flatten(tree) == {"a": 1, "b.c": 2, "b.d.e": 3}
    assert list(flatten(tree, branches=True)) == ["a", "b", "b.c", "b.d", "b.d.e"]


def test_commands_build_what_the_dataclasses_default_to():
    tokenizer = compose(TokenizerTrainConfig, "tokenizer", ["env=Pong"])
    assert tokenizer.model == TokenizerConfig()
    world_model = compose(WorldModelTrainConfig, "world_model", ["env=Pong"])
    assert world_model.model == Architecture()
    assert {name: vars(WorldModelConfig())[name] for name in vars(world_model.model)} == vars(
        world_model.model
    )
    assert compose(TrainPriorConfig, "prior", ["env=Pong"]).model == PriorArchitecture()
    assert compose(CollectConfig, "collect", ["env=Pong"]).env_config == EnvConfig("Pong")


def test_the_default_presets_change_nothing():
    for config_type, name, preset in (
        (TokenizerTrainConfig, "tokenizer", "tokenizer_preset=fast"),
        (WorldModelTrainConfig, "world_model", "world_model_preset=default"),
    ):
        plain = compose(config_type, name, ["env=Pong", f"~{preset.split('=')[0]}"])
        assert compose(config_type, name, ["env=Pong", preset]) == plain


@pytest.mark.parametrize("preset", TOKENIZER_PRESETS)
def test_tokenizer_presets_compose_and_give_way_to_overrides(preset):
    overrides = ["env=Pong", f"tokenizer_preset={preset}", "model.frame_height=128", "batch_size=3"]
    config = compose(TokenizerTrainConfig, "tokenizer", overrides)
    assert config.model.frame_height == 128 and config.batch_size == 3
    networks = {
        "fast": "dictionary", "iris": "vqgan", "iris64": "vqgan", "patch_fsq": "patch",
        "vqgan": "resnet", "vqgan256": "vqgan",
    }  # fmt: skip
    assert config.model.network == networks.get(preset, preset)


@pytest.mark.parametrize("preset", WORLD_MODEL_PRESETS)
def test_world_model_presets_compose_and_give_way_to_overrides(preset):
    overrides = ["env=Pong", f"world_model_preset={preset}", "model.layers=5", "batch_size=3"]
    config = compose(WorldModelTrainConfig, "world_model", overrides)
    assert config.model.layers == 5 and config.batch_size == 3
    assert (config.model.prediction == "parallel") == (preset == "default")


def test_presets_and_groups_are_all_tried_here():
    from worldtokens import configs

    folder = configs.__path__[0]
    for group, names in (
        ("tokenizer_preset", TOKENIZER_PRESETS),
        ("world_model_preset", WORLD_MODEL_PRESETS),
    ):
        import pathlib

        found = {path.stem for path in pathlib.Path(folder, group).glob("*.yaml")}
        assert found == set(names)


def test_a_default_of_the_model_stands_in_no_yaml():
    from importlib.resources import files

    for stage in STAGES:
        text = files("worldtokens.configs").joinpath(f"{stage.config}.yaml").read_text()
        tree = OmegaConf.to_container(OmegaConf.create(text))
        assert isinstance(tree, dict) and "model" not in tree


def test_keys_are_those_of_the_composed_config():
    keys = StageConfig(WorldModelTrainConfig, "world_model").keys()
    assert {"env", "model", "model.layers", "budget.max_steps", "wandb.mode"} <= set(keys)
    assert "hydra" not in keys

"""The whole path on an environment of the user, by the mains of the commands."""

import json
from pathlib import Path

import pytest

from worldtokens import EpisodeDataset, ImaginedVectorEnv, Tokenizer, WorldModel
from worldtokens.collect import run as collect
from worldtokens.tokenizer import evaluate as evaluate_tokenizer
from worldtokens.tokenizer import train as train_tokenizer
from worldtokens.training.command_line import compose
from worldtokens.world_model import evaluate, export_onnx, imagine, train
from worldtokens.world_model.evaluation.config import EvaluateConfig
from worldtokens.world_model.training.config import TrainConfig

TINY_TRAINING = ["budget={max_minutes: null, max_steps: 3}", "batch_size=2", "wandb.mode=disabled"]
TINY_TRAINING += ["mixed_precision=no", "evaluations=1"]


@pytest.mark.slow
def test_an_environment_of_the_user_is_dreamt(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "envs")
    env = ["env=Dot"]
    collecting = [
        "env_config._target_=dot_env.DotEnv", "env_config.frame_height=24",
        "env_config.frame_width=24", "num_workers=1", "num_steps=600", "policy.explore_steps=600",
        "policy.num_explorations=1", "policy.segment_steps=19",
    ]  # fmt: skip
    collect.main(compose(collect.CollectConfig, "collect", [*env, *collecting]))
    tokenizer_keys = ["model.frame_height=24", "model.frame_width=24"]
    tokenizer_keys += ["start_frames=50", "heldout_frames=10"]
    train_tokenizer.main(
        compose(train_tokenizer.TrainConfig, "tokenizer", [*env, *TINY_TRAINING, *tokenizer_keys])
    )
    assert "design    a dictionary of 8,192 patches: " in capsys.readouterr().out
    evaluate_tokenizer.main(
        compose(evaluate_tokenizer.EvaluateConfig, "tokenizer_evaluate", [*env, "frames=20"])
    )
    small = ["model.width=16", "model.heads=2", "model.layers=1", "segment=6", "heldout_segments=2"]
    train.main(compose(TrainConfig, "world_model", [*env, *TINY_TRAINING, *small]))
    evaluate.main(
        compose(
            EvaluateConfig,
            "world_model_evaluate",
            [*env, "starts=4", "events=2", "lost_lives=0", "counterfactuals=2", "payments=2",
             "payment_steps=5", "strange_tokens=2", "horizons=[1,2]"],
        )
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "left out" not in printed and "A2_1" in printed
    imagine.main(
        compose(imagine.ImagineConfig, "imagine", [*env, "count=1", "horizon=4", "actions=A2_1"])
    )
    dream = json.loads(next(Path("runs/Dot/dreams").glob("*.json")).read_text())
    assert dream["game"] == "gymnasium:Dot"
    dreams = ImaginedVectorEnv(
        WorldModel.from_pretrained("runs/Dot/world_model"),
        Tokenizer.from_pretrained("runs/Dot/tokenizer"),
        start=EpisodeDataset("data/Dot"),
        num_envs=2,
        horizon=3,
    )
    assert dreams.reset(seed=0)[0].shape == (2, 24, 24, 3)
    assert dreams.single_action_space.n == 6
    export_onnx.main(
        compose(
            export_onnx.ExportConfig,
            "world_model_export_onnx",
            [*env, "check_starts=2", "check_steps=2"],
        )
    )
    description = json.loads(Path("runs/Dot/world_model/onnx/dream.json").read_text())
    assert description["actions"][0] == {"name": "A0_0", "buttons": ["LEFT"]}

import dataclasses

import pytest
import yaml

from worldtokens.training.added_keys import with_values_of_run
from worldtokens.training.command_line import compose
from worldtokens.training.run_folder import RunFolder
from worldtokens.world_model.training.config import TrainConfig


def test_a_run_begun_before_a_key_goes_on_without_it(tmp_path, capsys):
    overrides = ["env=Pong", f"root={tmp_path}", "event_share=0.5", "model.latents=3"]
    config = compose(TrainConfig, "world_model", overrides)
    assert with_values_of_run(config) == config, "a new run"
    folder = tmp_path / "Pong" / "world_model"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 0, "model": {"layers": 4}}))
    old = with_values_of_run(config)
    assert (old.event_share, old.model.latents, old.model.predicts_lives) == (0.0, 0, False)
    assert (old.model.layers, old.batch_size) == (config.model.layers, config.batch_size)
    assert (
        "goes on with calibrate=False, event_share=0.0, model.latents=0" in capsys.readouterr().err
    )
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"event_share": 0.5, "model": {"latents": 3, "predicts_lives": True}})
    )
    assert with_values_of_run(config).event_share == 0.5


def test_the_folder_of_such_a_run_is_opened_again(tmp_path):
    overrides = ["env=Pong", f"root={tmp_path}", "event_share=0.5"]
    config = compose(TrainConfig, "world_model", overrides)
    folder = RunFolder.open(tmp_path / "run", config)
    folder.metrics.write_text('{"step": 1}\n')
    tree = yaml.safe_load(folder.config.read_text())
    del tree["event_share"], tree["schedule"], tree["model"]["latents"]
    folder.config.write_text(yaml.safe_dump(tree))
    with pytest.raises(ValueError, match="another config .*event_share 0.0 -> 0.5"):
        RunFolder.open(tmp_path / "run", config)
    RunFolder.open(tmp_path / "run", dataclasses.replace(config, event_share=0.0))

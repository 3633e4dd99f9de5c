import pytest
import yaml

from worldtokens.tokenizer import TokenizerConfig
from worldtokens.tokenizer.renamed_preset import check_preset_of_run
from worldtokens.tokenizer.train import TrainConfig, main
from worldtokens.training.command_line import compose

RESNET = TokenizerConfig(network="resnet", quantizer="vq", channel_multipliers=[1, 2])


def begin(folder, network):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"network": network}}))


def test_a_run_of_the_earlier_preset_is_not_continued_with_the_new_one(tmp_path):
    begin(tmp_path / "run", "vqgan")
    with pytest.raises(ValueError, match="expected vqgan256 for the run .*, got vqgan: it was beg"):
        check_preset_of_run(tmp_path / "run", RESNET, overwrite=False)
    check_preset_of_run(tmp_path / "run", RESNET, overwrite=True)
    old = TokenizerConfig(network="vqgan", quantizer="vq")
    check_preset_of_run(tmp_path / "run", old, overwrite=False)


def test_other_runs_go_on(tmp_path):
    check_preset_of_run(tmp_path / "nothing", RESNET, overwrite=False)
    begin(tmp_path / "run", "resnet")
    check_preset_of_run(tmp_path / "run", RESNET, overwrite=False)


def test_the_training_command_says_so(tmp_path):
    begin(tmp_path / "FakeGame" / "tokenizer", "vqgan")
    overrides = ["env=FakeGame", f"root={tmp_path}", "tokenizer_preset=vqgan"]
    with pytest.raises(ValueError, match="which is called vqgan256 now"):
        main(compose(TrainConfig, "tokenizer", overrides))

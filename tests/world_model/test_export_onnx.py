import pytest

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package} (the extra onnx)")

from worldtokens.training.command_line import compose  # noqa: E402
from worldtokens.world_model.export_onnx import ExportConfig, main  # noqa: E402


def config_of(*overrides):
    return compose(ExportConfig, "world_model_export_onnx", ["env=FakeGame", *overrides])


def test_the_command(trained, dataset, capsys):
    main(config_of(f"root={trained}", f"data={dataset}", "check_starts=2", "check_steps=5"))
    out = trained / "FakeGame" / "world_model" / "onnx"
    printed = capsys.readouterr().out
    assert "float32: 100.00 % of the tokens are those of imagine, in 5 greedy steps" in printed
    assert str(out / "step.int8.onnx") in printed and (out / "dream.json").is_file()


def test_user_errors(tmp_path):
    with pytest.raises(ValueError, match="starts: expected a whole number of at least 1, got 0"):
        config_of("starts=0")
    with pytest.raises(ValueError, match="no such folder; train one"):
        main(config_of(f"root={tmp_path}"))

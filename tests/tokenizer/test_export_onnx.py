import pytest

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason=f"needs {package} (the extra onnx)")

from worldtokens.tokenizer.export_onnx import ExportConfig, main  # noqa: E402
from worldtokens.tokenizer.onnx_graphs import Agreement, OnnxFiles  # noqa: E402
from worldtokens.training.command_line import compose  # noqa: E402


def config_of(tmp_path, *more):
    overrides = ["env=FakeGame", f"root={tmp_path}", *more]
    return compose(ExportConfig, "tokenizer_export_onnx", overrides)


def test_the_command(tiny_tokenizer, tmp_path, capsys):
    run = tmp_path / "FakeGame" / "tokenizer"
    tiny_tokenizer.save_pretrained(run / "export")
    main(config_of(tmp_path, "frames=5"))
    assert sorted(path.name for path in (run / "onnx").iterdir()) == ["decode.onnx", "encode.onnx"]
    printed = capsys.readouterr().out
    assert "100.000 % of the tokens of 5 random frames agree" in printed
    assert str(run / "onnx" / "encode.onnx") in printed


def test_nothing_is_written_where_the_graphs_disagree(tiny_tokenizer, tmp_path, monkeypatch):
    tiny_tokenizer.save_pretrained(tmp_path / "FakeGame" / "tokenizer" / "export")
    files = OnnxFiles(tmp_path / "encode.onnx", tmp_path / "decode.onnx")
    monkeypatch.setattr("worldtokens.tokenizer.export_onnx.export_onnx", lambda *_: files)
    monkeypatch.setattr("worldtokens.tokenizer.export_onnx.compare", lambda *_: Agreement(0.5, 0))
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="out=.*: expected graphs that agree .*nothing was writt"):
        main(config_of(tmp_path, f"out={out}"))
    assert list(out.iterdir()) == []


def test_user_errors(tmp_path):
    with pytest.raises(ValueError, match="frames: expected a whole number of at least 1, got 0"):
        config_of(tmp_path, "frames=0")
    with pytest.raises(ValueError, match="no such folder; train one"):
        main(config_of(tmp_path))

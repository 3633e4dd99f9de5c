import json

import pytest

from worldtokens.tokenizer import Tokenizer
from worldtokens.training.command_line import compose
from worldtokens.web import dreams
from worldtokens.web.dreams import PageConfig, is_current, prepare_dream
from worldtokens.world_model import WorldModel

SHIPPED = [
    "env=MontezumaRevenge", "world_model=montezuma_revenge", "tokenizer=montezuma_revenge",
    "data=montezuma_revenge",
]  # fmt: skip


@pytest.fixture
def config(tmp_path):
    return compose(PageConfig, "build_page", [*SHIPPED, f"root={tmp_path}", "starts=3"])


@pytest.fixture
def exports(monkeypatch):
    """Stands in for `export_dream`, which takes a minute: writes what `is_current` looks at."""
    calls = []

    def export(model, tokenizer, dataset, folder, settings):
        calls.append((model.fingerprint, len(dataset), settings.starts))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.onnx").write_bytes(b"")
        tree = {
            "format": "worldtokens.dream", "version": 1, "batch": 1,
            "fingerprints": {"world_model": model.fingerprint, "tokenizer": tokenizer.fingerprint},
            "graphs": {"step": {"float32": {"file": "step.onnx"}}},
            "starts": [{"tokens": [[0]] * 4}],
        }  # fmt: skip
        (folder / "dream.json").write_text(json.dumps(tree))
        return {}

    monkeypatch.setattr(dreams, "export_dream", export)
    return calls


def test_a_model_is_exported_once(config, exports, tmp_path):
    folder = prepare_dream(config)
    assert folder == tmp_path / "MontezumaRevenge" / "world_model" / "onnx"
    assert prepare_dream(config) == folder
    assert [call[1:] for call in exports] == [(21, 3)]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder, tree: tree.update(version=0),
        lambda folder, tree: tree["fingerprints"].update(world_model="another"),
        lambda folder, tree: tree.update(starts=[{"tokens": [[0]] * 2}]),
        lambda folder, tree: tree.pop("graphs"),
        lambda folder, tree: (folder / "step.onnx").unlink(),
    ],
    ids=["version", "model", "context", "damaged", "lost file"],
)
def test_what_is_stale_is_exported_again(config, exports, change):
    folder = prepare_dream(config)
    tree = json.loads((folder / "dream.json").read_text())
    change(folder, tree)
    (folder / "dream.json").write_text(json.dumps(tree))
    models = (
        WorldModel.from_pretrained(config.world_model),
        Tokenizer.from_pretrained(config.tokenizer),
    )
    assert not is_current(folder, *models, config)
    prepare_dream(config)
    assert len(exports) == 2 and is_current(folder, *models, config)


def test_numbers_are_checked():
    with pytest.raises(ValueError, match="starts: expected a whole number of at least 1, got 0"):
        compose(PageConfig, "build_page", [*SHIPPED, "starts=0"])

import json
from pathlib import Path

import pytest
import torch

from worldtokens.tokenizer import Tokenizer
from worldtokens.tokenizer.import_iris import ImportConfig, main
from worldtokens.training.command_line import compose

NAMES = json.loads((Path(__file__).parent / "networks" / "iris_names.json").read_text())


def test_the_command_writes_a_run(tmp_path, capsys):
    torch.manual_seed(0)
    weights = tmp_path / "last.pt"
    torch.save({f"tokenizer.{n}": 0.05 * torch.randn(s) for n, s in NAMES.items()}, weights)
    overrides = ["env=FakeGame", f"weights={weights}", f"root={tmp_path}"]
    config = compose(ImportConfig, "import_iris", overrides)
    main(config)
    run = tmp_path / "FakeGame" / "iris"
    assert f"{run / 'export'}: Tokenizer(64x64 frames, 4x4 tokens of 512" in capsys.readouterr().out
    loaded = Tokenizer.from_pretrained(run)
    assert "IRIS's own code" in str(loaded.facts.command)
    codes = torch.load(weights)["tokenizer.embedding.weight"]
    assert torch.equal(loaded.embed(torch.zeros(1, 16, dtype=torch.int64))[0, 0], codes[0])
    with pytest.raises(ValueError, match="run=iris: expected a new run, got .*iris, which has an"):
        main(config)


def test_user_errors(tmp_path):
    with pytest.raises(ValueError, match="frame_size: expected a whole number of at least 1, got"):
        compose(ImportConfig, "import_iris", ["env=A", "weights=x", "frame_size=0"])

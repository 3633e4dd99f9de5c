"""The wheel, in an empty environment far from the clone."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import torch

from worldtokens.tokenizer import Tokenizer
from worldtokens.world_model import WorldModel, WorldModelConfig

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "collect", "common", "configs", "envs", "hub", "pretrained", "tokenizer", "training",
    "web", "world_model",
)  # fmt: skip
PROGRAM = """
import sys
import numpy as np
from worldtokens import ImaginedVectorEnv, Tokenizer, WorldModel
from worldtokens.hub.locations import shipped_folder, shipped_names
from worldtokens.training.command_line import compose
from worldtokens.world_model.imagine import ImagineConfig

ours = [module.__file__ for name, module in sys.modules.items() if name.startswith("worldtokens")]
assert len(ours) > 40 and all(file.startswith(sys.prefix) for file in ours), ours
assert not {"collect", "common", "configs", "envs", "tokenizer", "world_model"} & set(sys.modules)
assert "tiny_game" in shipped_names()
assert str(shipped_folder("tiny_game")).startswith(sys.prefix)
assert compose(ImagineConfig, "imagine", ["env=FakeGame"]).context == 4
tokenizer = Tokenizer.from_pretrained("tiny_game")
model = WorldModel.from_pretrained("tiny_game")
frames = np.random.default_rng(0).integers(0, 256, (1, 2, 16, 24, 3), dtype=np.uint8)
tokens = tokenizer.encode(frames)
assert tokenizer.decode(tokens).shape == frames.shape
actions = tokens.new_zeros(1, 4)
rollout = model.imagine(tokens, actions[:, :1], actions[:, 1:], top_k=1)
assert tokenizer.decode(rollout.tokens).shape == (1, 3, 16, 24, 3)
env = ImaginedVectorEnv(model, tokenizer, frames[0], num_envs=2, horizon=3)
assert env.reset(seed=0)[0].shape == (2, 16, 24, 3)
print(tokenizer.fingerprint, model.fingerprint)
"""
BUDGET = ["budget.max_steps=2", "budget.max_minutes=null", "wandb.mode=disabled", "evaluations=1"]
SMALL = ["model.layers=1", "model.heads=2", "model.width=32", "batch_size=2", "segment=5"]
STAGES = [
    [
        "collect",
        "policy=random",
        "num_steps=500",
        "num_workers=1",
        "env_config.max_episode_steps=25",
    ],
    ["train-tokenizer", *BUDGET, "start_frames=64", "heldout_frames=8", "model.codebook_size=32"],
    ["evaluate-tokenizer", "frames=8", "picture_frames=2"],
    ["train-world-model", *BUDGET, *SMALL, "heldout_segments=2"],
    ["evaluate-world-model", "starts=2", "horizons=[1,2]"],
    ["imagine", "count=1", "horizon=3", "scale=1"],
]
LEFT = [
    "data/FakeGame/dataset.json",
    "runs/FakeGame/tokenizer/export/model.safetensors",
    "runs/FakeGame/world_model/export/model.safetensors",
    "runs/FakeGame/dreams/dream_00.mp4",
    "runs/FakeGame/dreams/dream_00.json",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory, new_tiny_tokenizer) -> Path:
    """A copy of what is packaged, with tiny weights named tiny_game in it."""
    folder = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "worldtokens"):
        skipped = shutil.ignore_patterns("__pycache__", "node_modules", ".npm.lock")
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    tokenizer = new_tiny_tokenizer()
    tokenizer.save_pretrained(folder / "pretrained" / "tiny_game" / "tokenizer")
    torch.manual_seed(0)
    config = WorldModelConfig(
        tokenizer=tokenizer.fingerprint, game="FakeGame", vocab_size=12, grid=(2, 3), merge=1,
        num_actions=3, context=4, layers=1, heads=2, width=32,
    )  # fmt: skip
    WorldModel(config).save_pretrained(folder / "pretrained" / "tiny_game" / "world_model")
    starts = folder / "pretrained" / "tiny_game" / "starts" / "tokens" / "0123"
    starts.mkdir(parents=True)
    (starts / "4567.npz").write_bytes(b"kept as it is")
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    major = int(importlib.metadata.version("setuptools").split(".")[0])
    options = ["--no-build-isolation"] if major >= 77 else []
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", *options, "-w", str(out), "."],
        source)  # fmt: skip
    (found,) = out.glob("worldtokens-*.whl")
    return found


def run(command: list[str], folder: Path, code: int = 0) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin/ folder of an environment that holds the wheel, and this one's dependencies."""
    place = tmp_path_factory.mktemp("env")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], place)
    # The .pth files over there, so the editable install of this project, have no effect here.
    (packages,) = (place / "lib").glob("python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A project with folders of our names in it, each of which raises on import."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('imported {name}')\n")
    return tmp_path


@pytest.mark.slow
def test_the_wheel_holds_worldtokens_alone_and_every_file_of_it(source, wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.split("/")[0] for name in names}
    (info,) = tops - {"worldtokens"}
    assert info.startswith("worldtokens-") and info.endswith(".dist-info")
    wanted = {f"worldtokens/{path.name}" for path in (source / "worldtokens").glob("*.py")}
    wanted |= {
        f"worldtokens/{path.relative_to(source)}"
        for name in PACKAGES
        for path in (source / name).rglob("*")
        if path.is_file() and (name in ("pretrained", "web") or path.suffix in (".py", ".yaml"))
    }
    assert "worldtokens/pretrained/tiny_game/starts/tokens/0123/4567.npz" in wanted
    assert "worldtokens/cli.py" in wanted
    assert {name for name in names if not name.startswith(info)} == wanted


@pytest.mark.slow
def test_the_library_works_among_folders_of_our_names(source, installed, foreign):
    with pytest.raises(AssertionError, match="imported tokenizer"):
        run([str(installed / "python"), "-c", "import tokenizer"], foreign)
    printed = run([str(installed / "python"), "-c", PROGRAM], foreign)
    shipped = source / "pretrained" / "tiny_game"
    models = Tokenizer.from_pretrained(shipped), WorldModel.from_pretrained(shipped)
    assert printed.split() == [model.fingerprint for model in models]


@pytest.mark.slow
def test_the_stages_work_among_folders_of_our_names(installed, foreign):
    for stage, *overrides in STAGES:
        run([str(installed / "worldtokens"), stage, "env=FakeGame", *overrides], foreign)
    assert [name for name in LEFT if not (foreign / name).is_file()] == []
    card = (foreign / "runs/FakeGame/tokenizer/export/README.md").read_text()
    assert "worldtokens train-tokenizer env=FakeGame budget.max_steps=2" in card


@pytest.mark.slow
def test_advice_names_the_console_command(installed, foreign):
    as_module = [str(installed / "python"), "-m", "worldtokens"]
    error = run([*as_module, "train-tokenizer", "env=FakeGame"], foreign, code=1)
    assert error.count("\n") == 1 and "`worldtokens collect env=" in error
    assert "worldtokens imagine KEY=VALUE" in run([*as_module, "imagine", "--help"], foreign)

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
PACKAGES = ("envs", "collect", "tokenizer", "world_model", "training", "configs", "pretrained")
PROGRAM = """
import sys
from importlib.resources import files
import numpy as np
import worldtokens.collect, worldtokens.configs, worldtokens.envs, worldtokens.training.session
import worldtokens.tokenizer, worldtokens.tokenizer.wrappers, worldtokens.world_model
from worldtokens.hub.locations import shipped_folder, shipped_names
from worldtokens.training.command_line import compose
from worldtokens.world_model.imagine import ImagineConfig

inside = sys.prefix
for package in (collect, configs, envs, tokenizer, world_model, training.session):
    assert package.__file__.startswith(inside), package.__file__
assert "tiny_game" in shipped_names() and str(shipped_folder("tiny_game")).startswith(inside)
assert compose(ImagineConfig, "imagine", ["env=FakeGame"]).context == 4
tok = tokenizer.Tokenizer.from_pretrained("tiny_game")
model = world_model.WorldModel.from_pretrained("tiny_game")
frames = np.random.default_rng(0).integers(0, 256, (1, 2, 16, 24, 3), dtype=np.uint8)
tokens = tok.encode(frames)
assert tok.decode(tokens).shape == frames.shape
actions = tokens.new_zeros(1, 4)
rollout = model.imagine(tokens, actions[:, :1], actions[:, 1:], top_k=1)
assert tok.decode(rollout.tokens).shape == (1, 3, 16, 24, 3)
env = world_model.ImaginedVectorEnv(model, tok, frames[0], num_envs=2, horizon=3)
assert env.reset(seed=0)[0].shape == (2, 16, 24, 3)
print(tok.fingerprint, model.fingerprint)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory, new_tiny_tokenizer) -> Path:
    """A copy of what is packaged, with tiny weights named tiny_game in it."""
    folder = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        skipped = shutil.ignore_patterns("__pycache__")
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


def run(command: list[str], folder: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_every_file(source, wheel):
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if not name.startswith("worldtokens-")}
    wanted = {
        str(path.relative_to(source))
        for name in PACKAGES
        for path in (source / name).rglob("*")
        if path.is_file() and (name == "pretrained" or path.suffix in (".py", ".yaml"))
    }
    assert "pretrained/tiny_game/starts/tokens/0123/4567.npz" in wanted
    assert packed == wanted


@pytest.mark.slow
def test_the_installed_wheel_works(source, wheel, tmp_path):
    place = tmp_path / "env"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], tmp_path)
    # The dependencies come from this environment; its .pth files, so its editable install of
    # this project, have no effect there.
    (packages,) = (place / "lib").glob("python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    printed = run([str(python), "-c", PROGRAM], tmp_path)
    shipped = source / "pretrained" / "tiny_game"
    models = Tokenizer.from_pretrained(shipped), WorldModel.from_pretrained(shipped)
    assert printed.split() == [model.fingerprint for model in models]

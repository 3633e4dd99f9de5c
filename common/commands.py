"""The stages, and the command that runs each where the user is: a clone, or an installed wheel."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

CONSOLE_COMMAND = "worldtokens"
# The folder that holds the packages: the clone, or worldtokens/ in site-packages.
_SOURCE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: As in `worldtokens NAME`.
        script: The entry script, from the top of a clone.
        config: Its primary config in configs/, without the ending.
        summary: What it does.
    """

    name: str
    script: str
    config: str
    summary: str

    @property
    def module(self) -> str:
        """Dotted name of the entry script; it has a function `cli`."""
        return "worldtokens." + self.script.removesuffix(".py").replace("/", ".")


STAGES = (
    Stage("collect", "collect/run.py", "collect", "collects episodes"),
    Stage("report", "collect/report.py", "report", "says what a dataset holds, and verifies it"),
    Stage(
        "import-episodes", "collect/import_episodes.py", "import_episodes",
        "makes a dataset of episodes from elsewhere",
    ),
    Stage(
        "export-episodes", "collect/export_episodes.py", "export_episodes",
        "writes a dataset as Minari or images",
    ),
    Stage("train-tokenizer", "tokenizer/train.py", "tokenizer", "trains a frame tokenizer"),
    Stage(
        "evaluate-tokenizer", "tokenizer/evaluate.py", "tokenizer_evaluate",
        "evaluates tokenizers on held-out episodes",
    ),
    Stage(
        "guide", "tokenizer/guide.py", "guide",
        "changes frames until a scorer sees what was asked for",
    ),
    Stage(
        "import-iris-tokenizer", "tokenizer/import_iris.py", "import_iris",
        "loads a tokenizer that IRIS's own code trained",
    ),
    Stage(
        "export-tokenizer-onnx", "tokenizer/export_onnx.py", "tokenizer_export_onnx",
        "writes a tokenizer as ONNX graphs",
    ),
    Stage("train-world-model", "world_model/train.py", "world_model", "trains a world model"),
    Stage(
        "evaluate-world-model", "world_model/evaluate.py", "world_model_evaluate",
        "measures how long dreams stay true",
    ),
    Stage("imagine", "world_model/imagine.py", "imagine", "writes dreams as video"),
    Stage(
        "export-world-model-onnx", "world_model/export_onnx.py", "world_model_export_onnx",
        "writes a world model as ONNX graphs",
    ),
    Stage("play", "web/play.py", "play", "plays a dream in a browser"),
    Stage(
        "build-page", "web/build_page.py", "build_page",
        "writes the page that plays a dream, for any host",
    ),
    Stage("train-prior", "world_model/train_prior.py", "prior", "trains a prior over frames"),
    Stage("sample", "world_model/sample.py", "sample", "draws frames from a prior"),
    Stage("ship", "world_model/ship.py", "ship", "puts trained models into pretrained/"),
)  # fmt: skip


def find_stage(name: str) -> Stage:
    """Returns the stage of a name in STAGES."""
    return next(stage for stage in STAGES if stage.name == name)


def program_words() -> list[str]:
    """Returns the words that started this process, without its arguments.

    `worldtokens NAME` for the console command, also where a script lies outside of the working
    folder; else `python` and the script, as seen from there.
    """
    program = sys.argv[0]
    if program.startswith(f"{CONSOLE_COMMAND} "):
        return program.split()
    script = os.path.relpath(program)
    if not script.startswith(os.pardir):
        return ["python", script]
    for stage in STAGES:
        if Path(program).resolve() == _SOURCE / stage.script:
            return [CONSOLE_COMMAND, stage.name]
    return ["python", os.path.basename(script)]


def typed_command() -> str:
    """Returns the command line of this process, as one would type it in the working folder."""
    return shlex.join([*program_words(), *sys.argv[1:]])


def stage_command(name: str) -> str:
    """Returns what the user types to run a stage.

    At the top of a clone this is `python collect/run.py`; elsewhere the scripts are out of sight,
    and it is the console command.
    """
    if (_SOURCE / "pyproject.toml").is_file() and Path.cwd() == _SOURCE:
        return f"python {find_stage(name).script}"
    return f"{CONSOLE_COMMAND} {name}"

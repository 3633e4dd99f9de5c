"""The console command: `worldtokens STAGE KEY=VALUE ...`."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from worldtokens.common.commands import CONSOLE_COMMAND, STAGES, Stage


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a stage, or says which there are.

    Args:
        arguments: Words after `worldtokens`; None for those of this process.

    Returns:
        The exit code: 1 for a stage that does not exist.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("--help", "-h", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"{CONSOLE_COMMAND} {metadata.version('worldtokens')}")
        return 0
    stage = {stage.name: stage for stage in STAGES}.get(words[0])
    if stage is None:
        print(f"error: {_explain(words[0])}", file=sys.stderr)
        return 1
    run(stage, words[1:])
    return 0


def overview() -> str:
    """Returns the stages, a line each."""
    width = max(len(stage.name) for stage in STAGES)
    return "\n".join(
        [
            "A world-model tokenizer component for reinforcement learning.",
            "",
            f"usage: {CONSOLE_COMMAND} STAGE KEY=VALUE ...",
            "",
            "stages:",
            *(f"  {stage.name:{width}}  {stage.summary}" for stage in STAGES),
            "",
            f"{CONSOLE_COMMAND} STAGE --help  shows the keys of a stage and their defaults",
            f"{CONSOLE_COMMAND} --version     shows the version",
        ]
    )


def run(stage: Stage, overrides: Sequence[str]) -> None:
    """Runs the entry script of a stage with these arguments."""
    # Hydra reads sys.argv; the first word is what help and model cards call the command.
    sys.argv = [f"{CONSOLE_COMMAND} {stage.name}", *overrides]
    import_module(stage.module).cli()


def _explain(word: str) -> str:
    names = [stage.name for stage in STAGES]
    close = difflib.get_close_matches(word, names, n=3) or [name for name in names if word in name]
    hint = f"did you mean {' or '.join(close)}?" if close else f"the stages are {', '.join(names)}"
    return f"stage '{word}' does not exist; {hint}"

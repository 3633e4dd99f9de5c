"""Errors in one line each: what is wrong, what came and the way out."""

import difflib
import errno
import re
import sys

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from worldtokens.training.stage_config import StageConfig

CONFIG_ERRORS = (HydraException, OmegaConfBaseException)
USER_ERRORS = (ValueError, OSError, FloatingPointError, MemoryError, *CONFIG_ERRORS)
_WAYS_OUT = {
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EDQUOT: "free some space, then run the same command again",
    errno.EFBIG: "choose a file system for larger files, or a higher `ulimit -f`",
    errno.EROFS: "choose another folder, this one is read-only",
    errno.EACCES: "choose another folder, or ask its owner for the permission",
    errno.EPERM: "choose another folder, or ask its owner for the permission",
    errno.EMFILE: "raise the limit of open files, for example with `ulimit -n 4096`",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose another folder, a part of this path is a file",
    errno.EISDIR: "choose a file, this is a folder",
}


def print_line(text: str) -> None:
    """Prints a line to stderr below the progress bars, which end with it."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()
    print(text, file=sys.stderr)


def is_lack_of_memory(error: BaseException) -> bool:
    """Tells whether memory did not suffice, in main memory or on a GPU."""
    if isinstance(error, MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text or "not enough memory" in text
    )


def is_interruption(error: BaseException | None) -> bool:
    """Tells whether an error came while Ctrl-C was handled, which left something half-done."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def explain(error: BaseException, stage: StageConfig) -> str:
    """Describes an error in one line; for a misspelt key it names the close keys of the command."""
    if isinstance(error, CONFIG_ERRORS):
        return _explain_config_error(str(error), stage)
    if is_lack_of_memory(error):
        return (
            f"memory does not suffice ({_line(error):.200}); choose a smaller batch_size, model or "
            "dataset, or in_memory=false where the command has it"
        )
    if isinstance(error, OSError) and error.strerror:
        return _explain_os_error(error)
    return _line(error)


def _explain_os_error(error: OSError) -> str:
    text = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    way_out = _WAYS_OUT.get(error.errno or 0)
    return f"{text}; {way_out}" if way_out and ";" not in text else text


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _explain_config_error(text: str, stage: StageConfig) -> str:
    if ambiguous := re.search(r"Ambiguous value for argument '(.*)'", text):
        key, _, value = ambiguous.group(1).partition("=")
        return (
            f"{key}: expected one value, got several ({value}); to keep the comma quote it twice, "
            f"\"{key}='{value}'\", to give a list write '{key}=[{value}]', and to run once for "
            "each add -m"
        )
    unknown = re.search(r"Could not override '([^']+)'", text) or re.search(
        r"Key '([^']+)' (?:is )?not in", text
    )
    if unknown is None:
        named = re.search(r"full_key: (\S+)", text)
        reason = " ".join(text.split("full_key:")[0].split())
        if named and "missing mandatory value" in reason:
            return f"config key '{named.group(1)}' needs a value: give {named.group(1)}=..."
        return f"config key '{named.group(1)}': {reason}" if named else reason
    key, known = unknown.group(1), stage.keys()
    close = difflib.get_close_matches(key, known, n=3) or [
        name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    top = ", ".join(name for name in known if "." not in name)
    hint = f"did you mean {' or '.join(close)}?" if close else f"its keys are {top}"
    return f"config key '{key}' does not exist in {stage.name}.yaml; {hint}"

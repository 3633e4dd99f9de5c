"""Ctrl-C while a command still loads its modules ends it without a traceback.

Entry scripts import this module before all others; elsewhere it does nothing.
"""

import _thread
import os
import signal
import sys
import threading
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

NOTE = "interrupted: the same command continues where this one saved"
_SOURCE = Path(__file__).resolve().parents[1]


def start_uninterrupted(process: BaseProcess) -> None:
    """Starts a process that Ctrl-C does not reach; its parent ends it.

    Ctrl-C reaches every process of a terminal, and a child that still loads its modules would
    print a traceback. One that comes meanwhile is handled by this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        process.start()
        return
    # The first child starts a process that frees signals again, whether or not they were blocked.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _say_so(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, value, trace)
        return
    print(NOTE, file=sys.stderr, flush=True)
    os._exit(130)


def _send_again(unraisable: Any) -> None:
    """Passes on a Ctrl-C that came in a callback, where Python prints it and forgets it."""
    if unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt):
        # In a moment: here it would be raised in this hook, and be forgotten again.
        timer = threading.Timer(0.01, _thread.interrupt_main)
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


def _is_ours(program: str) -> bool:
    path = Path(program)
    return path.name == "worldtokens" or path.resolve().is_relative_to(_SOURCE)


_main_file = getattr(sys.modules.get("__main__"), "__file__", None)
if _main_file is not None and _is_ours(_main_file):
    sys.excepthook = _say_so
    sys.unraisablehook = _send_again

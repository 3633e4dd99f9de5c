"""What a process that was forked must do before it computes with torch."""

import os

import torch

_is_forked = False


def settle_after_fork() -> None:
    """Makes torch compute in this process's own thread, if the process was forked.

    The threads of OpenMP do not survive a fork, and a pool that waits for them waits for ever:
    gymnasium's AsyncVectorEnv forks, for example. One thread needs no pool. Call it before the
    first computation; it costs nothing elsewhere.
    """
    global _is_forked
    if _is_forked:
        torch.set_num_threads(1)
        _is_forked = False


def _note_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)

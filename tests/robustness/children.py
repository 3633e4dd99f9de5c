"""Forked children that run a function: faster than commands, which load torch for seconds."""

import contextlib
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HANG = 120.0


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        code: Exit code; the negative number of the signal that killed it.
        output: Its stdout and stderr.
        seconds: How long it ran.
        hangs: Whether it did not end by itself.
    """

    code: int
    output: str
    seconds: float
    hangs: bool = False

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.output

    @property
    def is_one_line(self) -> bool:
        """Whether it failed as it should: the last line is one error, no traceback."""
        lines = [line for line in self.output.replace("\r", "\n").splitlines() if line.strip()]
        return bool(lines) and lines[-1].startswith("error: ") and not self.has_traceback


def run(
    function: Callable[[], object],
    *,
    send: int | None = None,
    after: float = 0.0,
    largest_file: int | None = None,
    hang: float = HANG,
) -> Outcome:
    """Runs a function in a forked child; `send` is sent to it, and its children, `after` seconds.

    Args:
        function: What to run; SystemExit gives the exit code.
        send: A signal.
        after: Seconds until it is sent.
        largest_file: Bytes that a file may have: as a full disk, for this child alone.
        hang: Seconds after which it is killed and counts as hanging.
    """
    # A pipe, not a file: `largest_file` would cut off what the child says.
    reading, writing = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(function, writing, largest_file)
    os.close(writing)
    with open(reading, "rb") as log, ThreadPoolExecutor(1) as reader:
        output = reader.submit(log.read)
        code, hangs = None, False
        while code is None:
            done, status = os.waitpid(pid, os.WNOHANG)
            passed = time.monotonic() - start
            if done:
                code = os.waitstatus_to_exitcode(status)
            elif send is not None and passed >= after:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, send)
                send = None
            elif passed > hang:
                hangs = True
                os.killpg(pid, signal.SIGKILL)
            else:
                time.sleep(0.002)
        seconds = time.monotonic() - start
        # What the child has started ends with it, or is ended here.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        return Outcome(code, output.result().decode(errors="replace"), seconds, hangs)


def _child(function: Callable[[], object], log: int, largest_file: int | None) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        function()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        # After the command: the hook of worldtokens.common.interrupts ends a real process so.
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def command(cli: Callable[[], None], script: str, *words: str) -> Callable[[], None]:
    """Returns a function that runs an entry script with these words."""

    def call() -> None:
        sys.argv = [script, *words]
        cli()

    return call


def random_bytes_changed(content: bytes, rng: random.Random) -> bytes:
    """Returns content after one mutation: bits, a truncation, zeros, a shift, a copied part."""
    data, size = bytearray(content), len(content)
    kind, at = rng.randrange(6), rng.randrange(size)
    if kind <= 1:
        for _ in range(1 if kind == 0 else rng.randint(2, 30)):
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        length = rng.randint(1, 200)
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 4:
        data[at:at] = rng.randbytes(rng.randint(1, 20))
    else:
        other, length = rng.randrange(size), rng.randint(1, 300)
        data[at : at + length] = data[other : other + length]
    return bytes(data)


def clear(folder: Path) -> None:
    """Removes all files below a folder."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)

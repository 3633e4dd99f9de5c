import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from worldtokens.common.commands import STAGES
from worldtokens.common.interrupts import NOTE, start_uninterrupted

ROOT = Path(__file__).parents[2]
FIRST = "import worldtokens.common.interrupts  # noqa: F401  # isort: skip"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_entry_scripts_import_it_first(stage):
    lines = (ROOT / stage.script).read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert imports[0] == FIRST


@pytest.mark.parametrize("wait", (0.15, 0.6))
def test_ctrl_c_while_modules_load_is_one_line(tmp_path, wait):
    with subprocess.Popen(
        [sys.executable, "collect/run.py", "env=FakeGame", f"data={tmp_path}/d"],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        # Where the tests run in the background, Ctrl-C may be ignored from the start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:  # fmt: skip
        # As soon as the hook is there, and later.
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err or wait < 0.6
    if wait >= 0.6:
        assert NOTE in err and process.returncode == 130


def test_children_are_left_to_their_parent():
    process = get_context("spawn").Process(target=time.sleep, args=(30,))
    start_uninterrupted(process)
    assert process.pid is not None
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=1)
    assert process.is_alive()
    process.kill()
    process.join()
    # The parent itself still takes signals.
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


CALLBACK = """
import signal, sys, time, weakref
sys.modules["__main__"].__file__ = "/usr/bin/worldtokens"
import worldtokens.common.interrupts

class Thing: pass

def interrupted(_):
    raise KeyboardInterrupt

thing = Thing()
reference = weakref.ref(thing, interrupted)
del thing
time.sleep(5)
print("went on")
"""


def test_ctrl_c_in_a_callback_is_not_lost():
    done = subprocess.run([sys.executable, "-c", CALLBACK], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "") and done.stderr == f"{NOTE}\n"

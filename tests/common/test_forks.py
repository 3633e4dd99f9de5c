import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
import torch
from worldtokens.common.forks import settle_after_fork
torch.set_num_threads(3)
settle_after_fork()
assert torch.get_num_threads() == 3
pid = os.fork()
if pid == 0:
    settle_after_fork()
    # Only once: a child may want more threads later.
    first = torch.get_num_threads()
    torch.set_num_threads(2)
    settle_after_fork()
    os._exit(10 * first + torch.get_num_threads())
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_computes_in_one_thread():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.split() == ["12", "3"], done.stderr

import re
import subprocess
import sys
from pathlib import Path

import pytest

ATTACK = Path(__file__).with_name("attack.py")


@pytest.mark.slow
def test_an_attack_finds_nothing(tmp_path):
    # The seed is drawn: each run of CI is another attack, and names it.
    done = subprocess.run(
        [sys.executable, str(ATTACK)], capture_output=True, text=True, timeout=1800
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout
    assert re.match(r"seed \d+\n", done.stdout)
    rows = [line.split("|")[1:9] for line in done.stdout.splitlines() if line.startswith("| ")]
    counts = {row[0].strip(): [int(cell) for cell in row[1:7]] for row in rows[1:]}
    assert set(counts) == {"signals", "fills", "mutations", "command lines", "calls"}
    assert all(row[0] > 0 and row[1:] == [0, 0, 0, 0, 0] for row in counts.values()), counts

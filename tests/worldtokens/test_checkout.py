import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What an editable installation adds is taken out: as after `pip install .`, the folder worldtokens/
# of the clone hides the installed package from a program that runs in the clone.
PROGRAM = """
import sys
sys.meta_path = [f for f in sys.meta_path if "editable" not in getattr(f, "__module__", str(f))]
import worldtokens
print(worldtokens.EnvConfig.__module__, worldtokens.EpisodeDataset.__module__)
from worldtokens.common.checks import check_at_least
print(sys.modules["worldtokens.common"].__file__)
"""


def test_a_program_in_the_clone_finds_the_packages_beside_the_folder():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    modules, path = done.stdout.splitlines()
    assert modules == "worldtokens.envs.config worldtokens.collect.dataset.episodes"
    assert Path(path) == ROOT / "common" / "__init__.py"

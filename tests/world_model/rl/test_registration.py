"""The names under which gymnasium knows dreams."""

import subprocess
import sys

import gymnasium

from worldtokens.world_model.rl.registration import DREAM, TOKENS, register_dreams


def test_a_module_in_front_of_the_name_registers_it():
    code = (
        "import gymnasium; env = gymnasium.make('worldtokens.world_model:worldtokens/Dream', "
        "model='montezuma_revenge', observation='tokens', horizon=2); env.reset(seed=0); "
        "print(*(env.step(1)[3] for _ in range(2)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "True"]


def test_registering_twice_changes_nothing():
    specs = gymnasium.registry[DREAM], gymnasium.registry[TOKENS]
    register_dreams()
    assert (gymnasium.registry[DREAM], gymnasium.registry[TOKENS]) == specs

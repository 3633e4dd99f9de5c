from dataclasses import replace

import pytest

from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.collect.go_explore.demonstrations import demonstrations
from worldtokens.envs import EnvState, make_env

KEY_BYTE, ROOM_BYTE = 6, 0


@pytest.mark.parametrize("sticky", (0.0, 0.25))
def test_whole_ways_are_put_together_and_play_again(explore, tmp_path, sticky):
    explore(
        tmp_path, "policy.explore_steps=12000", "policy.num_explorations=1", "num_steps=100",
        f"env_config.repeat_action_probability={sticky}",
    )  # fmt: skip
    (file,) = (tmp_path / "archives").glob("*.npz")
    archive = Archive.load(file, make_cells("FakeGame", "auto"))
    ways = demonstrations(archive, 100.0, 1)
    lengths = [len(way.actions) for way in ways]
    # From room 0 to the key in room 1 it is 50 steps at least: more than any approach has.
    assert len(ways) >= 4 and lengths == sorted(lengths) and lengths[0] >= 50
    env = make_env("FakeGame", repeat_action_probability=sticky)
    for way in ways[:4]:
        assert EnvState.from_bytes(way.checkpoints[0][1]).steps == 0
        whole = replace(way, checkpoints=way.checkpoints[:1])
        _, info = whole.replay(env, len(way.actions) - 1)
        assert info["ram"][[ROOM_BYTE, KEY_BYTE]].tolist() == [1, 0]
        _, info = whole.replay(env, len(way.actions))
        assert info["ram"][[ROOM_BYTE, KEY_BYTE]].tolist() == [1, 1]
        # The saved states on the way are those that it passes.
        for step, state in way.checkpoints[1:]:
            _, info = whole.replay(env, step)
            _, saved = env.restore_state(EnvState.from_bytes(state))
            assert info["ram"].tobytes() == saved["ram"].tobytes()
    assert demonstrations(archive, 100.0, 0) == [] == demonstrations(archive, 7.0, 1)
    # Without the cells some of the ways cannot be followed back.
    alone = Archive(archive.cells)
    for approach in archive.approaches:
        alone.approaches.add(approach)
    fewer = demonstrations(alone, 100.0, 1)
    assert len(fewer) < len(ways) and set(fewer) <= set(ways)

import numpy as np

from worldtokens.envs import make_env, ram_labels

LABELS = ram_labels("FakeGame")


def walk(env, meaning, steps):
    """The last step's outcome and the sum of rewards."""
    action = env.action_meanings.index(meaning)
    total = 0.0
    for _ in range(steps):
        _, reward, terminated, _, info = env.step(action)
        total += reward
        if terminated:
            break
    return total, terminated, info


def test_moves_by_the_actions():
    env = make_env("FakeGame")
    _, info = env.reset(seed=0)
    x, y = (int(info["ram"][LABELS[name]]) for name in ("player_x", "player_y"))
    _, _, info = walk(env, "RIGHT", 2)
    assert (info["ram"][LABELS["player_x"]], info["ram"][LABELS["player_y"]]) == (x + 16, y)
    _, _, info = walk(env, "UP", 1)
    assert info["ram"][LABELS["player_y"]] == y - 8
    _, _, info = walk(env, "FIRE", 3)
    assert info["ram"][LABELS["player_y"]] == y - 8


def test_key_door_treasure_and_end():
    # A guard may be in the way: some of these games end early, and one at least does not.
    outcomes = []
    for seed in range(20):
        env = make_env("FakeGame")
        env.reset(seed=seed)
        key, over, info = walk(env, "RIGHT", 25)
        if over or info["ram"][LABELS["room"]] != 1:
            continue
        total = key
        for meaning, steps in (("RIGHT", 6), ("DOWN", 5), ("UP", 6), ("RIGHT", 9)):
            reward, over, info = walk(env, meaning, steps)
            total += reward
        if info["ram"][LABELS["inventory"]] and info["ram"][LABELS["room"]] == 2:
            reward, over, info = walk(env, "RIGHT", 9)
            reward, over, info = walk(env, "DOWN", 6)
            outcomes.append((total, reward, over))
    assert (100.0, 1000.0, True) in outcomes


def test_player_and_rooms_are_visible():
    env = make_env("FakeGame")
    first, _ = env.reset(seed=0)
    walk(env, "RIGHT", 3)
    moved, *_ = env.step(0)
    assert 10 < int((first != moved).any(axis=2).sum()) < 200
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 5

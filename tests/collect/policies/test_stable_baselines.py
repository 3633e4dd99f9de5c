import numpy as np
import pytest

from worldtokens.collect.policies.policy import make_policy

MEANINGS = ("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHTFIRE")
FRAME = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.slow
def test_agents_of_stable_baselines_play(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    import gymnasium

    class Blank(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (64, 64, 3 * 2), np.uint8)
        action_space = gymnasium.spaces.Discrete(len(MEANINGS))

    sb3.PPO("CnnPolicy", Blank(), n_steps=8, batch_size=8, device="cpu").save(tmp_path / "a.zip")
    node = {
        "_target_": "worldtokens.collect.policies.stable_baselines.StableBaselinesPolicy",
        "algorithm": "PPO",
        "checkpoint": str(tmp_path / "a.zip"),
        "deterministic": False,
    }
    policy = make_policy(node, MEANINGS)
    frame = np.zeros((64, 64, 3), np.uint8)
    runs = []
    for seed in (0, 0, 1):
        policy.begin(np.random.default_rng(seed))
        runs.append([policy.act(frame) for _ in range(30)])
    assert runs[0] == runs[1] != runs[2]
    with pytest.raises(
        ValueError, match=r"shape \(8, 8, 3\), got one for 6 channels of \(64, 64\)"
    ):
        policy.act(FRAME)
    with pytest.raises(ValueError, match=r"images and actions Discrete\(2\), got "):
        make_policy(node, MEANINGS[:2])
    with pytest.raises(ValueError, match="policy.checkpoint: expected a file, got nowhere.zip"):
        make_policy({**node, "checkpoint": "nowhere.zip"}, MEANINGS)
    with pytest.raises(ValueError, match="class of stable-baselines3, got 'PPPO'"):
        make_policy({**node, "algorithm": "PPPO"}, MEANINGS)

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
    with pytest.raises(ValueError, match=r"a.zip is no DQN agent \(.*policy.algorithm=NAME"):
        make_policy({**node, "algorithm": "DQN"}, MEANINGS)
    with pytest.raises(ValueError, match="policy.algorithm: expected a class of stable-baselines3"):
        make_policy({**node, "algorithm": "common"}, MEANINGS)


@pytest.mark.slow
def test_agents_of_other_frames_are_described_rightly(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    import gymnasium

    class Grey(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8)
        action_space = gymnasium.spaces.Discrete(len(MEANINGS))

    class Keys(Grey):
        observation_space = gymnasium.spaces.Dict({"image": Grey.observation_space})

    for name, env, kind in (("g", Grey(), "CnnPolicy"), ("d", Keys(), "MultiInputPolicy")):
        agent = sb3.PPO(kind, env, n_steps=8, batch_size=8, device="cpu")
        agent.save(tmp_path / f"{name}.zip")
    node = {
        "_target_": "worldtokens.collect.policies.stable_baselines.StableBaselinesPolicy",
        "algorithm": "PPO", "checkpoint": str(tmp_path / "g.zip"), "deterministic": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"got one for 4 channels of \(84, 84\)"):
        make_policy(node, MEANINGS).act(FRAME)
    with pytest.raises(ValueError, match=r"expected observations that are images .* got Dict\("):
        make_policy({**node, "checkpoint": str(tmp_path / "d.zip")}, MEANINGS)

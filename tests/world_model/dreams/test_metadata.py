import json

from worldtokens.world_model import Sampling
from worldtokens.world_model.dreams.metadata import dream_metadata
from worldtokens.world_model.evaluation.open_loop import roll_out


def test_the_start_the_settings_and_the_dreams_are_described(loaded):
    episode, heldout, model = loaded.episodes[0], loaded.heldout, loaded.model
    open_loop = roll_out(model, [(episode, 8)], 2, 3, samples=2, sampling=Sampling(top_k=1))
    metadata = dream_metadata(open_loop, heldout, model, episode, 8, {"seed": 7}, True)
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["game"] == "FakeGame" and metadata["world_model"] == model.fingerprint
    assert metadata["dataset"] == heldout.fingerprint
    assert (metadata["episode"], metadata["first_frame"]) == (episode.name, 8)
    assert (metadata["context"], metadata["horizon"], metadata["seed"]) == (2, 3, 7)
    assert metadata["context_actions"] == episode.actions[8:9].tolist()
    first, second = metadata["dreams"]
    assert first == second and first["actions"] == episode.actions[9:12].tolist()
    assert first["action_names"] == [heldout.action_meanings[a] for a in first["actions"]]
    assert first["rewards"] == open_loop.rollout.rewards[0].tolist()
    assert first["lives_lost"] == open_loop.rollout.lives_lost[0].tolist()
    assert metadata["real_rewards"] == [0.0, 0.0, 100.0]
    assert metadata["real_lives_lost"] == [False] * 3
    assert metadata["real_ends"] == episode.terminated[9:12].tolist()
    others = dream_metadata(open_loop, heldout, model, episode, 8, {}, False)
    assert "real_rewards" not in others and "seed" not in others

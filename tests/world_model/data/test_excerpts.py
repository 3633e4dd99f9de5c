import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset
from worldtokens.world_model.data.excerpts import choose_excerpts, cut, save_excerpts


@pytest.fixture
def heldout(dataset) -> EpisodeDataset:
    return EpisodeDataset(dataset, "heldout")


def test_excerpts_that_are_included_come_first(heldout):
    wanted = heldout.infos[-1].id
    excerpts = choose_excerpts(heldout, 2, 9, [f"{wanted}:2"], seed=0)
    assert excerpts[0].info.id == f"{wanted}-from-000002" and len(excerpts) == 2
    for frame_id in (f"{wanted}:9", "nobody:0"):
        with pytest.raises(ValueError, match=f"include: expected EPISODE:FRAME .* '{frame_id}'"):
            choose_excerpts(heldout, 2, 9, [frame_id], seed=0)


def test_excerpts_are_drawn_from_every_scene_in_turn(dataset, monkeypatch):
    everything = EpisodeDataset(dataset)
    # Fifteen episodes lie in scene 1, four in scene 2 and the last in scene 5.
    scenes = np.repeat([1] * 15 + [2] * 4 + [5], 13)
    monkeypatch.setattr(EpisodeDataset, "scene", property(lambda self: scenes))
    ids = [info.id for info in everything.infos]

    def scenes_of(seed):
        excerpts = choose_excerpts(everything, 6, 4, [], seed)
        names = [excerpt.id.rpartition("-from-")[0] for excerpt in excerpts]
        assert len(set(names)) == 6
        return [int(scenes[13 * ids.index(name)]) for name in names], names

    first, names = scenes_of(0)
    assert first == [1, 2, 5, 1, 2, 1]
    assert scenes_of(0)[1] == names != scenes_of(1)[1]


def test_no_episode_is_long_enough(heldout):
    with pytest.raises(ValueError, match="start_steps: expected at most 12, .* got 99"):
        choose_excerpts(heldout, 2, 99, [], seed=0)


def test_an_excerpt_with_the_end_of_a_game_is_not_truncated(dataset):
    episode = EpisodeDataset(dataset).episodes[0]  # It ends with a reward of 100.
    assert episode.terminated[-1]
    last, first = cut(episode, 9, 3), cut(episode, 0, 3)
    assert last.terminated.tolist() == [False, False, True] and not last.truncated.any()
    assert (last.info.total_reward, first.info.total_reward) == (100.0, 0.0)
    assert first.truncated.tolist() == [False, False, True] and not first.terminated.any()
    assert np.array_equal(last.frames, episode.frames[9:13])


def test_saved_excerpts_are_all_held_out(heldout, dataset, tmp_path):
    excerpts = choose_excerpts(heldout, 2, 9, [], seed=0)
    training = EpisodeDataset(dataset, "train").episodes[0]
    save_excerpts(tmp_path / "starts", heldout.description, excerpts, training)
    saved = EpisodeDataset(tmp_path / "starts", "heldout")
    assert sorted(e.id for e in saved.episodes) == sorted(e.id for e in excerpts)
    by_id = {excerpt.id: excerpt for excerpt in excerpts}
    for episode in saved.episodes:
        assert np.array_equal(episode.frames, by_id[episode.id].frames)
        assert np.array_equal(episode.actions, by_id[episode.id].actions)
    assert EpisodeDataset(tmp_path / "starts", "train").infos[0].num_steps == 1

import pickle

import numpy as np
import pytest

from worldtokens.collect import EpisodeDataset, is_heldout_seed
from worldtokens.collect.from_reset import episode_seed

LENGTHS = [5, 3, 1, 7, 2, 9, 4, 6, 8, 20, 3, 2]


@pytest.fixture(params=("disk", "memory"))
def dataset(request, dataset_folder):
    on_disk = EpisodeDataset(dataset_folder)
    return on_disk if request.param == "disk" else on_disk.in_memory()


def test_counts_and_description(dataset):
    assert len(dataset) == len(dataset.episodes) == 12
    assert dataset.num_steps == sum(LENGTHS) == 70
    assert dataset.num_frames == 82
    assert dataset.frame_shape == (8, 8, 3)
    assert dataset.num_actions == 6 and dataset.action_meanings[2] == "UP"
    assert dataset.game == "FakeGame" and dataset.env_config.frame_skip == 4


def test_episodes_come_in_order_of_id_and_unchanged(dataset):
    for number, (episode, length) in enumerate(zip(dataset.episodes, LENGTHS, strict=True)):
        assert episode.id == f"job-{number:08d}" and episode.seed == number
        assert episode.start == "reset" and episode.num_steps == length
        assert episode.frames[:, 0, 0, 0].tolist() == [number] * (length + 1)
        assert episode.frames[:, 0, 0, 1].tolist() == list(range(length + 1))
        assert episode.actions.tolist() == [step % 6 for step in range(length)]
        assert episode.actions.dtype == np.int64
        assert episode.rewards.tolist() == [float(step) for step in range(length)]
        assert episode.terminated.tolist() == [False] * (length - 1) + [number % 2 == 0]
        assert episode.truncated.tolist() == [False] * (length - 1) + [number % 2 == 1]
        assert episode.ram.shape == (length + 1, 128) and episode.lives.tolist() == [3] * (
            length + 1
        )
    assert [episode.id for episode in dataset.episodes[-2:]] == ["job-00000010", "job-00000011"]
    with pytest.raises(IndexError):
        dataset.episodes[12]


def test_global_ranges_cross_episodes(dataset):
    # Episode 0 has frames 0 to 5, episode 1 frames 6 to 9, episode 2 frames 10 and 11.
    frames = dataset.read_frames(4, 11)
    assert frames[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 1, 1, 2]
    assert frames[:, 0, 0, 1].tolist() == [4, 5, 0, 1, 2, 3, 0]
    assert dataset.read("ram", 4, 11)[:, 1].tolist() == [4, 5, 0, 1, 2, 3, 0]
    assert dataset.read("actions", 4, 11).tolist() == [4, 0, 0, 1, 2, 0, 0]
    assert dataset.read("action_mask", 4, 11).tolist() == [True, False, True, True, True, False] + [
        True
    ]
    assert dataset.read_frames(7, 7).shape == (0, 8, 8, 3)
    assert dataset.frame_starts[:4].tolist() == [0, 6, 10, 12]
    assert dataset.scene[:12].tolist() == [0] * 6 + [1] * 4 + [2] * 2
    with pytest.raises(ValueError, match=r"\[80, 83\) are not within \[0, 82\)"):
        dataset.read_frames(80, 83)
    with pytest.raises(ValueError, match="name must be one of frames, ram.*'pixels'"):
        dataset.read("pixels", 0, 1)


def test_segments_stay_in_their_episode_and_are_padded(dataset):
    # Frames 2 to 5 of episode 0, then nothing; frames 0 to 4 of episode 3 (global 12).
    batch = dataset.segments_at(np.array([2, 12]), 5)
    assert batch.frames.shape == (2, 5, 8, 8, 3) and batch.frames.dtype == np.uint8
    assert batch.frames[0, :, 0, 0, 1].tolist() == [2, 3, 4, 5, 0]
    assert batch.mask[0].tolist() == [True, True, True, True, False]
    assert batch.action_mask[0].tolist() == [True, True, True, False, False]
    assert batch.actions[0].tolist() == [2, 3, 4, 0, 0] and batch.actions.dtype == np.int64
    assert batch.rewards[0].tolist() == [2.0, 3.0, 4.0, 0.0, 0.0]
    assert batch.rewards.dtype == np.float32
    assert batch.terminated[0].tolist() == [False, False, True, False, False]
    assert not batch.truncated[0].any()
    assert batch.frames[1, :, 0, 0, 0].tolist() == [3] * 5
    assert batch.mask[1].all() and batch.action_mask[1].all()
    assert batch.actions[1].tolist() == [0, 1, 2, 3, 4]


def test_starts_are_uniform_over_frames_with_a_step(dataset):
    starts = dataset.sample_starts(70_000, np.random.default_rng(0))
    allowed = np.flatnonzero(dataset.steps.action_mask)
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == allowed.tolist()
    # 1000 expected each; five standard deviations.
    assert np.abs(counts - 1000).max() < 160


def test_sampling_depends_on_the_generator_alone(dataset):
    first = dataset.sample_segments(4, 6, np.random.default_rng(1))
    second = dataset.sample_segments(4, 6, np.random.default_rng(1))
    np.testing.assert_array_equal(first.frames, second.frames)
    with pytest.raises(ValueError, match="at least 1, got 4 and 0"):
        dataset.sample_segments(4, 0, np.random.default_rng(1))


def test_frames_can_be_drawn_and_limited(dataset):
    assert dataset.all_frames().shape == (82, 8, 8, 3)
    np.testing.assert_array_equal(dataset.all_frames(), dataset.read_frames(0, 82))
    assert dataset.choose_frames(4).tolist() == [0, 20, 41, 61]
    drawn = dataset.choose_frames(30, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 30 and sorted(drawn.tolist()) == drawn.tolist()
    np.testing.assert_array_equal(
        dataset.all_frames(30, np.random.default_rng(0)), dataset.read_frames(0, 82)[drawn]
    )
    assert dataset.sample_frames(5, np.random.default_rng(0)).shape == (5, 8, 8, 3)


def test_splits_are_disjoint_and_follow_the_seed(dataset_folder):
    heldout = EpisodeDataset(dataset_folder, "heldout")
    train = EpisodeDataset(dataset_folder, "train")
    assert [info.seed for info in heldout.infos] == [9]
    assert [info.seed for info in train.infos] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
    assert heldout.num_frames == 21 and heldout.read_frames(20, 21)[0, 0, 0].tolist() == [9, 20, 0]
    assert heldout.in_memory().split == "heldout"
    with pytest.raises(ValueError, match="split must be None, 'train' or 'heldout', got 'test'"):
        EpisodeDataset(dataset_folder, "test")  # pyright: ignore[reportArgumentType]


def test_small_datasets_hold_out_the_smallest_seed(tmp_path, write_dataset):
    write_dataset(tmp_path / "d", [2, 2, 2])
    assert [info.seed for info in EpisodeDataset(tmp_path / "d", "heldout").infos] == [0]
    assert [info.seed for info in EpisodeDataset(tmp_path / "d", "train").infos] == [1, 2]
    write_dataset(tmp_path / "one", [2])
    with pytest.raises(ValueError, match=r"the heldout split of .* has no episodes \(1 in all\)"):
        EpisodeDataset(tmp_path / "one", "heldout")


def test_every_ten_episodes_of_a_job_hold_one_out():
    for seed in range(5):
        seeds = [episode_seed(seed, number) for number in range(40)]
        assert len(set(seeds)) == 40
        assert [is_heldout_seed(s) for s in seeds] == [k % 10 == 9 for k in range(40)]
    assert episode_seed(0, 3) != episode_seed(1, 3)


def test_fingerprint_changes_with_the_shards(dataset_folder):
    before = EpisodeDataset(dataset_folder)
    assert before.fingerprint == EpisodeDataset(dataset_folder, "train").fingerprint
    sorted((dataset_folder / "shards").glob("*.h5"))[0].unlink()
    assert EpisodeDataset(dataset_folder).fingerprint != before.fingerprint


def test_datasets_can_be_pickled(dataset):
    dataset.read_frames(0, 3)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy.read_frames(0, 82), dataset.read_frames(0, 82))

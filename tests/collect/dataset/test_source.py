"""What a dataset on disk and one in memory offer alike."""

import numpy as np
import pytest

LENGTHS = [5, 3, 1, 7, 2, 9, 4, 6, 8, 20, 3, 2]


def test_counts_and_description(dataset):
    assert len(dataset) == len(dataset.episodes) == 12
    assert dataset.num_steps == sum(LENGTHS) == 70
    assert dataset.num_frames == 82
    assert dataset.frame_shape == (8, 8, 3)
    assert dataset.num_actions == 6 and dataset.action_meanings[2] == "UP"
    assert dataset.game == "FakeGame" and dataset.env_config.frame_skip == 4


def test_a_dataset_says_what_it_holds(dataset):
    name, _, rest = repr(dataset).partition("(")
    assert name in ("EpisodeDataset", "InMemoryDataset")
    assert rest == f"FakeGame, 12 episodes, 70 steps, {dataset.path})"


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
    with pytest.raises(
        ValueError, match=r"start, stop: expected .* \[0, 82\) of .*, got \[80, 83\)"
    ):
        dataset.read_frames(80, 83)
    with pytest.raises(ValueError, match="name: expected one of frames, ram.*, got 'pixels'"):
        dataset.read("pixels", 0, 1)


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
    with pytest.raises(ValueError, match="length: expected a whole number of at least 1, got 0"):
        dataset.sample_segments(4, 0, np.random.default_rng(1))


def test_frames_can_be_chosen_and_gathered(dataset):
    assert dataset.choose_frames().tolist() == dataset.choose_frames(82).tolist() == [*range(82)]
    assert dataset.choose_frames(4).tolist() == [0, 20, 41, 61]
    drawn = dataset.choose_frames(30, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 30 and sorted(drawn.tolist()) == drawn.tolist()
    np.testing.assert_array_equal(dataset.gather_frames(drawn), dataset.read_frames(0, 82)[drawn])

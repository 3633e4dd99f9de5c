def test_an_episode_says_what_it_is_in_one_line(dataset):
    # Rewards of an episode of 5 steps are 0 to 4.
    assert repr(dataset.episodes[0]) == "Episode(job-00000000, 5 steps, 8x8 frames, reward 10)"


def test_an_episode_has_what_is_known_of_it_at_hand(dataset):
    episode = dataset.episodes[3]
    assert (episode.id, episode.seed, episode.start) == ("job-00000003", 3, "reset")
    assert episode.num_steps == len(episode.actions) == len(episode.frames) - 1 == 7

from worldtokens.collect import EpisodeInfo, is_heldout_seed
from worldtokens.collect.from_reset import FromResetScheduler, JobShare, episode_seed
from worldtokens.collect.tasks import Recorded


def info(id, num_steps=10):
    return EpisodeInfo(id=id, seed=0, start="reset", num_steps=num_steps, total_reward=0.0)


def test_every_ten_episodes_of_a_job_hold_one_out():
    for seed in range(5):
        seeds = [episode_seed(seed, number) for number in range(40)]
        assert len(set(seeds)) == 40
        assert [is_heldout_seed(s) for s in seeds] == [k % 10 == 9 for k in range(40)]
    assert episode_seed(0, 3) != episode_seed(1, 3)


def test_a_share_counts_its_own_episodes_alone():
    infos = tuple(info(f"job-{number:08d}", number + 1) for number in range(5))
    infos += (info("other-00000001"), info("job-x-00000001"))
    assert JobShare("job", seed=0).numbers_of(infos) == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}
    assert JobShare("job", seed=0, shard=1, num_shards=2).numbers_of(infos) == {1: 2, 3: 4}
    assert JobShare("job", seed=0).episode_id(12) == "job-00000012"


def test_missing_episodes_are_recorded_in_order_until_there_are_enough_steps():
    share = JobShare("job", seed=7, shard=1, num_shards=2)
    scheduler = FromResetScheduler(share, 40, (info("job-00000003", 15),))
    assert scheduler.recorded_steps == 15
    for number in (1, 5):
        task = scheduler.next_task(0)
        assert task.id == f"job-{number:08d}" and task.seed == episode_seed(7, number)
        scheduler.receive(Recorded(info(task.id, 12)))
    assert scheduler.recorded_steps == 39
    assert scheduler.next_task(0).id == "job-00000007"
    scheduler.receive(Recorded(info("job-00000007", 12)))
    assert scheduler.next_task(0) is None


def test_a_policy_that_stops_ends_the_recording():
    scheduler = FromResetScheduler(JobShare("job", seed=0), 100, ())
    scheduler.receive(Recorded(None, stopped=True))
    assert scheduler.recorded_steps == 0 and scheduler.next_task(0) is None

import numpy as np
import pytest

from worldtokens.collect.go_explore.archive import Archive, Route
from worldtokens.collect.go_explore.cells import RamCells
from worldtokens.collect.go_explore.config import GoExploreConfig
from worldtokens.collect.go_explore.explorer import Explore, Explored
from worldtokens.collect.go_explore.schedulers import ExplorationsScheduler, ExploreScheduler


@pytest.fixture
def make_explorations(tmp_path):
    def make(count, event_share=0.5, num_steps=100, explore_scenes=None):
        config = GoExploreConfig(
            name="go_explore",
            explore_steps=count * num_steps,
            explore_scenes=explore_scenes,
            trajectory_steps=10,
            mean_hold=5,
            end_on_life_loss=True,
            improve_routes=False,
            frontier_share=0.5,
            cells="auto",
            segment_steps=10,
            from_reset_share=0.0,
            num_explorations=count,
            event_share=event_share,
            event_segment_steps=10,
        )
        explorations = []
        for number in range(count):
            archive = Archive(RamCells((0,), (1,)))
            path = tmp_path / f"{number}.npz"
            explorations.append(ExploreScheduler(archive, config, number, path, num_steps, number))
        return explorations

    return make


def explored(exploration, steps=50):
    route = Route(f"0{exploration}", 0, 0.0, 3, 1, b"state")
    return Explored(exploration, [route], steps)


def test_workers_share_out_the_explorations_and_stay_with_theirs(make_explorations):
    shown = []
    explorations = make_explorations(3)
    scheduler = ExplorationsScheduler(explorations, lambda: shown.append(1))
    assert [scheduler.next_task(worker).exploration for worker in (0, 1)] == [0, 1]
    scheduler.receive(explored(0))
    assert scheduler.next_task(0).exploration == 0
    scheduler.receive(explored(0))
    assert explorations[0].archive.explored_steps == 100 and len(explorations[0].archive) == 1
    # The first is complete; worker 1 is at the second.
    assert scheduler.next_task(0).exploration == 2
    scheduler.receive(explored(1, steps=100))
    assert scheduler.next_task(1).exploration == 2
    scheduler.receive(explored(2, steps=100))
    assert scheduler.next_task(0) is None and len(shown) == 4
    assert [[r.key for r in e.archive.routes] for e in explorations] == [["00"], ["01"], ["02"]]


def test_exploration_ends_when_so_many_scenes_are_known(make_explorations):
    (exploration,) = make_explorations(1, num_steps=1000, explore_scenes=2)
    for number, complete in ((0, False), (0, False), (1, True)):
        assert isinstance(exploration.next_task(0), Explore)
        route = Route(f"0{number}", number, 0.0, 3, 1, b"state")
        exploration.receive(Explored(0, [route], 50))
        assert exploration.is_complete == complete
    assert exploration.next_task(0) is None and exploration.archive.explored_steps == 150


@pytest.mark.parametrize("event_share, expected", ((0.5, 2), (0.0, 0)))
def test_now_and_then_a_game_is_played_to_its_end(make_explorations, event_share, expected):
    (exploration,) = make_explorations(1, event_share, num_steps=10_000)
    tasks = []
    for _ in range(32):
        task = exploration.next_task(0)
        assert isinstance(task, Explore) and task.keeps_events == (event_share > 0)
        tasks.append(task.game_steps > 0)
        exploration.receive(explored(0, steps=1))
    assert sum(tasks) == expected


def test_what_was_explored_is_saved(make_explorations, tmp_path):
    explorations = make_explorations(2)
    scheduler = ExplorationsScheduler(explorations, lambda: None)
    scheduler.next_task(0)
    scheduler.receive(explored(0))
    scheduler.save()
    assert [path.name for path in tmp_path.glob("*.npz")] == ["0.npz"]
    loaded = Archive.load(tmp_path / "0.npz", RamCells((0,), (1,)))
    assert loaded.explored_steps == 50
    assert np.array_equal([r.key for r in loaded.routes], ["00"])

"""An exploration that was interrupted, or killed, ends as one that was not."""

import pytest

from worldtokens.collect import EpisodeDataset, workers
from worldtokens.collect.go_explore import schedulers
from worldtokens.collect.go_explore.archive import Archive
from worldtokens.collect.go_explore.cells import make_cells
from worldtokens.collect.run import CollectConfig
from worldtokens.collect.run import main as collect_main
from worldtokens.training.command_line import compose

STEPS = (
    "policy.explore_steps=8000", "policy.num_explorations=2", "num_steps=300",
    "policy.trajectory_steps=30", "policy.segment_steps=30",
)  # fmt: skip


def explore(folder, *more):
    words = ["env=FakeGame", f"data={folder}", "num_workers=1", "policy=go_explore"]
    collect_main(
        compose(CollectConfig, "collect", [*words, "env_config.max_episode_steps=300", *more])
    )


def assert_equal_archives(one, other):
    paths = [sorted((folder / "archives").glob("*.npz")) for folder in (one, other)]
    assert [path.name for path in paths[0]] == [path.name for path in paths[1]]
    for first, second in zip(*paths, strict=True):
        left, right = (
            Archive.load(path, make_cells("FakeGame", "auto")) for path in (first, second)
        )
        assert left.routes == right.routes and left.explored_steps == right.explored_steps
        assert list(left.approaches) == list(right.approaches)
        assert left.progress == right.progress


@pytest.mark.parametrize("cells", ("ram", "pixels"))
def test_an_interrupted_exploration_goes_on_exactly(
    tmp_path, monkeypatch, cells, assert_same_episodes
):
    explore(tmp_path / "whole", *STEPS, f"policy.cells={cells}")
    receive = workers._receive
    for interruptions in (3, 7, 5):
        calls = iter(range(1000))

        def interrupted(connection, process, calls=calls, last=interruptions):
            # A task is on its way when the interruption comes.
            if next(calls) == last:
                raise KeyboardInterrupt
            return receive(connection, process)

        with monkeypatch.context() as patch:
            patch.setattr(workers, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                explore(tmp_path / "parts", *STEPS, f"policy.cells={cells}")
    explore(tmp_path / "parts", *STEPS, f"policy.cells={cells}")
    assert_equal_archives(tmp_path / "whole", tmp_path / "parts")
    assert_same_episodes(EpisodeDataset(tmp_path / "whole"), EpisodeDataset(tmp_path / "parts"))


def test_a_killed_exploration_goes_on_from_its_last_save(
    tmp_path, monkeypatch, assert_same_episodes
):
    monkeypatch.setattr(schedulers, "_SAVE_EVERY", 5000)
    explore(tmp_path / "whole", *STEPS)

    receive, calls = workers._receive, iter(range(1000))

    def killed(connection, process):
        if next(calls) == 9:
            raise SystemExit
        return receive(connection, process)

    with monkeypatch.context() as patch:
        patch.setattr(workers, "_receive", killed)
        # A killed process saves nothing at its end.
        patch.setattr(schedulers.ExplorationsScheduler, "save", lambda self: None)
        with pytest.raises(SystemExit):
            explore(tmp_path / "parts", *STEPS)
    explore(tmp_path / "parts", *STEPS)
    assert_equal_archives(tmp_path / "whole", tmp_path / "parts")
    assert_same_episodes(EpisodeDataset(tmp_path / "whole"), EpisodeDataset(tmp_path / "parts"))

"""The settings of Go-Explore."""

from dataclasses import dataclass

from worldtokens.common.checks import check_at_least, check_number, check_probability

GO_EXPLORE = "go_explore"


@dataclass
class GoExploreConfig:
    """The keys of configs/policy/go_explore.yaml.

    Attributes:
        name: "go_explore".
        explore_steps: Steps of exploration, all workers together, before recording begins.
        explore_scenes: Exploration also ends when so many scenes (rooms) are known; None for no
            such end. Few scenes are learned sooner.
        trajectory_steps: Steps played after each return.
        mean_hold: Steps for which an action is held, on average.
        end_on_life_loss: A trajectory ends when a life is lost. Steps after a death only cost
            lives: without them the same number of steps finds about twice as many rooms.
        improve_routes: A better route (higher score, more lives, fewer steps) replaces the one
            that a cell has. Otherwise the first one stays, which keeps routes different: with
            the best ones alone the routes to all cells soon begin with one lucky game.
        frontier_share: Share of the returns that go to cells at the frontier, see
            `Archive.choose`.
        cells: "auto", "ram" or "pixels", see `make_cells`.
        segment_steps: Steps of each episode recorded from a restored cell.
        from_reset_share: Share of episodes that are whole games from a reset; they are longer.
        num_explorations: Archives with different seeds that divide the steps of exploration; the
            segments come from all of them evenly.
        event_share: Share of the segments that begin shortly before an event (a reward, a lost
            life, the end of the game, a change of scene); 0 keeps no events.
        event_segment_steps: Steps of each of these.
    """

    name: str
    explore_steps: int
    explore_scenes: int | None
    trajectory_steps: int
    mean_hold: float
    end_on_life_loss: bool
    improve_routes: bool
    frontier_share: float
    cells: str
    segment_steps: int
    from_reset_share: float
    num_explorations: int
    event_share: float
    event_segment_steps: int

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ValueError: A value is out of range.
        """
        check_at_least(0, **{"policy.explore_steps": self.explore_steps})
        if self.explore_scenes is not None:
            check_at_least(1, **{"policy.explore_scenes": self.explore_scenes})
        for name in (
            *("trajectory_steps", "segment_steps"),
            *("num_explorations", "event_segment_steps"),
        ):
            check_at_least(1, **{f"policy.{name}": getattr(self, name)})
        check_number(1, **{"policy.mean_hold": self.mean_hold})
        for name in ("frontier_share", "from_reset_share", "event_share"):
            check_probability(**{f"policy.{name}": getattr(self, name)})

"""The settings of Go-Explore."""

from dataclasses import dataclass

from worldtokens.common.checks import check_at_least, check_probability

GO_EXPLORE = "go_explore"


@dataclass
class GoExploreConfig:
    """The keys of configs/policy/go_explore.yaml.

    Attributes:
        name: "go_explore".
        explore_steps: Steps of exploration, all workers together, before recording begins.
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
    """

    name: str
    explore_steps: int
    trajectory_steps: int
    mean_hold: float
    end_on_life_loss: bool
    improve_routes: bool
    frontier_share: float
    cells: str
    segment_steps: int
    from_reset_share: float

    def __post_init__(self) -> None:
        """Checks ranges.

        Raises:
            ValueError: A value is out of range.
        """
        for name, least in (("explore_steps", 0), ("trajectory_steps", 1), ("segment_steps", 1)):
            check_at_least(least, **{f"policy.{name}": getattr(self, name)})
        for name in ("frontier_share", "from_reset_share"):
            check_probability(**{f"policy.{name}": getattr(self, name)})

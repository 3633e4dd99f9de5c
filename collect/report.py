"""Shows what a dataset holds, draws it, and checks it.

python collect/report.py env=MontezumaRevenge
python collect/report.py data=data/MontezumaRevenge verify=true
"""

import worldtokens.common.interrupts  # noqa: F401  # isort: skip

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from worldtokens.collect.dataset.description import find_dataset, read_description
from worldtokens.collect.dataset.episodes import SHARDS_FOLDER, EpisodeDataset, is_heldout_seed
from worldtokens.collect.dataset.shard_reading import (
    DamagedShard,
    ForeignShard,
    is_our_name,
    list_shards,
    set_aside,
    verify_shard,
)
from worldtokens.collect.event_counts import EventCount, count_events, print_events
from worldtokens.collect.pictures import save_contact_sheet, save_room_map
from worldtokens.common.atomic import write_text
from worldtokens.common.json_files import to_json
from worldtokens.training.command_line import launch

_BAR_WIDTH = 40


@dataclass
class ReportConfig:
    """The keys of configs/report.yaml, explained there."""

    env: str | None
    data: str
    verify: bool


@dataclass(frozen=True)
class Report:
    """Metrics of a dataset; returns and lengths are (smallest, mean, largest).

    Attributes:
        game: The game's name.
        episodes: Number of episodes.
        heldout_episodes: Number of episodes with a held-out seed.
        restored_episodes: Number of episodes that begin at a restored state.
        steps: Number of steps.
        frames: Number of frames.
        bytes_per_frame: Size on disk over frames.
        lossy: Whether frames went through a lossy codec.
        returns: Sum of rewards of whole games, or None where there are none.
        lengths: Number of steps of all episodes.
        terminated_episodes: Number of episodes that the game ended.
        frames_by_room: Frames of each room; empty in games without rooms.
        steps_by_action: Steps of each action, by its name.
        events: How often each event was seen.
    """

    game: str
    episodes: int
    heldout_episodes: int
    restored_episodes: int
    steps: int
    frames: int
    bytes_per_frame: float
    lossy: bool
    returns: tuple[float, float, float] | None
    lengths: tuple[float, float, float]
    terminated_episodes: int
    frames_by_room: dict[int, int]
    steps_by_action: dict[str, int]
    events: list[EventCount]


def main(config: ReportConfig) -> None:
    """Verifies if the config says so, then prints, draws and saves the report."""
    folder = find_dataset(config.data)
    read_description(folder)
    is_shipped = folder != Path(config.data)
    if config.verify and is_shipped:
        raise ValueError(
            f"verify: expected false for data={config.data}, got true; these shards belong to the "
            "installed package, install it again if they are damaged"
        )
    if config.verify:
        verify(folder)
    dataset = EpisodeDataset(folder)
    report = make_report(dataset)
    print_report(report)
    if is_shipped:
        return
    write_text(folder / "report.json", to_json(asdict(report)) + "\n")
    save_contact_sheet(dataset, folder / "contact_sheet.png")
    print(f"contact sheet    {folder / 'contact_sheet.png'}")
    if save_room_map(dataset, folder / "room_map.png"):
        print(f"room map         {folder / 'room_map.png'}")
    print(f"metrics          {folder / 'report.json'}")


def verify(folder: Path) -> None:
    """Checks every shard, prints those with errors, and sets the damaged ones aside.

    What cannot be read, what another program wrote and what has impossible values stays where it
    is: none of that is damage.
    """
    shards = list_shards(folder / SHARDS_FOLDER)
    num_actions = len(read_description(folder).action_meanings)
    whole = 0
    for shard in shards:
        try:
            verify_shard(shard, num_actions)
            whole += 1
        except DamagedShard as error:
            reason = str(error).partition("(")[2].partition(");")[0]
            if is_our_name(shard):
                print(f"damaged shard    {shard}: {reason}; set aside as {set_aside(shard)}")
            else:
                print(f"damaged file     {shard}: {reason}; left there, no writer names shards so")
        except (ForeignShard, OSError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            print(f"left as it is    {text}")
    print(f"verified         {whole} of {len(shards)} shards are whole")


def make_report(dataset: EpisodeDataset) -> Report:
    """Counts what a dataset holds."""
    infos = dataset.infos
    games = [info.total_reward for info in infos if info.start == "reset"]
    lengths = [info.num_steps for info in infos]
    rooms, frames = np.unique(dataset.scene, return_counts=True)
    steps = dataset.steps
    actions = np.bincount(steps.actions[steps.action_mask], minlength=dataset.num_actions)
    size = sum(path.stat().st_size for path in list_shards(dataset.path / SHARDS_FOLDER))
    return Report(
        game=dataset.game,
        episodes=len(dataset),
        heldout_episodes=sum(is_heldout_seed(info.seed) for info in infos),
        restored_episodes=sum(info.start == "restored" for info in infos),
        steps=dataset.num_steps,
        frames=dataset.num_frames,
        bytes_per_frame=round(size / dataset.num_frames, 1),
        lossy=dataset.description.lossy,
        returns=_spread(games) if games else None,
        lengths=_spread(lengths),
        terminated_episodes=int(steps.terminated.sum()),
        frames_by_room=(
            dict(zip(rooms.tolist(), frames.tolist(), strict=True)) if len(rooms) > 1 else {}
        ),
        steps_by_action=dict(zip(dataset.action_meanings, actions.tolist(), strict=True)),
        events=count_events(dataset),
    )


def print_report(report: Report) -> None:
    """Prints a report for people."""
    print(f"game             {report.game}{' (lossy frames)' if report.lossy else ''}")
    print(
        f"episodes         {report.episodes}: {report.heldout_episodes} held out, "
        f"{report.restored_episodes} from restored states, "
        f"{report.terminated_episodes} ended by the game"
    )
    print(f"steps            {report.steps}")
    print(f"frames           {report.frames}, {report.bytes_per_frame:g} bytes each")
    least, mean, most = report.lengths
    print(f"lengths          {least:g} to {most:g} steps, mean {mean:.1f}")
    if report.returns:
        least, mean, most = report.returns
        print(f"returns          {least:g} to {most:g}, mean {mean:.1f} (whole games)")
    if report.frames_by_room:
        print(f"rooms            {len(report.frames_by_room)}, frames of each:")
        _print_bars({str(room): count for room, count in report.frames_by_room.items()})
    print("actions          steps of each:")
    _print_bars(report.steps_by_action)
    print_events(report.events)


def _print_bars(counts: dict[str, int]) -> None:
    most = max(counts.values(), default=0) or 1
    for name, count in counts.items():
        print(f"  {name:>14} {count:9} {'#' * round(_BAR_WIDTH * count / most)}")


def _spread(values: list[float] | list[int]) -> tuple[float, float, float]:
    return float(min(values)), round(float(np.mean(values)), 2), float(max(values))


def cli() -> None:
    """Runs the command line."""
    sys.argv = ["verify=true" if argument == "--verify" else argument for argument in sys.argv]
    launch(main, ReportConfig, "report")


if __name__ == "__main__":
    cli()

"""What environment the episodes of another project come from, and the names of its actions."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worldtokens.collect.dataset.description import DatasetDescription
from worldtokens.collect.formats.importing import FrameSize, Source
from worldtokens.envs import EnvConfig, make_env, make_env_from_config


def describe_source(
    source: Source,
    folder: Path,
    game: str,
    size: FrameSize,
    full_action_space: bool | None = None,
    action_names: Sequence[str] | None = None,
) -> DatasetDescription:
    """Describes the dataset that a source becomes.

    Args:
        source: The episodes.
        folder: Where they lie, for errors.
        game: A game of Atari, or gymnasium:NAME.
        size: (height, width) of the frames.
        full_action_space: Whether a game of Atari has all 18 actions; None where nobody said.
        action_names: Names of the actions of an environment that is no game of Atari.

    Raises:
        ValueError: The game has other actions than the source, or nobody says how many.
    """
    env = EnvConfig(game, frame_height=size[0], frame_width=size[1])
    if source.env is not None and source.game == game:
        try:
            settings = EnvConfig(**source.env)
            env = replace(settings, frame_height=size[0], frame_width=size[1])
        except TypeError as error:
            raise ValueError(
                f"source: expected settings of an environment in {folder}, got others ({error})"
            ) from None
    meanings = source.action_meanings
    if meanings is None and env.is_atari:
        env, meanings = _atari_actions(source, folder, env, full_action_space)
    elif meanings is None:
        meanings = _other_actions(source, env, action_names)
    return DatasetDescription(env, meanings, (*size, 3), lossy=source.lossy)


def _atari_actions(
    source: Source, folder: Path, env: EnvConfig, full_action_space: bool | None
) -> tuple[EnvConfig, tuple[str, ...]]:
    """Returns the settings with the right set of actions, and their names."""
    game, full = env.name, bool(full_action_space)
    meanings = make_env(game, full_action_space=full).action_meanings
    if source.num_actions not in (None, len(meanings)):
        full, meanings = True, make_env(game, full_action_space=True).action_meanings
    if source.num_actions not in (None, len(meanings)):
        raise ValueError(
            f"env: expected a game with the {source.num_actions} actions of {folder}, "
            f"got {game} with {len(meanings)}; choose the right game with env=NAME, or "
            "env=gymnasium:NAME for what is no game of Atari"
        )
    return replace(env, full_action_space=full), meanings


def _other_actions(source: Source, env: EnvConfig, names: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of the actions of an environment that is no game of Atari."""
    if names is not None and source.num_actions not in (None, len(names)):
        raise ValueError(
            f"action_names: expected {source.num_actions} names, one for each action of the "
            f"source, got {', '.join(names)}"
        )
    if names is not None:
        return tuple(names)
    try:
        made = make_env_from_config(env)
        meanings = made.action_meanings
        made.close()
    except ValueError:
        meanings = ()
    if meanings and source.num_actions in (None, len(meanings)):
        return meanings
    if source.num_actions is not None:
        return tuple(f"A{number}" for number in range(source.num_actions))
    raise ValueError(
        f"action_names: expected a name for each action of {env.name}, got null; neither the "
        "source nor gymnasium says how many there are, set action_names=[A0,A1]"
    )

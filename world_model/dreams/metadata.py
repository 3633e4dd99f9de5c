"""The JSON beside a dream's video: how to dream the same again, and what happened in the dream."""

from collections.abc import Mapping
from typing import Any

from worldtokens.collect import EpisodeSource
from worldtokens.world_model.data.segments import TokenEpisode
from worldtokens.world_model.evaluation.open_loop import OpenLoop
from worldtokens.world_model.model import WorldModel


def dream_metadata(
    open_loop: OpenLoop,
    dataset: EpisodeSource,
    model: WorldModel,
    episode: TokenEpisode,
    first: int,
    settings: Mapping[str, Any],
    shows_truth: bool,
) -> dict[str, Any]:
    """Describes the dreams of one start.

    Args:
        open_loop: The dreams.
        dataset: The episodes that they start from.
        model: Imagined them.
        episode: The episode that they start from.
        first: First frame of the context.
        settings: Keys of the command that decide what is dreamt.
        shows_truth: Whether the dreams follow the real actions, so that the real rewards, ends and
            lost lives belong to them.

    Returns:
        Fingerprints, start, settings, and one entry per dream under "dreams".
    """
    horizon = open_loop.actions.shape[1]
    metadata: dict[str, Any] = {
        "game": model.config.game,
        "world_model": model.fingerprint,
        "tokenizer": model.config.tokenizer,
        "dataset": dataset.fingerprint,
        "episode": episode.name,
        "first_frame": first,
        "context": open_loop.context,
        "horizon": horizon,
        **settings,
        "context_actions": open_loop.truth.actions[0, : open_loop.context - 1].tolist(),
        "dreams": [
            {
                "actions": actions,
                "action_names": [dataset.action_meanings[action] for action in actions],
                "rewards": open_loop.rollout.rewards[row].tolist(),
                "ends": open_loop.rollout.ends[row].tolist(),
                "lives_lost": open_loop.rollout.lives_lost[row].tolist(),
            }
            for row, actions in enumerate(open_loop.actions.tolist())
        ],
    }
    if shows_truth:
        after = slice(open_loop.context - 1, None)
        metadata["real_rewards"] = open_loop.truth.rewards[0, after].tolist()
        metadata["real_ends"] = open_loop.truth.terminated[0, after].tolist()
        metadata["real_lives_lost"] = open_loop.truth.lives_lost[0, after].tolist()
    return metadata

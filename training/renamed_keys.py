"""Config keys that were renamed or added: run folders and commands of before still work."""

import re
from collections.abc import Sequence
from typing import Any

RENAMED_KEYS = {
    "noise_share": "token_noise_prob",
    "own_depth": "scheduled_sampling_depth",
    "own_share": "scheduled_sampling_prob",
    "policy_sees": "observation",
    "still_share": "unchanged_sample_prob",
}

# What versions without the key did.
ADDED_KEYS: dict[str, Any] = {
    "adversary.feature_matching": 0.0,
    "calibrate": False,
    "choose_design": False,
    "event_share": 0.0,
    "high_loss_share": 0.0,
    "init_from": None,
    "init_tokenizer": None,
    "loss.perceptual_required": True,
    "model.codebook_dead_share": 0.03,
    "model.encoder_scope": "patch",
    "model.latent_classes": 64,
    "model.latent_dropout": 0.0,
    "model.latents": 0,
    "model.outcomes": "action",
    "model.predicts_lives": False,
    "outcome_weight": 1.0,
    "schedule.final": 0.02,
    "schedule.shape": "cosine",
    "schedule.warmup": 0.02,
}


def rename_keys(tree: dict[str, Any]) -> dict[str, Any]:
    """Returns a config as read from a file, its old keys under their new names.

    Args:
        tree: The top level of a config.yaml.
    """
    return {RENAMED_KEYS.get(key, key): value for key, value in tree.items()}


def rename_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replaces old keys in the arguments of a command line.

    Args:
        overrides: KEY=VALUE, +KEY=VALUE, ++KEY=VALUE or ~KEY; others stay as they are.

    Returns:
        The arguments with new keys, and a line for each key that was replaced.
    """
    renamed, notes = [], []
    for override in overrides:
        match = re.fullmatch(r"(\+\+|\+|~|)([\w.]+)(=.*|)", override, re.DOTALL)
        new = RENAMED_KEYS.get(match.group(2)) if match else None
        if match and new:
            notes.append(f"config key '{match.group(2)}' is now called '{new}'")
            override = f"{match.group(1)}{new}{match.group(3)}"
        renamed.append(override)
    return renamed, notes

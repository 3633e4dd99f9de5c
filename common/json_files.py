"""JSON files: strict numbers, and digests that show a change."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

DIGEST = "digest"


def without_nan(tree: Any) -> Any:
    """Returns the tree with None in place of numbers that are not finite, which JSON lacks."""
    if isinstance(tree, Mapping):
        return {str(key): without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [without_nan(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def to_json(tree: Any, indent: int | None = 2) -> str:
    """Returns a tree as strict JSON; None stands for numbers that are not finite."""
    return json.dumps(without_nan(tree), indent=indent, allow_nan=False)


def tree_digest(tree: Any) -> str:
    """Returns the digest of a tree of JSON, 16 hex digits, whatever the order of its keys."""
    text = json.dumps(without_nan(tree), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_tree_digest(tree: Mapping[str, Any], digest: object, name: str) -> None:
    """Compares a tree that was read with the digest that was written beside it.

    Args:
        tree: Without its digest.
        digest: As read; None in files of earlier versions.
        name: The file in the error.

    Raises:
        ValueError: They differ.
    """
    if digest is not None and digest != tree_digest(tree):
        raise ValueError(
            f"{name}: expected the content that was written (digest {tree_digest(tree)}), got "
            f"another ({digest}); copy the file again, or delete its key {DIGEST!r} if you changed "
            "it on purpose"
        )

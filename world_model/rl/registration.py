"""Dreams, and games observed as tokens, under gymnasium's names.

`import worldtokens.world_model` registers them, as a module in front of the name does:

    gymnasium.make("worldtokens.world_model:worldtokens/Dream", model="montezuma_revenge")
    gymnasium.make_vec("worldtokens.world_model:worldtokens/Dream", 8, model="montezuma_revenge")
    gymnasium.make(
        "worldtokens.world_model:worldtokens/Tokens", game="Pong", tokenizer="runs/Pong/tokenizer"
    )
"""

from typing import Any

import gymnasium

DREAM, TOKENS = "worldtokens/Dream", "worldtokens/Tokens"


def register_dreams() -> None:
    """Registers both names; a second call changes nothing."""
    module = f"{__package__}.made_by_name"
    for name, one, several in (
        (DREAM, "make_dream", "make_dreams"),
        (TOKENS, "make_tokens", "make_token_vector"),
    ):
        if name not in gymnasium.registry:
            places: dict[str, Any] = {
                "entry_point": f"{module}:{one}", "vector_entry_point": f"{module}:{several}"
            }  # fmt: skip
            # A dream is truncated at its own horizon, a game at `max_episode_steps`.
            gymnasium.register(name, **places)

"""Starting a tokenizer from the weights of another."""

from worldtokens.hub.matching_weights import copy_matching
from worldtokens.tokenizer.autoencoder import Tokenizer


def start_from(tokenizer: Tokenizer, source: str) -> bool:
    """Copies the weights of another tokenizer as far as they fit; prints what starts fresh.

    Args:
        tokenizer: With fresh weights.
        source: A run folder, an export folder, the name of shipped weights or a Hub repo id.

    Returns:
        Whether the codes were copied, so that they need no start from training frames.

    Raises:
        ValueError: There is no such tokenizer, or none of its weights fits.
    """
    other = Tokenizer.from_pretrained(source)
    fresh = copy_matching(tokenizer, other.state_dict(), source)
    if not set(tokenizer.state_dict()) - set(fresh):
        raise ValueError(
            f"init_from={source}: expected a tokenizer with weights that fit "
            f"model.network={tokenizer.config.network}, got {other.config.network} with none; "
            "choose its preset with tokenizer_preset="
        )
    return not any(name.startswith("quantizers.") for name in fresh)

"""The card of a tokenizer, and its description in one line."""

from collections.abc import Sequence

from worldtokens.common.commands import stage_command
from worldtokens.hub.model_card import CardModel
from worldtokens.tokenizer.config import TokenizerConfig

# Names of the metrics of tokenizer/evaluate.py, and how they are written.
METRICS = {
    "psnr": ("PSNR", "{:.2f} dB"),
    "ssim": ("SSIM", "{:.4f}"),
    "lpips": ("LPIPS", "{:.4f}"),
    "rfid": ("rFID", "{:.2f}"),
    "foreground_recall": ("foreground recall", "{:.3f}"),
    "foreground_recall_per_scene": ("foreground recall by scene", ""),
    "flicker": ("flicker", "{:.4f}"),
    "perplexity": ("code perplexity", "{:.1f}"),
    "codes_used": ("share of codes used", "{:.3f}"),
    "used_bits_per_frame": ("bits per frame, used", "{:.0f}"),
    "probe_f1": ("probe F1", ""),
}
USAGE = """from worldtokens import Tokenizer

tokenizer = Tokenizer.from_pretrained("this folder, its name or repository")
tokens = tokenizer.encode(frames)  # uint8 (..., height, width, 3) -> int64 (..., K)
frames = tokenizer.decode(tokens)"""


def tokenizer_card(config: TokenizerConfig, grid: tuple[int, int], vocab_size: int) -> CardModel:
    """Describes a tokenizer for its card.

    Args:
        config: Its architecture.
        grid: (rows, columns) of its tokens.
        vocab_size: Number of its codes.
    """
    tokens, bits = grid[0] * grid[1], (vocab_size - 1).bit_length()
    rows = [
        ("frames", f"uint8, {config.frame_height} x {config.frame_width} x 3"),
        (
            "tokens per frame",
            f"{tokens} ({grid[0]} x {grid[1]}), {vocab_size} codes: {tokens * bits} bits",
        ),
        ("architecture", f"{config.network} network, {config.quantizer} quantizer"),
    ]
    return CardModel(
        title="Frame tokenizer",
        summary="Turns a frame of an Atari game into a few tokens and back.",
        rows=rows,
        usage=USAGE,
        metrics=METRICS,
        evaluation=stage_command("evaluate-tokenizer"),
        limits=[
            "It works on frames like those that it was trained on: another game, another "
            "preprocessing or a part of the game that is not in the training data comes back wrong."
        ],
    )


def summarize(
    config: TokenizerConfig, levels: Sequence[tuple[int, int, int]], vocab_size: int
) -> list[str]:
    """Describes a tokenizer in one line: frames, tokens, design.

    Args:
        config: Its architecture.
        levels: (rows, columns, depth) of each level, see Tokenizer.levels.
        vocab_size: Number of its codes.
    """
    grids = [
        f"{rows}x{columns}" + (f"x{depth}" if depth > 1 else "") for rows, columns, depth in levels
    ]
    return [
        f"{config.frame_height}x{config.frame_width} frames",
        f"{' + '.join(grids)} tokens of {vocab_size}",
        *dict.fromkeys((config.network, config.quantizer)),
    ]

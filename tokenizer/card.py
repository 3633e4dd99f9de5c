"""What the card says of every tokenizer."""

from collections.abc import Sequence

from worldtokens.hub.model_card import CardModel

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
USAGE = """from tokenizer import Tokenizer

tokenizer = Tokenizer.from_pretrained("this folder, its name or repository")
tokens = tokenizer.encode(frames)  # uint8 (..., height, width, 3) -> int64 (..., K)
frames = tokenizer.decode(tokens)"""


def tokenizer_card(rows: Sequence[tuple[str, str]]) -> CardModel:
    """The card of a tokenizer; `rows` say what it is made of."""
    return CardModel(
        title="Frame tokenizer",
        summary="Turns a frame of an Atari game into a few tokens and back.",
        rows=rows,
        usage=USAGE,
        metrics=METRICS,
        evaluation="python tokenizer/evaluate.py",
        limits=[
            "It knows the frames that it was trained on: another game, another preprocessing or a "
            "part of the game that the training data does not show will come back wrong."
        ],
    )
